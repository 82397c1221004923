/** Files that grow, for the file_log receiver. */
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { functionRecords } from "./records.ts";

/** Name of the directory with the files, below that of the service. */
export const LOGS = "logs";
const FILES = 8;
const LINES = 5_000;

/** What lines look like. */
export const FILE_LINES: Readonly<Record<"json" | "text", () => string[]>> = {
  json: () => functionRecords(LINES),
  text: () =>
    Array.from(
      { length: LINES },
      (_, i) =>
        `2026-01-15T10:30:00.${String(i % 1_000).padStart(3, "0")}Z INFO worker-${i % 16} request ${i} served in ${i % 97} ms, 200 OK, cache miss`,
    ),
};

/** Appends so many lines to some files, in blocks, as fast as the disk takes them. Returns how many. */
export async function growFiles(
  directory: string,
  kind: keyof typeof FILE_LINES,
  lines: number,
): Promise<number> {
  mkdirSync(join(directory, LOGS), { recursive: true });
  const block = `${FILE_LINES[kind]().join("\n")}\n`;
  const blocks = Math.ceil(lines / LINES);
  for (let i = 0; i < blocks; i++) {
    appendFileSync(join(directory, LOGS, `${i % FILES}.log`), block);
    await sleep(0);
  }
  return blocks * LINES;
}
