import { setTimeout as wait } from "node:timers/promises";
import type { RetryOnFailure } from "../../src/config/blocks.ts";
import type { Reader, ReadLimits, Tally } from "../../src/journal/journal.ts";
import type { Backend, Sending, Verdict } from "../../src/kit/delivery/backend.ts";
import type { DeadLetter, DeadLetters } from "../../src/kit/delivery/dead-letters.ts";
import type { ExportLoopOptions } from "../../src/kit/delivery/delivery-route.ts";
import { runExportLoop } from "../../src/kit/delivery/export-loop.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import type { Indexer } from "../../src/otlp/indexer.ts";
import type { Range } from "../../src/otlp/range.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import type { Logger, Meter } from "../../src/pipeline/telemetry.ts";
import type { Slab, Writer } from "../../src/series/writer.ts";
import { SLACK } from "../../src/wire/slack.ts";
import { until } from "./until.ts";

/** A batch of which only the count matters; `tag` is in its bytes. */
export function fakeBatch<S extends Signal>(items: number, signal: S, tag = ""): Batch<S> {
  const bytes = new Uint8Array(tag.length + SLACK);
  new TextEncoder().encodeInto(tag, bytes);
  return {
    signal,
    items,
    bytes,
    length: tag.length,
    view: new DataView(bytes.buffer),
    tape: new Int32Array(0),
    draft: () => {
      throw new Error("no draft of a fake batch");
    },
  };
}

export const fakeIndexer: Indexer = {
  keys: {
    id: () => {
      throw new Error("no keys in this test");
    },
    seek: () => {
      throw new Error("no keys in this test");
    },
    mayOccur: () => true,
    name: () => "",
  },
  index: () => ({ refused: "malformed", why: "no indexing in this test" }),
  indexSlowly: async () => ({ refused: "malformed", why: "no indexing in this test" }),
};

/** A route held in memory: each frame is one range, so that tests know what is in flight. */
export class FakeReader implements Reader<"logs"> {
  readonly name = "test/eu/logs";
  readonly route = 0;
  readonly signal = "logs";
  readonly settled = new Map<number, Tally>();
  readonly order: number[] = [];
  readonly limits: ReadLimits[] = [];
  reads = 0;
  isResting = false;
  readonly #frames: number[];
  readonly #framesPerRange: number;
  readonly #arrivalOf: (seq: number) => number;
  #nextSeq = 1;
  constructor(
    frames: readonly number[],
    framesPerRange = 1,
    arrivalOf: (seq: number) => number = () => 0,
  ) {
    this.#frames = [...frames];
    this.#framesPerRange = framesPerRange;
    this.#arrivalOf = arrivalOf;
  }
  get outstanding(): number {
    return this.reads - this.settled.size;
  }
  push(items: number): void {
    this.#frames.push(items);
  }
  async read(limits: ReadLimits, stop: AbortSignal): Promise<Range<"logs">> {
    this.limits.push(limits);
    for (;;) {
      stop.throwIfAborted();
      const { minItems = 0, waitMs = 0 } = limits;
      const queued = this.#frames.reduce((sum, items) => sum + items, 0);
      if (waitMs === Number.POSITIVE_INFINITY && queued < minItems) {
        await wait(1, undefined, { signal: stop }).catch(() => {});
        continue;
      }
      const sizes = this.#frames.splice(0, this.#framesPerRange);
      if (sizes.length === 0) {
        await wait(1);
        continue;
      }
      this.reads += 1;
      const first = this.#nextSeq;
      this.#nextSeq += sizes.length;
      const note = new Uint8Array(0);
      const frames = sizes.map((items, i) => {
        const seq = first + i;
        return { seq, batch: fakeBatch(items, "logs"), arrivalMs: this.#arrivalOf(seq), note };
      });
      const items = sizes.reduce((a, b) => a + b, 0);
      return { first, last: this.#nextSeq - 1, frames, items };
    }
  }
  rest(isResting: boolean): void {
    this.isResting = isResting;
  }
  settle(range: Range<"logs">, tally: Tally): void {
    const sum = tallySum(tally);
    if (sum !== range.items) throw new Error(`tally of ${sum} for ${range.items} items`);
    if (this.settled.has(range.first)) throw new Error(`range ${range.first} settled twice`);
    this.settled.set(range.first, tally);
    this.order.push(range.first);
  }
  counts(): never {
    throw new Error("not in this test");
  }
}

export function tallySum(tally: Tally): number {
  let sum = tally.delivered + tally.unconfirmed + tally.deadLettered;
  for (const n of tally.dropped.values()) sum += n;
  return sum;
}

/** Dropped items by reason, as a plain object. */
export function dropped(tally: Tally | undefined): Record<string, number> {
  return Object.fromEntries(tally?.dropped ?? []);
}

/** Writes each item of a range as `rowsPerItem` lines `<seq>.<item>`. */
export class LineWriter implements Writer {
  readonly #rowsPerItem: number;
  /** Items that make no row: dropped{no_row}. */
  readonly skip: (line: string) => boolean;
  constructor(rowsPerItem = 1, skip: (line: string) => boolean = () => false) {
    this.#rowsPerItem = rowsPerItem;
    this.skip = skip;
  }
  write(range: Range, from: number, to: number, out: Slab) {
    const lines = linesOf(range);
    let rows = 0;
    let dropped = 0;
    for (let item = from; item < to; item++) {
      const line = lines[item] as string;
      if (this.skip(line)) {
        dropped += 1;
        continue;
      }
      const text = new TextEncoder().encode(`${line}\n`.repeat(this.#rowsPerItem));
      if (out.length + text.length > out.bytes.length - SLACK)
        return { to: item, rows, dropped: reasons(dropped) };
      out.bytes.set(text, out.length);
      out.length += text.length;
      rows += this.#rowsPerItem;
    }
    return { to, rows, dropped: reasons(dropped) };
  }
  itemOfRow(range: Range, from: number, row: number): number {
    const lines = linesOf(range);
    let left = Math.floor(row / this.#rowsPerItem);
    for (let item = from; item < lines.length; item++) {
      if (this.skip(lines[item] as string)) continue;
      if (left === 0) return item;
      left -= 1;
    }
    return -1;
  }
}

function reasons(dropped: number): ReadonlyMap<string, number> {
  return dropped > 0 ? new Map([["no_row", dropped]]) : new Map();
}

function linesOf(range: Range): string[] {
  return range.frames.flatMap(({ seq, batch }) =>
    Array.from({ length: batch.items }, (_, item) => `${seq}.${item}`),
  );
}

/** Lines of a posted body. */
export function bodyLines(body: Uint8Array): string[] {
  const text = new TextDecoder().decode(body);
  return text === "" ? [] : text.slice(0, -1).split("\n");
}

export class MemoryDeadLetters implements DeadLetters {
  readonly letters = new Map<string, DeadLetter>();
  failures = 0;
  adds = 0;
  async add(letter: DeadLetter): Promise<void> {
    this.adds += 1;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error("disk full");
    }
    this.letters.set(`${letter.seq}.${letter.item}`, letter);
  }
  keys(): string[] {
    return [...this.letters.keys()].sort();
  }
}

export interface LogLine {
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function recordingLog(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, text: string) => {
    lines.push({ level, text, fields });
  };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A meter whose values a test can read by name. */
export function recordingMeter(): Meter & { value(name: string): number } {
  const counts = new Map<string, number>();
  const reads = new Map<string, () => number>();
  return {
    counter: (name) => ({ add: (n) => counts.set(name, (counts.get(name) ?? 0) + n) }),
    observe: (name, _help, _labels, _type, read) => reads.set(name, read),
    value: (name) => counts.get(name) ?? reads.get(name)?.() ?? 0,
  };
}

export const quickRetry: RetryOnFailure = {
  enabled: true,
  initial_interval: 1,
  randomization_factor: 0,
  multiplier: 1.5,
  max_interval: 5,
  max_elapsed_time: 0,
};

/** What a request says of itself where a test does not care. */
export const sending: Sending = {
  journal: "j",
  route: "r",
  from: [1, 0],
  to: [1, 0],
  rows: 1,
  attempt: 1,
};
export const sent: Verdict = { is: "sent", unconfirmed: false };

export interface Rig {
  readonly reader: FakeReader;
  readonly deadLetters: MemoryDeadLetters;
  readonly log: ReturnType<typeof recordingLog>;
  readonly meter: ReturnType<typeof recordingMeter>;
  readonly posts: { lines: string[]; sending: Sending }[];
  /** Starts the loop; `stop()` aborts it and waits for its end. */
  run(): { readonly done: Promise<void>; stop(): Promise<void> };
  /** Runs until all frames given are settled. */
  untilSettled(): Promise<void>;
}

type Post = (lines: string[], sending: Sending, stop: AbortSignal) => Verdict | Promise<Verdict>;

export interface RigOptions extends Partial<ExportLoopOptions<"logs">> {
  readonly frames: readonly number[];
  readonly framesPerRange?: number;
  /** When a frame arrived (ms); default: all at 0. */
  readonly arrivalOf?: (seq: number) => number;
  /** Not with `backend`. */
  readonly post?: Post;
  readonly writer?: Writer<"logs">;
  readonly limits?: Backend["limits"];
  /** What the backend has learned. */
  readonly lessons?: () => number;
}

/** A loop over a fake reader, a line writer and a function that posts. */
export function exportRig(options: RigOptions): Rig {
  const {
    frames,
    framesPerRange,
    arrivalOf,
    post = () => sent,
    writer = new LineWriter(),
    limits,
    lessons = () => 0,
    ...rest
  } = options;
  const reader = new FakeReader(frames, framesPerRange, arrivalOf);
  const deadLetters = new MemoryDeadLetters();
  const log = recordingLog();
  const meter = recordingMeter();
  const posts: Rig["posts"] = [];
  const backend: Backend<"logs"> = {
    writer,
    limits: limits ?? { bytes: 1 << 16, items: 1 << 16, lanes: 16 },
    get lessons() {
      return lessons();
    },
    start: async () => {},
    stop: async () => {},
    post: async (body, sending, stop) => {
      const lines = bodyLines(body);
      posts.push({ lines, sending });
      return await post(lines, sending, stop);
    },
  };
  const pick = <T extends Signal>(_: Indexer, batch: Batch<T>, from: number, to: number) =>
    fakeBatch(to - from, batch.signal, `${from}`);
  const loop: ExportLoopOptions<"logs"> = {
    reader,
    backend,
    deadLetters,
    log,
    meter,
    pick,
    journalId: "j1",
    retry: quickRetry,
    timeoutMs: 1_000,
    lanes: 3,
    indexer: fakeIndexer,
    nowMs: () => Date.now(),
    random: () => 0.5,
    ...rest,
  };
  const run = () => {
    const stop = new AbortController();
    const done = runExportLoop(loop, stop.signal);
    return {
      done,
      stop: async () => {
        stop.abort(new Error("stopped"));
        await done;
      },
    };
  };
  const ranges = Math.ceil(frames.length / (framesPerRange ?? 1));
  const untilSettled = async () => {
    const running = run();
    await Promise.race([running.done, until(() => reader.settled.size >= ranges)]);
    await running.stop();
  };
  return { reader, deadLetters, log, meter, posts, run, untilSettled };
}
