/** Records as JSON: the door of http_logs beside JSON.parse and template strings. */
import { RecordDoor } from "../src/series/records/record-door.ts";
import { withSlack } from "../src/wire/slack.ts";
import type { Job } from "./cases.ts";

/** `n` records of 330 bytes, one a line, as an agent sends what a function platform logs. */
export function functionRecords(n: number): string[] {
  return Array.from({ length: n }, (_, i) =>
    JSON.stringify({
      timestamp: new Date(1_705_314_600_000 + i).toISOString(),
      level: "info",
      message: "Function executed successfully",
      function_id: "550e8400-e29b-41d4-a716-446655440000",
      execution_id: `660e8400-e29b-41d4-a716-${String(i).padStart(12, "0")}`,
      status: "success",
      version: "1",
      duration_ms: 1_234,
      memory_used_mb: 45.5,
      exit_code: 0,
      cpu_time_ms: 800,
      trace_id: "0af7651916cd43dd8448eb211c80319c",
    }),
  );
}

/** NDJSON → an OTLP request. */
export function recordDoorJob(records: number): Job {
  const text = Buffer.from(functionRecords(records).join("\n"));
  const bytes = withSlack(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const door = new RecordDoor();
  door.arrive(1_705_314_600_000);
  return () => {
    for (let p = 0; p < text.length; ) p = door.json(bytes, view, p, text.length);
    return door.finish().items;
  };
}

interface Parsed {
  readonly timestamp: string;
  readonly message: string;
  readonly trace_id: string;
  readonly [name: string]: unknown;
}

/** The obvious way: JSON.parse of each line, and a line of text from its members. */
export function recordStringsJob(records: number): Job {
  const text = Buffer.from(functionRecords(records).join("\n"));
  return () => {
    linesOfRecords(text.toString().split("\n"));
    return records;
  };
}

const TAGS = ["function_id", "execution_id", "status", "version"];
const FIELDS = ["duration_ms", "memory_used_mb", "exit_code", "cpu_time_ms"];

/** Records as JSON → function_logs lines, by way of objects and strings. */
export function linesOfRecords(texts: readonly string[]): Buffer {
  const lines = texts.map((text) => {
    const record = JSON.parse(text) as Parsed;
    const pairs = (names: readonly string[]) =>
      names.map((name) => `${name}=${String(record[name]).replace(/[,= ]/g, "\\$&")}`).join();
    const body = record.message.replace(/["\\]/g, "\\$&");
    const time = BigInt(Date.parse(record.timestamp)) * 1_000_000n;
    return `function_logs,${pairs(TAGS)} ${pairs(FIELDS)},message="${body}",trace_id="${record.trace_id}" ${time}`;
  });
  return Buffer.from(lines.join("\n"));
}
