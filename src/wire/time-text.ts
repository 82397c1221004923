/** What a text is as a time. */
export const TimeKind = {
  none: 0,
  /** In `low` and `high`. */
  time: 1,
  /** A time before 1677 or after 2262: 64 bits of nanoseconds do not hold it. */
  outOfRange: 2,
} as const;
export type TimeKind = (typeof TimeKind)[keyof typeof TimeKind];

/** Longer texts are no time. */
const LONGEST = 64;
const DAYS_TO_1970 = 719_468;
const DAYS = Uint8Array.of(31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);

/**
 * Times as text, from bytes to nanoseconds since 1970: RFC 3339, also with a space for the T and without a zone (UTC), and decimal numbers,
 * whose magnitude says the unit (mapping §1.6). Nothing is rounded: digits behind the nanoseconds are left out.
 */
export class TimeText {
  /** Halves of the time as int64. */
  low = 0;
  high = 0;
  /** Digits before the point of the number that was read; 0: it was a date. */
  digits = 0;
  /** Seconds since 1970 and nanoseconds of the date or number, before they are put together: in memory, because fields with doubles are boxed. */
  readonly #parts = new Float64Array(2);
  #value = 0;

  read(bytes: Uint8Array, from: number, end: number): TimeKind {
    const length = end - from;
    if (length === 0 || length > LONGEST) return TimeKind.none;
    this.digits = 0;
    const isDate = length > 18 && bytes[from + 4] === 45;
    const isRead = isDate ? this.#date(bytes, from, end) : this.#number(bytes, from, end);
    return isRead ? this.#join() : TimeKind.none;
  }

  #date(bytes: Uint8Array, p: number, end: number): boolean {
    let isGood = this.#two(bytes, p);
    const century = this.#value;
    isGood = this.#two(bytes, p + 2) && isGood;
    const year = century * 100 + this.#value;
    isGood = this.#two(bytes, p + 5) && isGood;
    const month = this.#value;
    isGood = this.#two(bytes, p + 8) && isGood;
    const day = this.#value;
    isGood = this.#two(bytes, p + 11) && isGood;
    const hour = this.#value;
    isGood = this.#two(bytes, p + 14) && isGood;
    const minute = this.#value;
    isGood = this.#two(bytes, p + 17) && isGood;
    const second = this.#value;
    const t = bytes[p + 10]!;
    const isWritten =
      bytes[p + 7] === 45 &&
      ((t | 0x20) === 0x74 || t === 0x20) &&
      bytes[p + 13] === 58 &&
      bytes[p + 16] === 58;
    if (!isGood || !isWritten || hour > 23 || minute > 59 || second > 60) return false;
    if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return false;
    const zone = this.#fraction(bytes, p + 19, end);
    if (!this.#zone(bytes, zone, end)) return false;
    this.#parts[0] =
      daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - this.#value;
    return true;
  }

  /** The fraction of a second at `p`, if there is one; its end, or -1. */
  #fraction(bytes: Uint8Array, p: number, end: number): number {
    this.#parts[1] = 0;
    if (p >= end || bytes[p] !== 46) return p;
    const stop = this.#nanos(bytes, p + 1, end);
    return stop === p + 1 ? -1 : stop;
  }

  /** Up to nine digits as nanoseconds, and any more behind them; their end. */
  #nanos(bytes: Uint8Array, p: number, end: number): number {
    let nanos = 0;
    let scale = 100_000_000;
    let q = p;
    for (; q < end; q++) {
      const digit = bytes[q]! - 48;
      if (digit < 0 || digit > 9) break;
      nanos += digit * scale;
      scale = (scale / 10) | 0;
    }
    this.#parts[1] = nanos;
    return q;
  }

  /** The zone's seconds, in `#value`; false when [p, end) is none. */
  #zone(bytes: Uint8Array, p: number, end: number): boolean {
    if (p < 0) return false;
    this.#value = 0;
    if (p === end) return true;
    const c = bytes[p]!;
    if ((c | 0x20) === 0x7a) return p + 1 === end;
    const minutesAt = bytes[p + 3] === 58 ? p + 4 : p + 3;
    if ((c !== 43 && c !== 45) || minutesAt + 2 !== end || !this.#two(bytes, p + 1)) return false;
    const hours = this.#value;
    if (hours > 23 || !this.#two(bytes, minutesAt)) return false;
    const seconds = hours * 3_600 + this.#value * 60;
    this.#value = c === 45 ? -seconds : seconds;
    return true;
  }

  #two(bytes: Uint8Array, p: number): boolean {
    const tens = bytes[p]! - 48;
    const ones = bytes[p + 1]! - 48;
    this.#value = tens * 10 + ones;
    return tens >= 0 && tens < 10 && ones >= 0 && ones < 10;
  }

  /** Digits, and perhaps a point and digits. */
  #number(bytes: Uint8Array, from: number, end: number): boolean {
    const isNegative = bytes[from] === 45;
    let p = isNegative ? from + 1 : from;
    const first = p;
    while (p < end && bytes[p]! >= 48 && bytes[p]! <= 57) p++;
    const point = p;
    if (point === first) return false;
    if (p < end) {
      if (bytes[p] !== 46 || p + 1 === end) return false;
      for (p++; p < end; p++) if (bytes[p]! < 48 || bytes[p]! > 57) return false;
    }
    let start = first;
    while (start < point - 1 && bytes[start] === 48) start++;
    this.digits = point - start;
    const shift = this.digits <= 10 ? 0 : this.digits <= 13 ? 3 : this.digits <= 16 ? 6 : 9;
    let seconds = 0;
    for (p = start; p < point - shift; p++) seconds = seconds * 10 + bytes[p]! - 48;
    this.#behindSeconds(bytes, p, point, end);
    const nanos = this.#parts[1]!;
    const borrows = isNegative && nanos > 0;
    this.#parts[0] = borrows ? -seconds - 1 : isNegative ? -seconds : seconds;
    if (borrows) this.#parts[1] = 1_000_000_000 - nanos;
    return true;
  }

  /** The digits of [p, end) but for the point, as nanoseconds. */
  #behindSeconds(bytes: Uint8Array, p: number, point: number, end: number): void {
    let nanos = 0;
    let scale = 100_000_000;
    for (let q = p; q < end && scale > 0; q++) {
      if (q === point) continue;
      nanos += (bytes[q]! - 48) * scale;
      scale = (scale / 10) | 0;
    }
    this.#parts[1] = nanos;
  }

  /** seconds × 10^9 + nanoseconds; every intermediate is below 2^53. */
  #join(): TimeKind {
    const seconds = this.#parts[0]!;
    if (Math.abs(seconds) > 1e10) return TimeKind.outOfRange;
    const upper = Math.floor(seconds / 65_536);
    const rest = (seconds - upper * 65_536) * 1_000_000_000 + this.#parts[1]!;
    const restHigh = Math.floor(rest / 65_536);
    const middle = upper * 1_000_000_000 + restHigh;
    const high = Math.floor(middle / 65_536);
    if (high > 0x7fffffff || high < -0x80000000) return TimeKind.outOfRange;
    this.high = high;
    this.low = ((middle - high * 65_536) * 65_536 + (rest - restHigh * 65_536)) | 0;
    return TimeKind.time;
  }
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysOf(year: number, month: number): number {
  return month === 2 && isLeap(year) ? 29 : DAYS[month - 1]!;
}

/** Days of the proleptic Gregorian calendar; the year is thought to begin in March, so that the leap day comes last. */
function daysSince1970(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = (((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0) + day - 1;
  const dayOfEra = yearOfEra * 365 + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0) + dayOfYear;
  return era * 146_097 + dayOfEra - DAYS_TO_1970;
}
