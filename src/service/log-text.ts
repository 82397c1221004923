import type { LogFields, Logger } from "../pipeline/telemetry.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly encoding: "json" | "console";
}

/** The same logger with fields that every line gets. */
export function withFields(log: Logger, fields: LogFields): Logger {
  return {
    debug: (more, text) => log.debug({ ...fields, ...more }, text),
    info: (more, text) => log.info({ ...fields, ...more }, text),
    warn: (more, text) => log.warn({ ...fields, ...more }, text),
    error: (more, text) => log.error({ ...fields, ...more }, text),
  };
}

/** Where log lines go, synchronously, so that the last line before an exit is never lost. */
export function writeStderr(line: string): void {
  process.stderr.write(line);
}

/** A line of JSON as `time level text key=value …`: control characters escaped, so telemetry can never forge a line. */
export function toConsole(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([name, value]) =>
      ` ${name}=${typeof value === "string" ? plain(value) : JSON.stringify(value)}`,
  );
  return `${String(time)} ${String(level).padEnd(5)} ${escapeControls(String(msg ?? ""))}${rest.join("")}\n`;
}

function plain(value: string): string {
  return escapeControls(/[\s"=]/.test(value) || value === "" ? JSON.stringify(value) : value);
}

function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
