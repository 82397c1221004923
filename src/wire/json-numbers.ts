import type { JsonScan } from "./json-scan.ts";

/** A token that is JSON, but not the number that was asked for. */
export const NO_NUMBER = -2;

const WORD = 4_294_967_296;
const EXACT_MAX = 9_007_199_254_740_992;
/** Powers of ten that doubles hold exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
/** Longest number that is read: 2^1024 and all digits of the smallest double fit. */
const LONGEST = 1_100;
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const NAMED = /^([+-]?)(?:inf|infinity)$/i;
const UINT64_END = 2n ** 64n;

/**
 * Numbers of ProtoJSON: bare or in quotes. Functions give the position behind the token, -1 (no JSON: see the scan) or NO_NUMBER, and
 * leave the value in fields. The usual forms make neither strings nor BigInts; exponents, integers with a fraction and doubles
 * of more than 2^53 in digits do.
 */
export class JsonNumbers {
  /** The two halves of the last integer's size, without its sign. */
  low = 0;
  high = 0;
  isNegative = false;
  /** The integer has more than 64 bits. */
  isOver = false;
  /** The last double, in the first element. */
  readonly double = new Float64Array(1);
  readonly #scan: JsonScan;
  /** Low and high word of the digits read so far: in memory, because fields that hold doubles are boxed. */
  readonly #sum = new Float64Array(2);

  constructor(scan: JsonScan) {
    this.#scan = scan;
  }

  /** A whole number of any size, also as `1e3` or `5.0`. */
  integer(p: number): number {
    const bytes = this.#scan.bytes;
    const isQuoted = bytes[p] === 0x22;
    let q = isQuoted ? p + 1 : p;
    const isNegative = bytes[q] === 0x2d;
    if (isNegative) q++;
    const sum = this.#sum;
    sum[0] = 0;
    sum[1] = 0;
    const first = q;
    q = this.#digits(q);
    const c = bytes[q]!;
    if (q === first || c === 0x2e || (c | 0x20) === 0x65 || (isQuoted && c !== 0x22))
      return this.#rareInteger(p);
    if (!isQuoted && bytes[first] === 0x30 && q - first > 1) return this.#scan.numberEnd(p); // fails
    const high = sum[1]!;
    this.low = sum[0]! | 0;
    this.high = high | 0;
    this.isNegative = isNegative;
    this.isOver = high >= WORD;
    return isQuoted ? q + 1 : q;
  }

  /** A double; also "NaN", "Infinity" and "-Infinity" in quotes, as strconv.ParseFloat spells them. */
  float(p: number): number {
    const bytes = this.#scan.bytes;
    const isQuoted = bytes[p] === 0x22;
    let q = isQuoted ? p + 1 : p;
    const isNegative = bytes[q] === 0x2d;
    if (isNegative) q++;
    const sum = this.#sum;
    sum[0] = 0;
    sum[1] = 0;
    const first = q;
    q = this.#digits(q);
    let hasFraction = false;
    let decimals = 0;
    const isWhole = q > first && (q - first === 1 || bytes[first] !== 0x30);
    if (bytes[q] === 0x2e) {
      hasFraction = true;
      const point = q;
      q = this.#digits(q + 1);
      decimals = q - point - 1;
    }
    const size = sum[1]! * WORD + sum[0]!;
    const c = bytes[q]!;
    const isUsual = isWhole && (decimals > 0 || !hasFraction) && decimals < 23 && size < EXACT_MAX;
    if (!isUsual || (c | 0x20) === 0x65 || (isQuoted && c !== 0x22)) return this.#rareFloat(p);
    const value = size / POWERS[decimals]!;
    this.double[0] = isNegative ? -value : value;
    return isQuoted ? q + 1 : q;
  }

  /** Appends the run of digits at `p` to the sum; returns its end. */
  #digits(p: number): number {
    const { bytes, view } = this.#scan;
    let low = this.#sum[0]!;
    let high = this.#sum[1]!;
    let x = view.getInt32(p, true);
    while ((((x + 0x46464646) | (x - 0x30303030)) & 0x80808080) === 0) {
      const pairs = ((x & 0x0f0f0f0f) * 10 + ((x >>> 8) & 0x0f0f0f)) & 0x00ff00ff;
      const sum = low * 10_000 + ((pairs & 0xff) * 100 + (pairs >>> 16));
      low = sum >>> 0;
      high = high * 10_000 + (sum - low) / WORD;
      p += 4;
      x = view.getInt32(p, true);
    }
    let scale = 1;
    let rest = 0;
    for (let digit = bytes[p]! - 48; digit >= 0 && digit < 10; digit = bytes[++p]! - 48) {
      rest = rest * 10 + digit;
      scale *= 10;
    }
    const sum = low * scale + rest;
    low = sum >>> 0;
    this.#sum[0] = low;
    this.#sum[1] = high * scale + (sum - low) / WORD;
    return p;
  }

  #rareInteger(p: number): number {
    const end = this.#tokenEnd(p);
    if (end < 0) return end;
    const [, sign, whole = "", fraction = "", exponent = "0"] =
      DECIMAL.exec(this.#token(p, end)) ?? [];
    if (sign === undefined) return NO_NUMBER;
    let digits = (whole + fraction).replace(/^0+/, "");
    const shift = digits === "" ? 0 : Number(exponent) - fraction.length;
    if (shift < 0) {
      if (!/^0*$/.test(digits.slice(shift)) || -shift >= digits.length) return NO_NUMBER;
      digits = digits.slice(0, shift);
    }
    this.isNegative = sign === "-";
    this.isOver = digits.length + shift > 20 && shift > 0;
    const value = this.isOver ? 0n : BigInt(digits + "0".repeat(Math.max(shift, 0)) || 0);
    this.isOver ||= value >= UINT64_END;
    this.low = Number(BigInt.asIntN(32, value));
    this.high = Number(BigInt.asIntN(32, value >> 32n));
    return end;
  }

  #rareFloat(p: number): number {
    const end = this.#tokenEnd(p);
    if (end < 0) return end;
    const token = this.#token(p, end);
    const named = NAMED.exec(token);
    if (DECIMAL.test(token)) this.double[0] = Number(token);
    else if (this.#scan.bytes[p] !== 0x22) return NO_NUMBER;
    else if (named !== null)
      this.double[0] = named[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    else if (/^nan$/i.test(token)) this.double[0] = Number.NaN;
    else return NO_NUMBER;
    return end;
  }

  /** End of the text or number at `p`. */
  #tokenEnd(p: number): number {
    const c = this.#scan.bytes[p]!;
    if (c === 0x22) return this.#scan.textEnd(p + 1);
    return c === 0x2d || (c >= 0x30 && c <= 0x39) ? this.#scan.numberEnd(p) : NO_NUMBER;
  }

  /** The token without quotes and escapes; empty when it is longer than any number. */
  #token(p: number, end: number): string {
    if (end - p > LONGEST) return "";
    const text = new TextDecoder().decode(this.#scan.bytes.subarray(p, end));
    return text.startsWith('"') ? (JSON.parse(text) as string) : text;
  }
}
