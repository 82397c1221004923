import pino from "pino";
import type { Logger } from "../pipeline/telemetry.ts";
import { type LogOptions, toConsole, writeStderr } from "./log-text.ts";

/** pino to stderr, synchronously. */
export function createLogger(options: LogOptions, write = writeStderr): Logger {
  const destination =
    options.encoding === "json" ? { write } : { write: (line: string) => write(toConsole(line)) };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}
