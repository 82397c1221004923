import { isUtf8 } from "../line/utf8.ts";
import { LineText, room, writeString } from "../line/writer.ts";
import { JsonScan } from "../wire/json-scan.ts";
import { SLACK } from "../wire/slack.ts";
import { readJsonTime } from "./json-time.ts";
import { JsonValues } from "./json-values.ts";

const FIRST = 1 << 12;
const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const OPEN_LIST = 91;
const LETTER_N = 110;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
/** A whole number that 64 bits may hold. */
const INTEGER = /^-?\d{1,20}$/;
const INT64 = 2n ** 63n;
/** Longest text that is looked at as a time. */
const TIME_MAX = 64;

/** Where a value is. */
interface Span {
  readonly at: number;
  readonly end: number;
}
type Members = ReadonlyMap<string, Span>;

/** What is wrong with a point. */
class BadPoint extends Error {
  /** Its JSON is damaged, so its end may be another. */
  readonly isDamaged: boolean;
  constructor(message: string, isDamaged = false) {
    super(message);
    this.isDamaged = isDamaged;
  }
}

/**
 * JSON points, `{"measurement","tags","fields","timestamp"}`, as lines of line protocol, so that all that follows is the same. Other
 * members of a point count as fields. One bad point costs itself.
 */
export class JsonPoints {
  /** The lines, from 0 to `length`, with SLACK behind. Times are in nanoseconds. */
  bytes: Uint8Array = new Uint8Array(FIRST);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;
  points = 0;
  bad = 0;
  /** Sentence about the first bad point, with its number; "" when there is none. */
  firstBad = "";
  /** Points whose time does not fit 1677–2262: they have none. */
  replacedTimes = 0;
  /** Bytes that names and tags lost: control characters, and backslashes at their end. */
  lostCharacters = 0;
  readonly #values = new JsonValues();
  readonly #scan = new JsonScan();
  readonly #line = new LineText("v2");
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** A text without its escapes. */
  #text: Uint8Array = new Uint8Array(FIRST);
  #textView: DataView = new DataView(this.#text.buffer);

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
    this.length = 0;
    this.bad = 0;
    this.firstBad = "";
    this.replacedTimes = 0;
    const { dropped } = this.#line;
    const isMore = this.#readUntil(this.#values.position + size);
    this.lostCharacters = this.#line.dropped - dropped;
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
    const start = this.length;
    const { dropped } = this.#line;
    this.#scan.begin(this.#bytes, this.#view, values.end);
    try {
      if (!isUtf8(this.#bytes, values.at, values.end)) throw new BadPoint("not valid UTF-8");
      this.#point();
    } catch (error) {
      if (!(error instanceof BadPoint)) throw error;
      this.length = start;
      this.#line.dropped = dropped;
      if (error.isDamaged) values.fail(error.message);
      else values.problem = error.message;
    } finally {
      this.#scan.release();
    }
  }

  #point(): void {
    const { at, end } = this.#values;
    const point = this.#members({ at, end });
    const measurement = point.get("measurement");
    if (measurement === undefined || !this.#isText(measurement))
      throw new BadPoint('"measurement" is missing or no text');
    const timeKey = ["timestamp", "time"].find((key) => this.#isThere(point.get(key)));
    const time = timeKey === undefined ? "" : this.#time(timeKey, point.get(timeKey) as Span);
    if (!this.#put(measurement, "measurement")) throw new BadPoint('"measurement" is empty');
    for (const [name, value] of this.#objectOf("tags", point)) this.#tag(name, value);
    const fields = this.#objectOf("fields", point);
    let separator = SPACE;
    for (const name of new Set([...point.keys(), ...fields.keys()])) {
      const value = fields.get(name) ?? (isOwn(name, timeKey) ? undefined : point.get(name));
      if (!this.#isThere(value)) continue;
      this.#field(name, value, separator);
      separator = COMMA;
    }
    if (separator === SPACE) throw new BadPoint("it has no field");
    this.#ascii(time);
    this.#byte(NEWLINE);
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
    return Buffer.from(this.#text.buffer, 0, this.#unescape(p)).toString();
  }

  /** Puts the text whose opening quote is at `p` into `#text`; returns its length. */
  #unescape(p: number): number {
    const scan = this.#scan;
    const most = scan.end - p + SLACK;
    if (most > this.#text.length) {
      this.#text = new Uint8Array(2 * most);
      this.#textView = new DataView(this.#text.buffer);
    }
    this.#step(scan.text(p + 1, this.#textView, 0));
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

  /** Empty values are left out, as in lines. */
  #tag(name: string, value: Span): void {
    if (!this.#isThere(value)) return;
    const start = this.length;
    this.#byte(COMMA);
    this.#key(name);
    if (!this.#put(value, "tag")) this.length = start;
  }

  #field(name: string, value: Span, separator: number): void {
    this.#byte(separator);
    this.#key(name);
    const first = this.#scan.bytes[value.at] as number;
    if (first === QUOTE || first === OPEN_LIST || first === OPEN_OBJECT) this.#put(value, "string");
    else this.#ascii(literalOf(this.#source(value)));
  }

  #key(name: string): void {
    const length = this.#encode(name);
    this.#ensure(room(length) + 2);
    const start = this.length;
    this.length = this.#line.writeName(this.view, start, this.#textView, 0, length);
    if (this.length === start) throw new BadPoint("a tag or field has an empty name");
    this.#byte(EQUALS);
  }

  /** ` nanoseconds`, or nothing where they do not fit. */
  #time(key: string, value: Span): string {
    const text = this.#isText(value) ? this.#name(value.at) : this.#source(value);
    const nanos = text.length > TIME_MAX ? undefined : readJsonTime(text);
    if (nanos === undefined)
      throw new BadPoint(`"${key}" is no time: write 2024-01-15T10:30:00Z or a number`);
    if (nanos >= -INT64 && nanos < INT64) return ` ${nanos}`;
    this.replacedTimes++;
    return "";
  }

  /** A value as a text, escaped for its place: numbers in shortest form (mapping rule 3), objects and lists as they were written. False when nothing is left of it. */
  #put(value: Span, place: "measurement" | "tag" | "string"): boolean {
    const { bytes, view } = this.#scan;
    const first = bytes[value.at];
    let source = this.#textView;
    let from = 0;
    let end: number;
    if (first === QUOTE) {
      end = this.#unescape(value.at);
      source = this.#textView;
    } else if (first === OPEN_LIST || first === OPEN_OBJECT) {
      source = view;
      from = value.at;
      end = value.end;
    } else end = this.#encode(shortest(this.#source(value)));
    this.#ensure(room(end - from) + 2);
    const start = this.length;
    const out = this.view;
    if (place === "string") this.length = writeString(out, start, source, from, end);
    else if (place === "tag") this.length = this.#line.writeTagValue(out, start, source, from, end);
    else this.length = this.#line.writeMeasurement(out, start, source, from, end);
    return this.length > start;
  }

  #source({ at, end }: Span): string {
    return Buffer.from(this.#scan.bytes.subarray(at, end)).toString("latin1");
  }

  /** Puts a short text into `#text`. */
  #encode(text: string): number {
    const most = text.length * 3 + SLACK;
    if (most > this.#text.length) {
      this.#text = new Uint8Array(2 * most);
      this.#textView = new DataView(this.#text.buffer);
    }
    return Buffer.from(this.#text.buffer).write(text);
  }

  #ascii(text: string): void {
    this.#ensure(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i);
  }

  #byte(value: number): void {
    this.#ensure(1);
    this.bytes[this.length++] = value;
  }

  #ensure(more: number): void {
    const need = this.length + more + SLACK;
    if (need <= this.bytes.length) return;
    const bytes = new Uint8Array(2 * need);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** Members of a point that are no fields. */
function isOwn(name: string, timeKey: string | undefined): boolean {
  return name === "measurement" || name === "tags" || name === "fields" || name === timeKey;
}

/** A number or boolean as the text of a tag. */
function shortest(source: string): string {
  if (source === "true" || source === "false") return source;
  return INTEGER.test(source) ? String(BigInt(source)) : String(Number(source));
}

/** As a field: a whole number without a point is an integer while 64 bits hold it, all other numbers are floats. */
function literalOf(source: string): string {
  if (!INTEGER.test(source)) return source;
  const value = BigInt(source);
  if (value >= -INT64 && value < INT64) return `${value}i`;
  return value >= 0n && value < 2n * INT64 ? `${value}u` : source;
}
