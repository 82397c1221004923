import { isUtf8 } from "../../line/utf8.ts";
import { JsonScan } from "../../wire/json-scan.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import { readJsonTime } from "./json-time.ts";
import { JsonValues } from "./json-values.ts";
import { NameTexts } from "./name-texts.ts";
import {
  BadPoint,
  isSmallInteger,
  literalOf,
  PointLines,
  ScratchText,
  shortestText,
} from "./point-lines.ts";

const QUOTE = 34;
const COMMA = 44;
const OPEN_LIST = 91;
const LETTER_N = 110;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const INT64 = 2n ** 63n;
/** Longest text that is looked at as a time. */
const TIME_MAX = 64;

/** Where a value is. */
interface Span {
  readonly at: number;
  readonly end: number;
}
type Members = ReadonlyMap<string, Span>;

/** What is told of points beside the usual. */
export interface JsonPointOptions {
  /** Measurement of points without one; default: they are bad. */
  readonly defaultMeasurement?: string;
  /** Whole numbers are floats like all others; default: they are integers. */
  readonly areFloats?: boolean;
  /**
   * Reads a point whose `fields` are a list: all but its end, into the lines. Returns its time in nanoseconds, undefined for none; throws
   * BadPoint. The text is valid JSON.
   */
  readonly ofFieldList?: (text: string, lines: PointLines) => bigint | undefined;
}

/**
 * JSON points, `{"measurement","tags","fields","timestamp"}`, as lines of line protocol, so that all that follows is the same. Other
 * members of a point count as fields. One bad point costs itself.
 */
export class JsonPoints {
  points = 0;
  bad = 0;
  /** Sentence about the first bad point, with its number; "" when there is none. */
  firstBad = "";
  /** Points whose time does not fit 1677–2262: they have none. */
  replacedTimes = 0;
  /** Bytes that names and tags lost: control characters, and backslashes at their end. */
  lostCharacters = 0;
  readonly #options: JsonPointOptions;
  readonly #values = new JsonValues();
  readonly #scan = new JsonScan();
  readonly #lines = new PointLines();
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** A text without its escapes. */
  readonly #text = new ScratchText();
  readonly #names = new NameTexts();
  readonly #times = new TimeText();

  constructor(options: JsonPointOptions = {}) {
    this.#options = options;
  }

  /** The lines, from 0 to `length`, with SLACK behind. Times are in nanoseconds. */
  get bytes(): Uint8Array {
    return this.#lines.bytes;
  }
  get view(): DataView {
    return this.#lines.view;
  }
  get length(): number {
    return this.#lines.length;
  }

  /** Reads all points of `bytes[from, to)`; earlier ones are gone. The memory needs SLACK bytes behind `to`, which are as before afterwards. */
  read(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    this.begin(bytes, view, from, to);
    this.readSome(Number.POSITIVE_INFINITY);
  }

  /** Sets the cursor before the first point, for `readSome`; the memory must stay as it is. */
  begin(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    this.points = 0;
    this.#bytes = bytes;
    this.#view = view;
    this.#values.reset(bytes, from, to);
  }

  /** The points of about the next `size` bytes: these alone are then in the lines and counts (but for `points`). False when there are no more. */
  readSome(size: number): boolean {
    this.#lines.length = 0;
    this.bad = 0;
    this.firstBad = "";
    this.replacedTimes = 0;
    const { dropped } = this.#lines;
    const isMore = this.#readUntil(this.#values.position + size);
    this.lostCharacters = this.#lines.dropped - dropped;
    return isMore;
  }

  #readUntil(stop: number): boolean {
    const values = this.#values;
    while (values.next()) {
      this.points++;
      if (values.problem === "") this.#read();
      if (values.problem !== "" && this.bad++ === 0)
        this.firstBad = `point ${this.points}: ${values.problem}`;
      if (values.position >= stop) return true;
    }
    return false;
  }

  /** The object at the cursor; what is wrong with it becomes the cursor's problem. */
  #read(): void {
    const values = this.#values;
    this.#lines.begin();
    this.#scan.begin(this.#bytes, this.#view, values.end);
    try {
      if (!isUtf8(this.#bytes, values.at, values.end)) throw new BadPoint("not valid UTF-8");
      this.#point();
    } catch (error) {
      if (!(error instanceof BadPoint)) throw error;
      this.#lines.undo();
      if (error.isDamaged) values.fail(error.message);
      else values.problem = error.message;
    } finally {
      this.#scan.release();
    }
  }

  #point(): void {
    const { at, end } = this.#values;
    const point = this.#members({ at, end });
    const { ofFieldList } = this.#options;
    const list = point.get("fields");
    if (
      ofFieldList !== undefined &&
      list !== undefined &&
      this.#scan.bytes[list.at] === OPEN_LIST
    ) {
      const text = Buffer.from(
        this.#bytes.buffer,
        this.#bytes.byteOffset + at,
        end - at,
      ).toString();
      this.#end(ofFieldList(text, this.#lines));
      return;
    }
    const timeKey = this.#isThere(point.get("timestamp")) ? "timestamp" : "time";
    this.#measurement(point.get("measurement"));
    for (const [name, value] of this.#objectOf("tags", point)) this.#tag(name, value);
    const fields = this.#objectOf("fields", point);
    for (const [name, own] of point) {
      const value = fields.get(name) ?? (isOwn(name, timeKey) ? undefined : own);
      if (this.#isThere(value)) this.#field(name, value);
    }
    for (const [name, value] of fields)
      if (!point.has(name) && this.#isThere(value)) this.#field(name, value);
    this.#endAt(timeKey, point.get(timeKey));
  }

  #measurement(value: Span | undefined): void {
    const { defaultMeasurement } = this.#options;
    if (defaultMeasurement !== undefined && !this.#isThere(value))
      this.#lines.measurementText(defaultMeasurement);
    else if (value === undefined || !this.#isText(value))
      throw new BadPoint('"measurement" is missing or no text');
    else this.#lines.measurement(this.#text.view, 0, this.#unescape(value.at));
  }

  /** The members of the object at a place; of equal names, the last. Throws where it is no JSON. */
  #members({ at, end }: Span): Members {
    const scan = this.#scan;
    const members = new Map<string, Span>();
    let p = scan.space(at + 1);
    if (scan.bytes[p] === CLOSE_OBJECT) p = this.#closed(p + 1, end);
    else
      for (let isMore = true; isMore; ) {
        const name = this.#step(scan.nameEnd(p));
        const behind = this.#step(scan.skip(name));
        members.set(this.#name(p), { at: name, end: behind });
        p = scan.space(behind);
        isMore = scan.bytes[p] === COMMA;
        if (isMore) p = scan.space(p + 1);
        else if (scan.bytes[p] === CLOSE_OBJECT) this.#closed(p + 1, end);
        else this.#step(scan.fail(p, '"," or "}"'));
      }
    return members;
  }

  #closed(p: number, end: number): number {
    return p === end ? p : this.#step(this.#scan.fail(p, "the end of the point"));
  }

  /** A position of the scan; throws where it found no JSON. */
  #step(p: number): number {
    if (p >= 0) return p;
    const { failedAt, expected } = this.#scan;
    const byte = failedAt - this.#values.at + 1;
    throw new BadPoint(`not valid JSON: expected ${expected} at byte ${byte}`, true);
  }

  /** The name whose opening quote is at `p`. */
  #name(p: number): string {
    const length = this.#unescape(p);
    return this.#names.get(this.#text.bytes, length);
  }

  /** Puts the text whose opening quote is at `p` into `#text`; returns its length. */
  #unescape(p: number): number {
    const scan = this.#scan;
    this.#text.ensure(scan.end - p);
    this.#step(scan.text(p + 1, this.#text.view, 0));
    return scan.written;
  }

  #objectOf(name: string, point: Members): Members {
    const value = point.get(name);
    if (!this.#isThere(value)) return new Map();
    if (this.#scan.bytes[value.at] !== OPEN_OBJECT) throw new BadPoint(`"${name}" is no object`);
    return this.#members(value);
  }

  #isText({ at }: Span): boolean {
    return this.#scan.bytes[at] === QUOTE;
  }

  /** `null` is absent. */
  #isThere(value: Span | undefined): value is Span {
    return value !== undefined && this.#scan.bytes[value.at] !== LETTER_N;
  }

  /** Objects and lists are the text as which they were written. */
  #tag(name: string, value: Span): void {
    if (!this.#isThere(value)) return;
    if (this.#isText(value)) {
      const length = this.#unescape(value.at);
      this.#lines.tag(name, this.#text.view, 0, length);
    } else if (this.#isNested(value)) this.#lines.tag(name, this.#scan.view, value.at, value.end);
    else this.#lines.tagText(name, shortestText(this.#source(value)));
  }

  #field(name: string, value: Span): void {
    const { bytes, view } = this.#scan;
    const areFloats = this.#options.areFloats === true;
    if (this.#isText(value)) {
      const length = this.#unescape(value.at);
      this.#lines.field(name, this.#text.view, 0, length);
    } else if (this.#isNested(value)) this.#lines.field(name, view, value.at, value.end);
    else if (!areFloats && isSmallInteger(bytes, value.at, value.end))
      this.#lines.fieldInteger(name, bytes, value.at, value.end);
    else {
      const source = this.#source(value);
      this.#lines.fieldLiteral(name, areFloats ? source : literalOf(source));
    }
  }

  #isNested({ at }: Span): boolean {
    const first = this.#scan.bytes[at];
    return first === OPEN_LIST || first === OPEN_OBJECT;
  }

  /** Ends the line with a time of JSON. */
  #endAt(key: string, value: Span | undefined): void {
    if (!this.#isThere(value)) {
      this.#lines.end("");
      return;
    }
    const isText = this.#isText(value);
    const length = isText ? this.#unescape(value.at) : 0;
    const kind = isText
      ? this.#times.read(this.#text.bytes, 0, length)
      : this.#times.read(this.#scan.bytes, value.at, value.end);
    if (kind === TimeKind.time) this.#lines.endAt(this.#times.low, this.#times.high);
    else if (kind === TimeKind.outOfRange) {
      this.replacedTimes++;
      this.#lines.end("");
    } else this.#end(this.#slowTime(key, value));
  }

  /** A number with an exponent, say. */
  #slowTime(key: string, value: Span): bigint {
    const text = this.#isText(value) ? this.#name(value.at) : this.#source(value);
    const nanos = text.length > TIME_MAX ? undefined : readJsonTime(text);
    if (nanos === undefined)
      throw new BadPoint(`"${key}" is no time: write 2024-01-15T10:30:00Z or a number`);
    return nanos;
  }

  /** Ends the line with a time in nanoseconds, or without one where it does not fit. */
  #end(nanos: bigint | undefined): void {
    const fits = nanos === undefined || (nanos >= -INT64 && nanos < INT64);
    if (!fits) this.replacedTimes++;
    this.#lines.end(fits && nanos !== undefined ? String(nanos) : "");
  }

  #source({ at, end }: Span): string {
    return Buffer.from(this.#scan.bytes.subarray(at, end)).toString("latin1");
  }
}

/** Members of a point that are no fields. */
function isOwn(name: string, timeKey: string): boolean {
  return name === "measurement" || name === "tags" || name === "fields" || name === timeKey;
}
