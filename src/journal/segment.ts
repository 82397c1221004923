import type { Seq } from "../otlp/range.ts";
import type { Look } from "./holding.ts";
import type { Routes } from "./journal.ts";
import { segmentName } from "./layout.ts";

/** What the journal remembers of a frame: about 40 bytes each, in columns, so millions of queued frames fit. */
export interface FrameEntry {
  readonly seq: Seq;
  /** Of the record in its segment. */
  readonly offset: number;
  /** Bytes of the whole record. */
  readonly size: number;
  /** Bytes of the OTLP request: what queue limits count. */
  readonly payload: number;
  readonly items: number;
  readonly arrivalMs: number;
  /** Index in SIGNALS. */
  readonly signal: number;
  readonly routes: Routes;
}

/** One file and the columns of its intact frames, ascending by seq. */
export class Segment {
  readonly id: number;
  readonly name: string;
  readonly createdMs: number;
  /** Bytes that count. What lies behind was not acknowledged. */
  length: number;
  /** Which frames were needed when somebody last looked. */
  look: Look | undefined;
  /** While and after its frames are copied into another file: where they went, undefined when they stayed. Nobody removes it meanwhile. */
  moved: Promise<Segment | undefined> | undefined;
  /** While its file is being removed: nobody copies anything to its name. */
  isLeaving = false;
  /** When the last route passed it; undefined while one needs it. Retention starts here. */
  passedAtMs: number | undefined;
  count = 0;
  #seq = new Float64Array(64);
  #arrival = new Float64Array(64);
  #numbers = new Uint32Array(64 * 4); // offset, size, payload, items
  #signal = new Uint8Array(64);
  #words = 1;
  #routes = new Uint32Array(64);
  /** Highest seq per route: the segment is needed until the route's low watermark is there. */
  readonly lastOf = new Map<number, Seq>();

  constructor(id: number, createdMs: number) {
    this.id = id;
    this.name = segmentName(id);
    this.createdMs = createdMs;
    this.length = 0;
  }

  add(frame: FrameEntry): void {
    const at = this.count;
    if (at === this.#seq.length) this.#grow(at * 2, this.#words);
    if (frame.routes.length > this.#words) this.#grow(this.#seq.length, frame.routes.length);
    this.#seq[at] = frame.seq;
    this.#arrival[at] = frame.arrivalMs;
    this.#numbers[at * 4] = frame.offset;
    this.#numbers[at * 4 + 1] = frame.size;
    this.#numbers[at * 4 + 2] = frame.payload;
    this.#numbers[at * 4 + 3] = frame.items;
    this.#signal[at] = frame.signal;
    this.#routes.set(frame.routes, at * this.#words);
    this.count = at + 1;
    for (let word = 0; word < frame.routes.length; word++)
      for (let rest = frame.routes[word] ?? 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0)
        this.lastOf.set(word * 32 + 31 - Math.clz32(rest & -rest), frame.seq);
  }

  /** 0 when there is no such frame. */
  seq(index: number): Seq {
    return this.#seq[index] ?? 0;
  }
  arrivalMs(index: number): number {
    return this.#arrival[index] ?? 0;
  }
  offset(index: number): number {
    return this.#numbers[index * 4] ?? 0;
  }
  size(index: number): number {
    return this.#numbers[index * 4 + 1] ?? 0;
  }
  payload(index: number): number {
    return this.#numbers[index * 4 + 2] ?? 0;
  }
  items(index: number): number {
    return this.#numbers[index * 4 + 3] ?? 0;
  }
  signal(index: number): number {
    return this.#signal[index] ?? 0;
  }
  has(index: number, route: number): boolean {
    const word = route >>> 5;
    if (word >= this.#words) return false;
    return (((this.#routes[index * this.#words + word] ?? 0) >>> (route & 31)) & 1) === 1;
  }
  /** Route numbers that any frame here names. */
  routes(): Iterable<number> {
    return this.lastOf.keys();
  }

  /** Index of the first frame with at least this seq; `count` when there is none. */
  indexFrom(seq: Seq): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.seq(middle) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(capacity: number, words: number): void {
    const seq = new Float64Array(capacity);
    seq.set(this.#seq);
    const arrival = new Float64Array(capacity);
    arrival.set(this.#arrival);
    const numbers = new Uint32Array(capacity * 4);
    numbers.set(this.#numbers);
    const signal = new Uint8Array(capacity);
    signal.set(this.#signal);
    const routes = new Uint32Array(capacity * words);
    for (let i = 0; i < this.count; i++)
      routes.set(this.#routes.subarray(i * this.#words, (i + 1) * this.#words), i * words);
    this.#seq = seq;
    this.#arrival = arrival;
    this.#numbers = numbers;
    this.#signal = signal;
    this.#routes = routes;
    this.#words = words;
  }
}

/** The segments of a journal in order, and walks over their frames. */
export class Segments {
  readonly list: Segment[] = [];
  /** Frames in all of them. */
  frames = 0;
  /** Bytes in all of them. */
  bytes = 0;

  /** Calls `visit` for frames from `seq` on, until it answers false. */
  walk(seq: Seq, visit: (segment: Segment, index: number) => boolean): void {
    for (let i = this.#segmentFrom(seq); i < this.list.length; i++) {
      const segment = this.list[i] as Segment;
      for (let at = segment.indexFrom(seq); at < segment.count; at++)
        if (!visit(segment, at)) return;
    }
  }

  /** All but the newest: its checkpoint holds the totals, also while nothing was written since the start. */
  older(): Segment[] {
    return this.list.slice(0, -1);
  }

  remove(segment: Segment): void {
    this.replace([segment], undefined);
  }

  /** Puts a segment where the first of these stood, or nothing. They are neighbours. */
  replace(segments: readonly Segment[], by: Segment | undefined): void {
    const at = this.list.indexOf(segments[0] as Segment);
    if (at < 0) return;
    this.list.splice(at, segments.length, ...(by === undefined ? [] : [by]));
    for (const { count, length } of segments) {
      this.frames -= count;
      this.bytes -= length;
    }
    this.frames += by?.count ?? 0;
    this.bytes += by?.length ?? 0;
  }

  /** Index of the last segment that begins at or before `seq`, else 0. */
  #segmentFrom(seq: Seq): number {
    let at = this.list.length - 1;
    while (at > 0) {
      const segment = this.list[at] as Segment;
      if (segment.count > 0 && segment.seq(0) <= seq) return at;
      at--;
    }
    return 0;
  }
}
