import type { Keys } from "../../otlp/keys.ts";
import type { Range, Stored } from "../../otlp/range.ts";
import { ENTRY, ITEM_HEADER, Item, Log, LogFlags, NodeType } from "../../otlp/tape.ts";
import { JsonWriter } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { SLACK } from "../../wire/slack.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import { compilePlan } from "../compile.ts";
import { LINE_MARKS } from "../doors/door-marks.ts";
import { ItemTime } from "../item-time.ts";
import { ItemLineWriter } from "../line-writer.ts";
import type { Table } from "../tables/tables.ts";
import type { Slab, Writer, Written } from "../writer.ts";
import { EntryLine } from "./entry-line.ts";
import { Labels } from "./labels.ts";
import { LeftOut, LeftOuts } from "./left-out.ts";
import { LEVELS, LevelWords, levelOfNumber } from "./levels.ts";
import { GrowingMemory, varintLength, writeVarint } from "./memory.ts";
import { Metadata, type MetadataLimits } from "./metadata.ts";
import { MetadataNames, Use } from "./names.ts";
import { cutAt, laterBy } from "./parts.ts";
import { ENTRIES, Streams } from "./streams.ts";
import { writeTimestamp } from "./timestamp.ts";

/** What Loki takes of one entry; 0 is no limit for times. */
export interface LokiLimits extends MetadataLimits {
  /** Of a line; a longer one becomes several entries. */
  readonly lineBytes: number;
  readonly maxAgeMs: number;
  readonly maxAheadMs: number;
}

export interface LokiWriterOptions {
  /** Tables whose rows a record may be, by its event name. */
  readonly tables: readonly Table[];
  readonly keys: Keys;
  /** Names of attributes that become labels beside the usual ones. */
  readonly labels: readonly string[];
  readonly limits: LokiLimits;
  readonly nowMs: () => number;
  /** What of records that were written is not in their entries, by reason. */
  readonly onLeftOut: (reason: string, n: number) => void;
  /** Lines that were cut into several entries. */
  readonly onSplit: (n: number) => void;
}

/** Tag of a length that is below 2^14, as most entries' are; it stands in front of the entry's content. */
const HEAD = 3;
const LINE = 0x12;
/** Timestamp, tags, lengths, ids. */
const ROOM = 512;
const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const WORD = 4_294_967_296;
const NANOS_PER_MS = 1_000_000;
const NOTHING: ReadonlyMap<string, number> = new Map();
const NONE = -1;

/** What became of an item. */
const Fate = { written: 0, full: 1, tooOld: 2, tooNew: 3 } as const;

/**
 * Log records → Loki's PushRequest in protobuf, before snappy (loki/pkg/push/push.proto). Pure, except that the age of a record is judged
 * by the clock at the time of the write. One caller at a time.
 */
export class LokiWriter implements Writer<"logs"> {
  readonly #limits: LokiLimits;
  readonly #options: LokiWriterOptions;
  readonly #json = new JsonWriter();
  /** Where entries are written to, one behind the other. */
  readonly #entries = new GrowingMemory();
  readonly #streams = new Streams(this.#entries);
  readonly #labels: Labels;
  readonly #words = new LevelWords();
  readonly #leftOuts = new LeftOuts();
  readonly #metadata: Metadata;
  readonly #line: EntryLine;
  readonly #time = new ItemTime();
  #batch: BatchMemory = NO_BATCH;
  #group = NONE;
  /** Streams of the group's records without labels of their own, by level; -1 is not known yet. */
  readonly #streamOf = new Int32Array(LEVELS.length);
  #oldest = 0;
  #newest = 0;
  /** Bytes that may be written. */
  #most = 0;
  /** End of the entries in memory. */
  #top = 0;
  #splits = 0;

  constructor(options: LokiWriterOptions) {
    const { keys, labels, limits } = options;
    const tables = options.tables.filter(({ match }) => match.points === undefined);
    this.#options = options;
    this.#limits = limits;
    const names = new MetadataNames(keys);
    for (const key of LINE_MARKS) names.use(keys.seek(key), Use.stripped);
    names.use(keys.id("message"), Use.message);
    this.#labels = new Labels(labels, keys, this.#json);
    this.#metadata = new Metadata({
      entries: this.#entries,
      names,
      labels: this.#labels,
      words: this.#words,
      limits,
      leftOuts: this.#leftOuts,
      json: this.#json,
      uint: keys.id("weir.uint"),
    });
    const rows = new ItemLineWriter<"logs">(compilePlan("logs", tables, tables, keys), "v3");
    const measurements = tables.map(({ measurement }) => measurement);
    this.#line = new EntryLine(measurements, keys, this.#json, rows);
  }

  write(range: Range<"logs">, from: number, to: number, out: Slab): Written {
    this.#begin(out.bytes.length - SLACK - out.length);
    const dropped = new Int32Array(4);
    let base = 0;
    let done = from;
    for (const frame of range.frames) {
      const { items, tape } = frame.batch;
      if (base + items <= from) {
        base += items;
        continue;
      }
      if (base >= to) break;
      this.#open(frame);
      const stop = Math.min(to - base, items);
      let item = 0;
      for (let at = 0; at < tape.length && item < stop; at += tape[at]! >>> 2) {
        if ((tape[at]! & 3) !== NodeType.item) continue;
        if (base + item >= from) {
          const fate = this.#item(at);
          if (fate === Fate.full) return this.#written(done, dropped, out);
          dropped[fate]!++;
          done++;
        }
        item++;
      }
      base += items;
    }
    return this.#written(done, dropped, out);
  }

  itemOfRow(): number {
    // Loki names no row: what it leaves out of a request is not known.
    return NONE;
  }

  #begin(most: number): void {
    const { nowMs } = this.#options;
    const { maxAgeMs, maxAheadMs } = this.#limits;
    const now = nowMs();
    this.#oldest = maxAgeMs > 0 ? (now - maxAgeMs) * NANOS_PER_MS : 0;
    this.#newest = maxAheadMs > 0 ? (now + maxAheadMs) * NANOS_PER_MS : Number.POSITIVE_INFINITY;
    this.#most = most;
    this.#top = 0;
    this.#splits = 0;
    this.#streams.reset();
  }

  #open(frame: Stored<"logs">): void {
    const { batch } = frame;
    this.#batch = batch;
    this.#group = NONE;
    this.#json.reset(batch.bytes, batch.view);
    this.#time.open(frame.arrivalMs);
    this.#line.open(frame);
    this.#metadata.open(batch);
  }

  #written(to: number, dropped: Int32Array, out: Slab): Written {
    out.length = this.#streams.write(out, out.length);
    this.#batch = NO_BATCH;
    this.#json.reset(NO_BATCH.bytes, NO_BATCH.view);
    this.#line.open(undefined);
    this.#metadata.open(NO_BATCH);
    this.#leftOuts.report(this.#options.onLeftOut);
    if (this.#splits > 0) this.#options.onSplit(this.#splits);
    const tooOld = dropped[Fate.tooOld]!;
    const tooNew = dropped[Fate.tooNew]!;
    const reasons = [
      ["too_old", tooOld],
      ["too_new", tooNew],
    ] as const;
    return {
      to,
      rows: this.#streams.rows,
      dropped: tooOld + tooNew === 0 ? NOTHING : new Map(reasons.filter(([, n]) => n > 0)),
    };
  }

  /** Writes the entries of the ITEM at tape index `at`, all or none. */
  #item(at: number): number {
    const { tape, view } = this.#batch;
    const time = this.#time;
    const line = this.#line;
    const timeAt = tape[at + Item.time]!;
    const isEarly = timeAt >= 0 && view.getInt32(timeAt + 4, true) < 0;
    const isIn = time.set(view, timeAt, isEarly && line.isLine(tape, at));
    const nanos = time.high * WORD + (time.low >>> 0);
    if (nanos < this.#oldest) return Fate.tooOld;
    if (nanos > this.#newest) return Fate.tooNew;
    if (!isIn) this.#leftOuts.add(LeftOut.time);
    if (tape[at + Item.group] !== this.#group) this.#enter(tape[at + Item.group]!);
    line.find(tape, at);
    const length = line.end - line.from;
    const { lineBytes } = this.#limits;
    if (length > this.#most || !(length > lineBytes ? this.#parts(at) : this.#whole(at))) {
      this.#leftOuts.forget();
      return Fate.full;
    }
    this.#leftOuts.keep();
    return Fate.written;
  }

  #enter(group: number): void {
    this.#group = group;
    this.#metadata.enter(group);
    this.#streamOf.fill(NONE);
  }

  #whole(at: number): boolean {
    const start = this.#top;
    const { low, high } = this.#time;
    const end = this.#entry(at, start, low, high, this.#line.from, this.#line.end, 0, 0);
    const stream = this.#stream();
    const streams = this.#streams;
    if (streams.size + end - start + streams.framing(stream) > this.#most) return false;
    streams.add(stream, start, end - start, low, high);
    this.#top = end;
    return true;
  }

  /** A line that is too long, as several entries: numbered, one nanosecond apart, cut between characters. */
  #parts(at: number): boolean {
    const { bytes, from, end } = this.#line;
    const most = this.#limits.lineBytes;
    const cuts = [from];
    for (let p = from; p < end; cuts.push(p)) p = cutAt(bytes, p + most, end);
    const parts = cuts.length - 1;
    const ends = [this.#top];
    for (let i = 0; i < parts; i++) {
      const { low, high } = laterBy(this.#time, i);
      ends.push(this.#entry(at, ends[i]!, low, high, cuts[i]!, cuts[i + 1]!, i + 1, parts));
      if (this.#streams.size + ends[i + 1]! - this.#top > this.#most) return false;
    }
    const stream = this.#stream();
    const streams = this.#streams;
    if (streams.size + ends[parts]! - this.#top + streams.framing(stream) > this.#most)
      return false;
    for (let i = 0; i < parts; i++) {
      const { low, high } = laterBy(this.#time, i);
      streams.add(stream, ends[i]!, ends[i + 1]! - ends[i]!, low, high);
    }
    this.#top = ends[parts]!;
    this.#splits++;
    return true;
  }

  /** Writes an entry with the line [from, to) behind `start`, tag and length included; returns its end. */
  #entry(
    at: number,
    start: number,
    low: number,
    high: number,
    from: number,
    to: number,
    part: number,
    parts: number,
  ): number {
    const { tape, view } = this.#batch;
    const metadata = this.#metadata;
    const line = this.#line;
    metadata.begin();
    metadata.line = line.entry;
    this.#entries.need(start + ROOM + to - from);
    const out = this.#entries.view;
    let o = writeTimestamp(out, start + HEAD, low, high);
    if (to > from) {
      out.setUint8(o, LINE);
      o = writeVarint(out, o + 1, to - from);
      o = copy(out, o, line.view, from, to - from);
    }
    if (parts > 0) {
      const number = new DataView(new TextEncoder().encode(`${part}/${parts}`.padEnd(24)).buffer);
      o = metadata.text("line_part", o, number, 0, `${part}/${parts}`.length);
    }
    const name = tape[at + Log.eventNameAt]!;
    const nameEnd = tape[at + Log.eventNameEnd]!;
    if (nameEnd > name) o = metadata.text("event_name", o, view, name, nameEnd);
    const trace = tape[at + Item.trace]!;
    if (trace >= 0) o = metadata.id("trace_id", o, trace, TRACE_BYTES);
    const span = tape[at + Item.span]!;
    if (span >= 0) o = metadata.id("span_id", o, span, SPAN_BYTES);
    o = this.#severity(at, o);
    if (line.bodyEnd > line.bodyFrom)
      o = metadata.text("body", o, line.bodyView, line.bodyFrom, line.bodyEnd);
    const first = at + ITEM_HEADER;
    o = metadata.attributes(first, first + ENTRY * tape[at + Item.attributes]!, o);
    return this.#close(start, metadata.rest(o));
  }

  /** The level by number, else by text; a text that says something else is metadata. */
  #severity(at: number, o: number): number {
    const { tape, bytes, view } = this.#batch;
    const { severityShift, severityMask } = LogFlags;
    const byNumber = levelOfNumber((tape[at + Item.flags]! >>> severityShift) & severityMask);
    const text = tape[at + Log.severityTextAt]!;
    const textEnd = tape[at + Log.severityTextEnd]!;
    this.#metadata.level = byNumber;
    if (textEnd <= text) return o;
    const byText = this.#words.get(bytes, text, textEnd);
    if (byNumber === 0) this.#metadata.level = byText;
    if (byText !== 0 && byText === this.#metadata.level) return o;
    return this.#metadata.text("severity_text", o, view, text, textEnd);
  }

  /** Puts tag and length in front of an entry's content, which it moves where they take more or less than usual. */
  #close(start: number, end: number): number {
    const length = end - start - HEAD;
    const head = 1 + varintLength(length);
    if (head !== HEAD) {
      this.#entries.need(end + head);
      this.#entries.bytes.copyWithin(start + head, start + HEAD, end);
    }
    this.#entries.view.setUint8(start, ENTRIES);
    writeVarint(this.#entries.view, start + 1, length);
    return start + head + length;
  }

  /** The stream of the record whose entry was just written. */
  #stream(): number {
    const metadata = this.#metadata;
    const level = metadata.level === 0 ? metadata.levelOfGroup : metadata.level;
    if (!metadata.hasLabel && this.#streamOf[level] !== NONE) return this.#streamOf[level]!;
    const length = this.#labels.write(this.#batch.tape, level);
    const stream = this.#streams.find(this.#labels.text, length);
    if (!metadata.hasLabel) this.#streamOf[level] = stream;
    return stream;
  }
}
