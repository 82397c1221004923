import { randomBytes } from "node:crypto";
import type { FileIo } from "./file-io.ts";
import { type JournalLog, JournalState } from "./state.ts";

/** Reads the directory. */
export async function recover(_options: {
  readonly io: FileIo;
  readonly log: JournalLog;
  readonly nowMs: () => number;
}): Promise<JournalState> {
  return new JournalState(randomBytes(16).toString("hex"));
}
