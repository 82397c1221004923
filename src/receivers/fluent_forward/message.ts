/** How the records of a message are written. */
export type Content =
  /** One record, a map, whose time stands beside it. Times are halves of nanoseconds, 0 is none. */
  | { readonly kind: "one"; readonly timeLow: number; readonly timeHigh: number }
  /** Entries `[time, record]`, one behind the other. */
  | { readonly kind: "entries" }
  /** The same, compressed. */
  | { readonly kind: "compressed"; readonly coding: string }
  | { readonly kind: "json"; readonly entries: readonly JsonEntry[] }
  /** A heartbeat, metrics or traces, or a message that cannot be taken. */
  | { readonly kind: "none" };

/** A record of a JSON message: its place and its time. */
export interface JsonEntry {
  readonly from: number;
  readonly to: number;
  readonly timeLow: number;
  readonly timeHigh: number;
}

/** A message, as far as it must be known to take its records. */
export interface Message {
  readonly tag: string;
  readonly content: Content;
  /** Where the content is. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** The answer that the sender waits for. */
  readonly ack?: Uint8Array;
  /** Why nothing of it is taken. */
  readonly problem?: string;
  /** It carries metrics or traces. */
  readonly isForeign?: boolean;
}

/** Bytes of a chunk id. Fluent Bit's have 24, and it reads 512 bytes of an answer. */
export const CHUNK_MAX = 400;
export const CHUNK_TOO_LONG = `the chunk id of a message has more than ${CHUNK_MAX} bytes`;
export const TAG_IS_NO_TEXT = "the tag of a message is no text";
export const NO_RECORD =
  "a message is [tag, entries], [tag, time, record], and options behind these: let the sender use the forward protocol v1";
export const NO_MAP = "the record of a message is no map";
export const NO_TIME = "the time of a message is none";
