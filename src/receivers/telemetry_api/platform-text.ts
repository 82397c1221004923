import { type Ending, textOf } from "./invocation.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Longest JSON of an event that has no text of its own. */
const TEXT_MAX = 2_048;
const SAID_BY_ROWS = new Set(["platform.start", "platform.runtimeDone", "platform.report"]);
const LOSSES = new Set(["platform.logsDropped", "platform.fault"]);

/** The line that CloudWatch Logs has for the end of an invocation; "" where there was no report. */
export function reportText(requestId: string, report: Ending | undefined): string {
  if (report === undefined) return "";
  const fields: (readonly [string, number | undefined, number, string])[] = [
    ["Duration", report.durationMs, 2, "ms"],
    ["Billed Duration", report.billedMs, 0, "ms"],
    ["Memory Size", report.memoryMb, 0, "MB"],
    ["Max Memory Used", report.maxMemoryMb, 0, "MB"],
    ["Init Duration", report.initMs, 2, "ms"],
    ["Restore Duration", report.restoreMs, 2, "ms"],
  ];
  const said = fields.flatMap(([name, value, digits, unit]) =>
    value === undefined ? [] : [`${name}: ${value.toFixed(digits)} ${unit}`],
  );
  return [`REPORT RequestId: ${requestId}`, ...said].join("\t");
}

/** A platform event as a line, worded as CloudWatch Logs words it where it does; else its record as JSON. */
export function platformText(type: string, record: Fields, ending: () => Ending): string {
  const requestId = textOf(record, "requestId");
  switch (type) {
    case "platform.start":
      return `START RequestId: ${requestId} Version: ${textOf(record, "version")}`;
    case "platform.runtimeDone":
      return `END RequestId: ${requestId}`;
    case "platform.report":
      return reportText(requestId, ending());
    case "platform.initStart":
      return `INIT_START Runtime Version: ${textOf(record, "runtimeVersion")}\tRuntime Version ARN: ${textOf(record, "runtimeVersionArn")}`;
    case "platform.logsDropped":
      return `LOGS_DROPPED ${countOf(record, "droppedRecords")} records, ${countOf(record, "droppedBytes")} bytes: ${textOf(record, "reason")}`;
    default:
      return `${type} ${JSON.stringify(record)}`.slice(0, TEXT_MAX);
  }
}

function countOf(record: Fields, name: string): string {
  const value = record[name];
  return typeof value === "number" ? String(value) : "some";
}

/** Whether an event tells of a loss, or of an error that is in no row: then it is a log record in any case. */
export function isTrouble(type: string, record: Fields): boolean {
  if (LOSSES.has(type)) return true;
  if (SAID_BY_ROWS.has(type)) return false;
  return textOf(record, "errorType") !== "" || !["", "success"].includes(statusOf(record));
}

function statusOf(record: Fields): string {
  return textOf(record, "status");
}
