import type { LogFields, Logger } from "../pipeline/telemetry.ts";
import { type LogOptions, toConsole, writeStderr } from "./log-text.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** Writes what createLogger writes, for a process that hardly ever has anything to say: pino would be 120 KB of code at each start. */
export function createLeanLogger({ level, encoding }: LogOptions, write = writeStderr): Logger {
  const least = LEVELS.indexOf(level);
  const say = (of: (typeof LEVELS)[number]) => (fields: LogFields, msg: string) => {
    if (LEVELS.indexOf(of) < least) return;
    const time = new Date().toISOString();
    const line = `${JSON.stringify({ level: of, time, ...fields, msg }, asNumber)}\n`;
    write(encoding === "json" ? line : toConsole(line));
  };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

function asNumber(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}
