import { SLACK, withSlack } from "../wire/slack.ts";
import type { Batch } from "./batch.ts";
import { type Breathe, canonicalize, canonicalizeSlowly } from "./canonicalize.ts";
import type { Draft } from "./draft.ts";
import { TapeDraft } from "./drafting.ts";
import { LARGE } from "./index-large.ts";
import { Progress, RequestPass } from "./index-request.ts";
import type { Indexed, Indexer } from "./indexer.ts";
import { createKeys, KeyTable } from "./key-table.ts";
import type { Keys } from "./keys.ts";
import { Allowance, NoRoom, type Room } from "./room.ts";
import { Scan, uninitialized } from "./scan.ts";
import { GROUP_HEADER, type Signal } from "./tape.ts";

/** A tape of this many bytes is always allowed. */
const TAPE_FLOOR = 16 * 1024 * 1024;
/** … and else this many bytes of tape per byte of request. */
const TAPE_RATIO = 4;
/** What `indexSlowly` takes between two looks at the clock (bytes), and how long it keeps the event loop (ms). */
const STEP_BYTES = 64 * 1024;
const SLICE_MS = 8;
/** Bytes of a request whose tape is made at once, as large as the one before suggests; what is behind them makes its own suggestion. */
const FORESEEN_BYTES = 8 << 20;
/** Most tape that a step can fill: nothing makes more of it per byte than a scope of two bytes, which has a GROUP. */
const STEP_INTS = STEP_BYTES * (GROUP_HEADER / 2);
const INT_BYTES = Int32Array.BYTES_PER_ELEMENT;
/** Tape that is copied between two looks at the clock (ints). */
const COPY_INTS = 1 << 19;

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
  /** Of `indexSlowly`: other requests are indexed at once while one of its own waits. */
  readonly #slowScan: Scan;
  /** Ends with the last `indexSlowly`. */
  #turn: Promise<void> = Promise.resolve();

  constructor(keys: KeyTable) {
    this.keys = keys;
    this.#scan = new Scan(keys);
    this.#slowScan = new Scan(keys);
  }

  index<S extends Signal>(signal: S, bytes: Uint8Array, length: number): Indexed<S> {
    const roomy = roomyBytes(bytes, length);
    const scan = this.#scan;
    const batch = this.#pass(scan, signal, roomy, length);
    if (batch !== undefined) return { batch, rejected: 0, why: "" };
    if (scan.isTooLarge) return tooLarge(length);
    const canonical = canonicalize(scan, signal, roomy, length);
    if ("refused" in canonical) return canonical;
    const again = this.#pass(scan, signal, canonical.bytes, canonical.length);
    return this.#answer(scan, signal, length, canonical, again);
  }

  indexSlowly<S extends Signal>(
    signal: S,
    bytes: Uint8Array,
    length: number,
    room?: Room,
  ): Promise<Indexed<S>> {
    // One at a time: several would share the same time, and all of them hold their memory for longer.
    const indexed = this.#turn.then(() => this.#slowly(signal, bytes, length, room));
    this.#turn = indexed.then(
      () => {},
      () => {},
    );
    return indexed;
  }

  async #slowly<S extends Signal>(
    signal: S,
    bytes: Uint8Array,
    length: number,
    room: Room | undefined,
  ): Promise<Indexed<S>> {
    const roomy = roomyBytes(bytes, length);
    const scan = this.#slowScan;
    const allowance = new Allowance(room);
    try {
      const batch = await this.#slowPass(scan, signal, roomy, length, allowance);
      if (batch !== undefined) return { batch, rejected: 0, why: "" };
      if (scan.isTooLarge) return tooLarge(length);
      allowance.take(length);
      const canonical = await canonicalizeSlowly(scan, signal, roomy, length, breather());
      if ("refused" in canonical) return canonical;
      allowance.take(Math.max(0, canonical.length - length));
      const { bytes: copy, length: copied } = canonical;
      const again = await this.#slowPass(scan, signal, copy, copied, allowance);
      return this.#answer(scan, signal, length, canonical, again);
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
      scan.discard();
      return { refused: "exhausted", why: "the memory for requests in flight is used up" };
    }
  }

  #pass<S extends Signal>(
    scan: Scan,
    signal: S,
    bytes: Uint8Array,
    length: number,
  ): Batch<S> | undefined {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    scan.begin(plain(bytes), view, tapeLimit(length), length);
    const isFine = new RequestPass(scan, signal, length).run(length) === Progress.done;
    if (!isFine) {
      scan.discard();
      return undefined;
    }
    const items = scan.items;
    const tape = scan.finish(length);
    return createBatch(this.keys, { signal, bytes, view, length, tape, items });
  }

  async #slowPass<S extends Signal>(
    scan: Scan,
    signal: S,
    bytes: Uint8Array,
    length: number,
    allowance: Allowance,
  ): Promise<Batch<S> | undefined> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    scan.begin(plain(bytes), view, tapeLimit(length), Math.min(length, FORESEEN_BYTES));
    scan.largest = LARGE;
    const pass = new RequestPass(scan, signal, length);
    const breathe = breather();
    let progress: Progress = Progress.paused;
    while (progress === Progress.paused) {
      const ints = scan.foresee(STEP_INTS, pass.position, length);
      if (ints > 0) await enlarge(scan, ints, allowance, breathe);
      const top = scan.top;
      progress = pass.run(pass.position + STEP_BYTES);
      allowance.take((scan.top - top) * INT_BYTES); // memory that nobody has written to is none yet
      await breathe();
    }
    const items = scan.items;
    if (progress === Progress.bad) {
      allowance.give(scan.top * INT_BYTES);
      scan.discard();
      return undefined;
    }
    await breathe(true);
    const tape = scan.finish(length);
    return createBatch(this.keys, { signal, bytes, view, length, tape, items });
  }

  #answer<S extends Signal>(
    scan: Scan,
    signal: S,
    length: number,
    { rejected, why }: { readonly rejected: number; readonly why: string },
    batch: Batch<S> | undefined,
  ): Indexed<S> {
    if (batch !== undefined) return { batch, rejected, why };
    if (scan.isTooLarge) return tooLarge(length);
    throw new Error(`a ${signal} request of ${length} bytes did not become canonical`);
  }
}

function roomyBytes(bytes: Uint8Array, length: number): Uint8Array {
  if (length > bytes.length)
    throw new RangeError(`${length} bytes to index in a memory of ${bytes.length}`);
  return bytes.length >= length + SLACK ? bytes : withSlack(bytes, length);
}

/** The same memory as a Uint8Array proper: the pass would be slower if it met Buffers as well. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Gives a scan a tape of `ints`, with what it has written. */
async function enlarge(
  scan: Scan,
  ints: number,
  allowance: Allowance,
  breathe: Breathe,
): Promise<void> {
  const copied = scan.top * INT_BYTES;
  allowance.take(copied);
  const tape = uninitialized(ints);
  for (let at = 0; at < scan.top; at += COPY_INTS) {
    tape.set(scan.tape.subarray(at, Math.min(at + COPY_INTS, scan.top)), at);
    await breathe();
  }
  scan.move(tape);
  allowance.give(copied);
}

function tapeLimit(length: number): number {
  return Math.max(TAPE_FLOOR, length * TAPE_RATIO) >>> 2;
}

/** A function to call between steps of long work: it lets the event loop turn when SLICE_MS are over, or at once when `isDue`. */
export function breather(): Breathe {
  let begun = performance.now();
  return async (isDue = false) => {
    if (!isDue && performance.now() - begun < SLICE_MS) return;
    await new Promise(setImmediate);
    begun = performance.now();
  };
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
