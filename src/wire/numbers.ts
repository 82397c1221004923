/**
 * Numbers as decimal text, written straight into memory. Every function returns the position behind the text; none makes an object or
 * a BigInt, and only doubles with many digits make a string. The caller has checked the room: NUMBER_MAX bytes are enough for each.
 */

/** Longest text that a function of this file writes, in bytes ("-1.2345678901234567e-308" has 24). */
export const NUMBER_MAX = 32;

const BILLION = 1_000_000_000;
/** Above this, `String` writes an exponent; below, every integer is exact. */
const PLAIN_MAX = 1e15;

/** "00" … "99" as little-endian 16-bit words. */
const PAIRS = new Uint16Array(100);
for (let i = 0; i < 100; i++) PAIRS[i] = (48 + Math.trunc(i / 10)) | ((48 + (i % 10)) << 8);

/** An integer from 0 to 2^53. */
export function writeUint(out: DataView, at: number, value: number): number {
  if (value < BILLION) return writeSmall(out, at, value | 0);
  const high = Math.floor(value / BILLION);
  return writeNine(out, writeUint(out, at, high), (value - high * BILLION) | 0);
}

/** An int64 given as its two halves (any sign, `low` and `high` may be signed or unsigned 32-bit). */
export function writeInt(out: DataView, at: number, low: number, high: number): number {
  if ((high | 0) >= 0) return writeUint64(out, at, low, high);
  out.setUint8(at, 45);
  const negated = ~low + 1;
  return writeUint64(out, at + 1, negated, (negated | 0) === 0 ? ~high + 1 : ~high);
}

/** A uint64 given as its two halves. */
export function writeUint64(out: DataView, at: number, low: number, high: number): number {
  const lo = low >>> 0;
  const hi = high >>> 0;
  if (hi < 0x20_0000) return writeUint(out, at, hi * 4_294_967_296 + lo);
  // Long division by 10^9 in 16-bit steps: every intermediate is below 2^53.
  const top = Math.floor(hi / BILLION);
  const x = (hi - top * BILLION) * 65_536 + (lo >>> 16);
  const middle = Math.floor(x / BILLION);
  const y = (x - middle * BILLION) * 65_536 + (lo & 0xffff);
  const bottom = Math.floor(y / BILLION);
  const seconds = top * 4_294_967_296 + middle * 65_536 + bottom;
  return writeNine(out, writeUint(out, at, seconds), (y - bottom * BILLION) | 0);
}

/**
 * Times in nanoseconds, given as the halves of an int64. Times of one request share their second, so its digits are kept and copied:
 * 16 bytes are written for the seconds, whatever their length.
 */
export class NanosWriter {
  #seconds = -1;
  #length = 0;
  readonly #digits = new DataView(new ArrayBuffer(NUMBER_MAX));

  write(out: DataView, at: number, low: number, high: number): number {
    if ((high | 0) <= 0) return writeInt(out, at, low, high);
    // The double may be off by 1,024, so the quotient by one.
    let seconds = Math.floor((high * 4_294_967_296 + (low >>> 0)) / BILLION);
    let nanos = (low - Math.imul(seconds | 0, BILLION)) | 0;
    if (nanos < 0) {
      seconds--;
      nanos += BILLION;
    } else if (nanos >= BILLION) {
      seconds++;
      nanos -= BILLION;
    }
    const digits = this.#digits;
    if (seconds !== this.#seconds) {
      this.#seconds = seconds;
      this.#length = writeUint(digits, 0, seconds);
    }
    out.setFloat64(at, digits.getFloat64(0, true), true);
    out.setFloat64(at + 8, digits.getFloat64(8, true), true);
    return writeNine(out, at + this.#length, nanos);
  }
}

/**
 * The shortest text that reads back as the same double, in the form of `String(value)`; minus zero is "-0". Not for NaN and ±Inf,
 * which line protocol cannot carry: the caller leaves them out.
 */
export function writeDouble(out: DataView, at: number, value: number): number {
  let size = value;
  let end = at;
  if (value < 0 || (value === 0 && 1 / value < 0)) {
    out.setUint8(end++, 45);
    size = -value;
  }
  if (size < PLAIN_MAX && Math.floor(size) === size) return writeUint(out, end, size);
  // At most 15 digits name at most one double, so if thousandths read back equal, they are the shortest text.
  const thousandths = Math.round(size * 1000);
  if (size < 1e12 && size >= 0.001 && thousandths / 1000 === size)
    return writeThousandths(out, end, thousandths);
  const text = String(size);
  for (let i = 0; i < text.length; i++) out.setUint8(end++, text.charCodeAt(i));
  return end;
}

/** `thousandths` is no multiple of 1000. */
function writeThousandths(out: DataView, at: number, thousandths: number): number {
  const whole = Math.floor(thousandths / 1000);
  const rest = thousandths - whole * 1000;
  let end = writeUint(out, at, whole);
  out.setUint8(end++, 46);
  const tenths = Math.trunc(rest / 100);
  out.setUint8(end++, 48 + tenths);
  const pair = PAIRS[rest - tenths * 100]!;
  if (pair === 0x3030) return end;
  out.setUint16(end, pair, true);
  return pair >>> 8 === 48 ? end + 1 : end + 2;
}

/** 0 ≤ value < 10^9, without leading zeros. */
function writeSmall(out: DataView, at: number, value: number): number {
  if (value < 20_000) return writeUnder20000(out, at, value);
  const high = (value / 10_000) | 0;
  const low = value - high * 10_000;
  const end = writeSmall(out, at, high);
  const pair = (low / 100) | 0;
  out.setUint16(end, PAIRS[pair]!, true);
  out.setUint16(end + 2, PAIRS[low - pair * 100]!, true);
  return end + 4;
}

/** An integer from 0 to 19,999: every varint of one or two bytes. */
export function writeUnder20000(out: DataView, at: number, value: number): number {
  let end = at;
  let rest = value;
  if (rest >= 10_000) {
    out.setUint8(end++, 49);
    rest -= 10_000;
  } else if (rest < 100) {
    if (rest < 10) {
      out.setUint8(end, 48 + rest);
      return end + 1;
    }
    out.setUint16(end, PAIRS[rest]!, true);
    return end + 2;
  }
  const high = (rest / 100) | 0;
  if (high < 10 && end === at) out.setUint8(end++, 48 + high);
  else {
    out.setUint16(end, PAIRS[high]!, true);
    end += 2;
  }
  out.setUint16(end, PAIRS[rest - high * 100]!, true);
  return end + 2;
}

/** Exactly nine digits. */
export function writeNine(out: DataView, at: number, value: number): number {
  const high = (value / 100_000) | 0;
  const low = value - high * 100_000;
  const first = (high / 100) | 0;
  const tens = (low / 10) | 0;
  const third = (tens / 100) | 0;
  out.setUint16(at, PAIRS[first]!, true);
  out.setUint16(at + 2, PAIRS[high - first * 100]!, true);
  out.setUint16(at + 4, PAIRS[third]!, true);
  out.setUint16(at + 6, PAIRS[tens - third * 100]!, true);
  out.setUint8(at + 8, 48 + low - tens * 10);
  return at + 9;
}
