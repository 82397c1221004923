import type { Batch } from "../otlp/batch.ts";

/** What a writer reads of a batch. */
export type BatchMemory = Pick<Batch, "bytes" | "view" | "tape">;

const BYTES = new Uint8Array(0);
/** That of no batch: a writer between two calls keeps none alive. */
export const NO_BATCH: BatchMemory = {
  bytes: BYTES,
  view: new DataView(BYTES.buffer),
  tape: new Int32Array(0),
};
