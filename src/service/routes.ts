import type { SendingQueue } from "../config/blocks.ts";
import type { Journal, Reader, RouteLimits } from "../journal/journal.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Counter } from "../pipeline/telemetry.ts";
import type { AwaitedReader } from "./results.ts";

/** One exporter × signal: where its frames are queued, and who reads them. */
export interface Route {
  /** `<exporter id>/<signal>`. */
  readonly name: string;
  /** Full id of the exporter. */
  readonly exporter: string;
  readonly signal: Signal;
  readonly journal: Journal;
  readonly reader: Reader;
  /** Bit set with only this route's number. */
  readonly bits: Uint32Array;
  readonly enqueueFailed: Counter;
  /** Where the acknowledgement waits for the destination's answer. */
  readonly awaited?: AwaitedReader;
}

const DEFAULT_QUEUE_BYTES = 2 ** 30;

/** The queue's limits from the Collector's options: `queue_size` counts frames unless `sizer` says otherwise. */
export function routeLimits(queue: SendingQueue): RouteLimits {
  const { queue_size: size, sizer, on_full: onFull } = queue;
  const limits = {
    bytes: DEFAULT_QUEUE_BYTES,
    items: Number.POSITIVE_INFINITY,
    frames: Number.POSITIVE_INFINITY,
    onFull,
  };
  if (size === undefined) return limits;
  if (sizer === "bytes") return { ...limits, bytes: size };
  return sizer === "items" ? { ...limits, items: size } : { ...limits, frames: size };
}
