import type { Draft } from "./draft.ts";
import type { Signal } from "./tape.ts";

/**
 * The only in-memory form of telemetry: a canonical OTLP export request and the tape over it. Immutable, owned by the
 * garbage collector, shared by pipelines, the journal and exporters. Nobody frees it, nobody writes to it.
 */
export interface Batch<S extends Signal = Signal> {
  readonly signal: S;
  /** Canonical OTLP request from index 0 to `length`, then ≥ SLACK bytes. Its `byteOffset` need not be 0. */
  readonly bytes: Uint8Array;
  /** Over the same memory as `bytes`, index for index. */
  readonly view: DataView;
  readonly length: number;
  readonly tape: Int32Array;
  /** Log records, spans or data points. */
  readonly items: number;
  /** A private, editable view: copies the tape, shares the bytes. */
  draft(): Draft<S>;
}
