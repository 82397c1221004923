import { isUtf8 } from "../../line/utf8.ts";
import { writeJsonText } from "../../otlp/json-text.ts";
import { jsonRoom, writeBase64 } from "../../otlp/value-json.ts";
import { Msgpack, type MsgpackScan } from "../../wire/msgpack-scan.ts";
import { NUMBER_MAX, writeDouble, writeInt, writeUint, writeUint64 } from "../../wire/numbers.ts";
import { SLACK } from "../../wire/slack.ts";
import type { DoorOutput } from "../doors/door-output.ts";

/** Deepest nesting of lists and maps in a record. */
export const DEPTH_MAX = 64;
/** Type of Fluentd's EventTime: seconds and nanoseconds of 32 bits each. */
const EVENT_TIME = 0;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const POINT = 0x2e;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** MessagePack values as text: JSON where they are nested, plain where they are a name or stand for themselves. */
export class MsgpackText {
  readonly #scan: MsgpackScan;
  readonly #out: DoorOutput;

  constructor(scan: MsgpackScan, out: DoorOutput) {
    this.#scan = scan;
    this.#out = out;
  }

  /** JSON of the value at `p`, which is whole. Returns its end, or -1 when it is nested deeper than DEPTH_MAX. */
  json(p: number, depth = 0): number {
    const scan = this.#scan;
    const end = scan.head(p);
    if (scan.kind !== Msgpack.list && scan.kind !== Msgpack.map) {
      this.#scalarJson();
      return end;
    }
    if (depth === DEPTH_MAX) return -1;
    const { count } = scan;
    return scan.kind === Msgpack.list
      ? this.#list(end, count, depth)
      : this.#map(end, count, depth);
  }

  /** The plain text of the value that the scan's last `head` found, which is no list and no map. */
  plain(): void {
    const scan = this.#scan;
    const out = this.#out;
    const { kind, at, length } = scan;
    const isText = kind === Msgpack.text || kind === Msgpack.bytes || kind === Msgpack.extension;
    out.ensure(isText ? jsonRoom(length) : NUMBER_MAX);
    if (kind === Msgpack.nil) this.#word("null");
    else if (kind === Msgpack.boolean) this.#word(scan.low === 1 ? "true" : "false");
    else if (kind === Msgpack.integer)
      out.length = writeInt(out.view, out.length, scan.low, scan.high);
    else if (kind === Msgpack.unsigned)
      out.length = writeUint64(out.view, out.length, scan.low, scan.high);
    else if (kind === Msgpack.double) this.#double(scan.double[0]!);
    else if (kind === Msgpack.extension && scan.type === EVENT_TIME && length === 8) this.#time(at);
    else if (this.#isText()) out.copy(scan.view, at, length);
    else out.length = writeBase64(out.view, out.length, scan.bytes, at, at + length);
  }

  #list(p: number, count: number, depth: number): number {
    const out = this.#out;
    this.#put(OPEN_LIST);
    for (let i = 0; i < count; i++) {
      if (i > 0) out.byte(COMMA);
      p = this.json(p, depth + 1);
      if (p < 0) return -1;
    }
    this.#put(CLOSE_LIST);
    return p;
  }

  #map(p: number, count: number, depth: number): number {
    const out = this.#out;
    this.#put(OPEN_OBJECT);
    for (let i = 0; i < count; i++) {
      if (i > 0) out.byte(COMMA);
      p = this.#key(p, depth);
      if (p < 0) return -1;
      this.#put(COLON);
      p = this.json(p, depth + 1);
      if (p < 0) return -1;
    }
    this.#put(CLOSE_OBJECT);
    return p;
  }

  /** A key that is no text becomes one: a list as the JSON that it is. */
  #key(p: number, depth: number): number {
    const scan = this.#scan;
    const out = this.#out;
    const end = scan.head(p);
    if (scan.kind !== Msgpack.list && scan.kind !== Msgpack.map) {
      if (this.#isText()) this.#quoted();
      else this.#inQuotes();
      return end;
    }
    const start = out.length;
    const behind = this.json(p, depth + 1);
    if (behind < 0) return -1;
    const length = out.length - start;
    out.ensure(length + jsonRoom(length));
    const copyAt = out.length + SLACK;
    out.bytes.copyWithin(copyAt, start, out.length);
    out.length = writeJsonText(out.view, start, out.view, copyAt, copyAt + length);
    return behind;
  }

  #scalarJson(): void {
    const { kind, double } = this.#scan;
    if (this.#isText()) this.#quoted();
    else if (
      kind === Msgpack.bytes ||
      kind === Msgpack.extension ||
      (kind === Msgpack.double && !Number.isFinite(double[0]))
    )
      this.#inQuotes();
    else this.plain();
    this.#out.ensure(SLACK);
  }

  /** Whether the value is a text, or bytes that are the text they look like. */
  #isText(): boolean {
    const { kind, bytes, at, length } = this.#scan;
    return kind === Msgpack.text || (kind === Msgpack.bytes && isUtf8(bytes, at, at + length));
  }

  #quoted(): void {
    const { view, at, length } = this.#scan;
    const out = this.#out;
    out.ensure(jsonRoom(length));
    out.length = writeJsonText(out.view, out.length, view, at, at + length);
  }

  #inQuotes(): void {
    this.#put(QUOTE);
    this.plain();
    this.#put(QUOTE);
  }

  #double(value: number): void {
    const out = this.#out;
    if (Number.isFinite(value)) out.length = writeDouble(out.view, out.length, value);
    else this.#word(Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
  }

  /** Seconds since 1970 with nine decimals. */
  #time(at: number): void {
    const { view } = this.#scan;
    const out = this.#out;
    out.length = writeUint(out.view, out.length, view.getUint32(at));
    out.byte(POINT);
    const nanos = view.getUint32(at + 4) % 1_000_000_000;
    for (let scale = 100_000_000; scale >= 1; scale /= 10)
      out.byte(48 + (Math.floor(nanos / scale) % 10));
  }

  #word(word: string): void {
    for (let i = 0; i < word.length; i++) this.#out.byte(word.charCodeAt(i));
  }

  #put(byte: number): void {
    this.#out.ensure(1);
    this.#out.byte(byte);
  }
}
