import { Problem } from "./problems.ts";

const MINUS = 45;
const PLUS = 43;
const DOT = 46;
const BILLION = 1_000_000_000;
const TWO_32 = 4_294_967_296;
/** Powers of ten that a double holds exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

const isDigit = (c: number | undefined) => c !== undefined && c >= 48 && c <= 57;

/** Kinds of field values. */
export const Literal = { float: 1, integer: 2, uinteger: 3, boolean: 4, text: 5, list: 6 } as const;
export type Literal = (typeof Literal)[keyof typeof Literal];

/** Reads one unquoted value; the result stays in its members until the next call. */
export class LiteralReader {
  kind: Literal = Literal.float;
  /** Integers: the two halves. Booleans: 0 or 1 in `low`. */
  low = 0;
  high = 0;
  /** Floats. */
  number = 0;

  /** `[from, end)` is a number or a boolean. */
  read(bytes: Uint8Array, from: number, end: number): Problem {
    if (from >= end) return Problem.fieldValue;
    const first = bytes[from]!;
    if (!isDigit(first) && first !== MINUS && first !== DOT) return this.#boolean(bytes, from, end);
    const last = bytes[end - 1];
    if (last === 105 || last === 117) {
      const isSigned = last === 105;
      this.kind = isSigned ? Literal.integer : Literal.uinteger;
      return this.integer(bytes, from, end - 1, isSigned);
    }
    this.kind = Literal.float;
    return this.#float(bytes, from, end);
  }

  /** Decimal digits with an optional minus, as int64 or uint64. */
  integer(bytes: Uint8Array, from: number, end: number, isSigned: boolean): Problem {
    const isNegative = isSigned && bytes[from] === MINUS;
    let p = isNegative ? from + 1 : from;
    if (p >= end) return Problem.number;
    while (p < end - 1 && bytes[p] === 48) p++;
    // The last nine digits and the (at most eleven) digits before them are both exact as doubles.
    const split = end - p > 15 ? end - 9 : end;
    let top = 0;
    let rest = 0;
    for (; p < split; p++) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) return Problem.number;
      top = top * 10 + digit;
    }
    for (; p < end; p++) {
      const digit = bytes[p]! - 48;
      if (digit < 0 || digit > 9) return Problem.number;
      rest = rest * 10 + digit;
    }
    if (top >= 1e15) return Problem.range;
    this.low = top >>> 0;
    this.high = Math.floor(top / TWO_32);
    if (split < end && !this.#append(BILLION, rest)) return Problem.range;
    if (!isSigned) return Problem.none;
    if (this.high > 0x7fffffff && !(isNegative && this.high === 0x80000000 && this.low === 0))
      return Problem.range;
    if (isNegative) {
      this.high = (this.low === 0 ? -this.high : ~this.high) >>> 0;
      this.low = -this.low >>> 0;
    }
    return Problem.none;
  }

  /** (high, low) × scale + chunk in 16-bit steps; false when it passes 64 bits. */
  #append(scale: number, chunk: number): boolean {
    // Not with %: of doubles it is a call into the C library.
    const x = (this.low & 0xffff) * scale + chunk;
    const xHigh = Math.floor(x / 65_536);
    const y = (this.low >>> 16) * scale + xHigh;
    const yHigh = Math.floor(y / 65_536);
    const z = this.high * scale + yHigh;
    if (z >= TWO_32) return false;
    this.low = ((y - yHigh * 65_536) * 65_536 + (x - xHigh * 65_536)) >>> 0;
    this.high = z;
    return true;
  }

  #float(bytes: Uint8Array, from: number, end: number): Problem {
    const isNegative = bytes[from] === MINUS;
    let p = isNegative ? from + 1 : from;
    let mantissa = 0;
    let digits = 0;
    let power = 0;
    const start = p;
    for (; isDigit(bytes[p]) && p < end; p++) {
      mantissa = mantissa * 10 + bytes[p]! - 48;
      if (mantissa > 0) digits++;
    }
    let seen = p - start;
    if (p < end && bytes[p] === DOT) {
      const dot = p++;
      for (; p < end && isDigit(bytes[p]); p++) {
        mantissa = mantissa * 10 + bytes[p]! - 48;
        if (mantissa > 0) digits++;
      }
      power = dot + 1 - p;
      seen += p - dot - 1;
    }
    if (seen === 0) return Problem.number;
    if (p < end && (bytes[p]! | 32) === 101) {
      p++;
      const isDown = bytes[p] === MINUS;
      if (p < end && (isDown || bytes[p] === PLUS)) p++;
      const at = p;
      let exponent = 0;
      for (; p < end && isDigit(bytes[p]); p++)
        if (exponent < 100_000) exponent = exponent * 10 + bytes[p]! - 48;
      if (p === at) return Problem.number;
      power += isDown ? -exponent : exponent;
    }
    if (p !== end) return Problem.number;
    // Exact: both factors are exact, one rounding (Clinger's fast path).
    let value = Number.NaN;
    if (digits <= 15 && power >= -22 && power <= 22)
      value = power < 0 ? mantissa / POWERS[-power]! : mantissa * POWERS[power]!;
    else value = Number(textOf(bytes, start, end));
    this.number = isNegative ? -value : value;
    return Number.isFinite(value) ? Problem.none : Problem.range;
  }

  #boolean(bytes: Uint8Array, from: number, end: number): Problem {
    const first = bytes[from]!;
    const isTrue = (first | 32) === 116;
    if (!isTrue && (first | 32) !== 102) return Problem.fieldValue;
    this.kind = Literal.boolean;
    this.low = isTrue ? 1 : 0;
    const size = end - from;
    if (size === 1) return Problem.none;
    const word = isTrue ? "true" : "false";
    if (size !== word.length) return Problem.fieldValue;
    // All after the first letter in one case, upper case only after an upper-case first letter.
    const isUpper = (bytes[from + 1]! & 32) === 0;
    if (isUpper && (first & 32) !== 0) return Problem.fieldValue;
    for (let i = 1; i < size; i++)
      if (bytes[from + i] !== (isUpper ? word.charCodeAt(i) & ~32 : word.charCodeAt(i)))
        return Problem.fieldValue;
    return Problem.none;
  }
}

function textOf(bytes: Uint8Array, from: number, end: number): string {
  let text = "";
  for (let p = from; p < end; p++) text += String.fromCharCode(bytes[p]!);
  return text;
}
