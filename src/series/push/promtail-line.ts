import { TimeScale } from "../../line/time.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";

/** What `Infof` and its like put before a line. */
const LEVELS = ["Info: ", "Debug: ", "Warn: ", "Error: "].map((text) => Buffer.from(text));
const FUNCTION = Buffer.from("function");
const TIME = Buffer.from("time = ");
const RECORD = Buffer.from(", record = ");
const MONOTONIC = Buffer.from(" m=");
/** Where the record must have begun; lines are looked at up to here. */
const HEAD_MAX = 4_096;
const NEWLINE = 10;
const SPACE = 0x20;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;
const HOUR_MS = 3_600_000;

/**
 * A line that the Lambda extension sends through promtail-client: `Info: source = lambda, function= <name>,  time = <Go's time>, record = <text>`
 * and a newline, or in its later version `Info: source="lambda", function="<name>", …`. After `read`, positions in the line say where the
 * parts are; the record is what the function wrote, byte by byte.
 */
export class PromtailLine {
  functionAt = 0;
  functionEnd = 0;
  recordAt = 0;
  recordEnd = 0;
  /** Halves of the time as int64 nanoseconds. */
  timeLow = 0;
  timeHigh = 0;
  readonly #time = new TimeText();
  readonly #zone = new TimeScale("ms");
  readonly #date = new Uint8Array(64);

  /** False when the line is none of these. */
  read(view: DataView, from: number, end: number): boolean {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const start = behindLevel(bytes, from, end);
    if (start < 0) return false;
    const stop = Math.min(end, start + HEAD_MAX);
    const time = find(bytes, start, stop, TIME);
    const record = time < 0 ? -1 : find(bytes, time, stop, RECORD);
    if (record < 0 || !this.#readTime(bytes, time + TIME.length, record)) return false;
    this.#findFunction(bytes, start, time);
    this.recordAt = record + RECORD.length;
    this.recordEnd = end > this.recordAt && bytes[end - 1] === NEWLINE ? end - 1 : end;
    return true;
  }

  /** `2023-02-12 14:02:18.123456789 +0000 UTC m=+1200.1`: date, time, offset; what follows is for people. */
  #readTime(bytes: Uint8Array, from: number, end: number): boolean {
    const zone = zoneAt(bytes, from, end);
    if (zone < 0 || zone - from > this.#date.length) return false;
    const date = this.#date;
    for (let p = from; p < zone; p++) date[p - from] = bytes[p]!;
    if (this.#time.read(date, 0, zone - from) !== TimeKind.time) return false;
    const sign = bytes[zone + 1] === MINUS ? -1 : 1;
    const hours = twoDigits(bytes, zone + 2);
    const minutes = twoDigits(bytes, zone + 4);
    if (hours < 0 || minutes < 0) return false;
    const offset = -sign * (hours + minutes / 60) * HOUR_MS;
    this.#zone.setMillis(offset);
    const low = (this.#time.low >>> 0) + (this.#zone.low >>> 0);
    this.timeLow = low | 0;
    this.timeHigh = (this.#time.high + this.#zone.high + (low > 0xffff_ffff ? 1 : 0)) | 0;
    return true;
  }

  #findFunction(bytes: Uint8Array, from: number, end: number): void {
    this.functionAt = this.functionEnd = from;
    const at = find(bytes, from, end, FUNCTION);
    let p = at + FUNCTION.length;
    while (at >= 0 && p < end && bytes[p] === SPACE) p++;
    if (at < 0 || bytes[p] !== EQUALS) return;
    p++;
    while (p < end && bytes[p] === SPACE) p++;
    const isQuoted = bytes[p] === QUOTE;
    if (isQuoted) p++;
    this.functionAt = p;
    while (p < end && bytes[p] !== (isQuoted ? QUOTE : COMMA)) p++;
    this.functionEnd = p;
  }
}

/** Behind `Info: `; -1 when the line does not begin so. */
function behindLevel(bytes: Uint8Array, from: number, end: number): number {
  for (const level of LEVELS)
    if (find(bytes, from, Math.min(end, from + level.length), level) === from)
      return from + level.length;
  return -1;
}

/** The first place of `what` in `bytes[from, end)`, or -1. */
function find(bytes: Uint8Array, from: number, end: number, what: Uint8Array): number {
  for (let p = from; p + what.length <= end; p++) {
    let n = 0;
    while (n < what.length && bytes[p + n] === what[n]) n++;
    if (n === what.length) return p;
  }
  return -1;
}

/** The space before `+0000` or `-0500`; -1 when there is none. */
function zoneAt(bytes: Uint8Array, from: number, end: number): number {
  const stop = find(bytes, from, end, MONOTONIC);
  for (let p = from; p + 6 <= (stop < 0 ? end : stop); p++)
    if (bytes[p] === SPACE && (bytes[p + 1] === PLUS || bytes[p + 1] === MINUS)) return p;
  return -1;
}

function twoDigits(bytes: Uint8Array, p: number): number {
  const tens = bytes[p]! - ZERO;
  const ones = bytes[p + 1]! - ZERO;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : 10 * tens + ones;
}
