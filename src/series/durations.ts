import { writeDouble, writeNine, writeUint, writeUnder20000 } from "../wire/numbers.ts";
import { SlotKind as ImportedSlotKind } from "./slots.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const SlotKind = ImportedSlotKind;
const TWO_32 = 4_294_967_296;
const DOT = 46;
const ZERO = 48;
/** Fewer nanoseconds are less than a millionth of a second, which is written with an exponent. */
const EXPONENT_BELOW = 1000;
/** Up to 15 digits name one double, so they are its shortest text. */
const DIGITS_MAX = 1e15;

/** Counts of this kind in one unit: nanoseconds, or whole units. */
function scaleOf(kind: number): number {
  return kind === SlotKind.millis ? 1_000_000 : kind === SlotKind.seconds ? 1_000_000_000 : 1;
}

/** The nanoseconds as a double; of whole milliseconds, these. */
function countOf(kind: number, low: number, high: number): number {
  const nanos = (high >>> 0) * TWO_32 + (low >>> 0);
  if (kind !== SlotKind.wholeMillis) return nanos;
  if (nanos <= Number.MAX_SAFE_INTEGER) return Math.floor(nanos / 1e6);
  const exact = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0); // months long
  return Number(exact / 1_000_000n);
}

/** A duration as a number: milliseconds, seconds or nanoseconds. */
export function durationOf(kind: number, low: number, high: number): number {
  return countOf(kind, low, high) / scaleOf(kind);
}

/** Whether it is an integer, which is then in `durationOf` below 2^53. */
export function isWholeDuration(kind: number, low: number, high: number): boolean {
  return countOf(kind, low, high) % scaleOf(kind) === 0;
}

/** The shortest text of `durationOf`. */
export function writeDuration(
  out: DataView,
  at: number,
  kind: number,
  low: number,
  high: number,
): number {
  if (high === 0 && kind === SlotKind.seconds && low >>> 0 >= EXPONENT_BELOW)
    return writeShort(out, at, low >>> 0, 1_000_000_000, 1);
  if (high === 0 && kind === SlotKind.millis && low !== 0)
    return writeShort(out, at, low >>> 0, 1_000_000, 1_000);
  const count = countOf(kind, low, high);
  const scale = scaleOf(kind);
  if (scale === 1) return writeDouble(out, at, count);
  // Below a millionth, numbers are written with an exponent.
  if (count >= DIGITS_MAX || count * 1e6 < scale) return writeDouble(out, at, count / scale);
  const whole = Math.floor(count / scale);
  const rest = count - whole * scale;
  const point = writeUint(out, at, whole);
  if (rest === 0) return point;
  // The digit in front of the padded rest gives way to the point.
  let end = writeUint(out, point, scale + rest);
  out.setUint8(point, DOT);
  while (out.getUint8(end - 1) === ZERO) end--;
  return end;
}

/** Nanoseconds below 2^32 divided by `scale`, which has as many zeros as `padding` lacks of nine: in integers, and with one division. */
function writeShort(
  out: DataView,
  at: number,
  nanos: number,
  scale: number,
  padding: number,
): number {
  const whole = (nanos / scale) >>> 0;
  const rest = (nanos - whole * scale) | 0;
  const point = writeUnder20000(out, at, whole);
  if (rest === 0) return point;
  out.setUint8(point, DOT);
  let end = writeNine(out, point + 1, (rest * padding) | 0);
  while (out.getUint8(end - 1) === ZERO) end--;
  return end;
}
