import { SLACK, withSlack } from "../wire/slack.ts";
import type { Batch } from "./batch.ts";
import { canonicalize } from "./canonicalize.ts";
import type { Draft } from "./draft.ts";
import { TapeDraft } from "./drafting.ts";
import { request } from "./index-request.ts";
import type { Indexed, Indexer } from "./indexer.ts";
import { createKeys, KeyTable } from "./key-table.ts";
import type { Keys } from "./keys.ts";
import { Scan } from "./scan.ts";
import type { Signal } from "./tape.ts";

/** A tape of this many bytes is always allowed. */
const TAPE_FLOOR = 16 * 1024 * 1024;
/** … and else this many bytes of tape per byte of request. */
const TAPE_RATIO = 4;

/** An indexer with its key table. One per process. */
export function createIndexer(keys: Keys = createKeys()): Indexer {
  if (!(keys instanceof KeyTable))
    throw new TypeError(
      "the indexer reads keys from wire bytes: give it the table of createKeys()",
    );
  return new TapeIndexer(keys);
}

class TapeIndexer implements Indexer {
  readonly keys: KeyTable;
  readonly #scan: Scan;

  constructor(keys: KeyTable) {
    this.keys = keys;
    this.#scan = new Scan(keys);
  }

  index<S extends Signal>(signal: S, bytes: Uint8Array, length: number): Indexed<S> {
    if (length > bytes.length)
      throw new RangeError(`${length} bytes to index in a memory of ${bytes.length}`);
    const roomy = bytes.length >= length + SLACK ? bytes : withSlack(bytes, length);
    const batch = this.#pass(signal, roomy, length);
    if (batch !== undefined) return { batch, rejected: 0, why: "" };
    if (this.#scan.isTooLarge) return tooLarge(length);
    const canonical = canonicalize(signal, roomy, length);
    if ("refused" in canonical) return canonical;
    const again = this.#pass(signal, canonical.bytes, canonical.length);
    if (again !== undefined)
      return { batch: again, rejected: canonical.rejected, why: canonical.why };
    if (this.#scan.isTooLarge) return tooLarge(length);
    throw new Error(`a ${signal} request of ${length} bytes did not become canonical`);
  }

  #pass<S extends Signal>(signal: S, bytes: Uint8Array, length: number): Batch<S> | undefined {
    const scan = this.#scan;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    scan.begin(bytes, view, Math.max(TAPE_FLOOR, length * TAPE_RATIO) >>> 2);
    const isFine = request(scan, signal, length);
    const items = scan.items;
    const tape = scan.finish(isFine);
    return isFine
      ? createBatch(this.keys, { signal, bytes, view, length, tape, items })
      : undefined;
  }
}

function tooLarge(length: number) {
  const why = `the index of this request would be larger than ${TAPE_RATIO} times its ${length} bytes and 16 MiB: too many tiny records; send fewer per request`;
  return { refused: "too_large", why } as const;
}

/** What a batch is made of; all of it over one memory. */
export type Parts<S extends Signal> = Omit<Batch<S>, "draft">;

/** A batch whose drafts name attributes by `keys`, the table that its tape was made with. */
export function createBatch<S extends Signal>(keys: KeyTable, parts: Parts<S>): Batch<S> {
  return new TapeBatch(keys, parts);
}

class TapeBatch<S extends Signal> implements Batch<S> {
  readonly signal: S;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly length: number;
  readonly tape: Int32Array;
  readonly items: number;
  readonly #keys: KeyTable;

  constructor(keys: KeyTable, parts: Parts<S>) {
    this.signal = parts.signal;
    this.bytes = parts.bytes;
    this.view = parts.view;
    this.length = parts.length;
    this.tape = parts.tape;
    this.items = parts.items;
    this.#keys = keys;
  }

  draft(): Draft<S> {
    return new TapeDraft(this.#keys, this, createBatch);
  }
}
