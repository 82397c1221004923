/** Seconds of year 1, whose first moment is what Go calls no time. */
const ZERO_SECONDS = -62_135_596_800;
const NANOS = 1_000_000_000;
const WORD = 4_294_967_296;
const HALF = 65_536;
/** Of int64 nanoseconds: 1677 to 2262. */
const SECONDS_MAX = 9_223_372_036;
const DIGITS_MAX = 19;
/** Milliseconds that Date can say. */
const DATE_MAX = 8_640_000_000_000_000;

/** The time of an entry, as seconds and nanoseconds, and as halves of int64 nanoseconds. */
export class PushTime {
  low = 0;
  high = 0;
  /** Seconds since 1970 and nanoseconds, in memory, because fields with doubles are boxed. */
  readonly #parts = new Float64Array(2);

  /** Milliseconds since 1970. */
  get ms(): number {
    return this.#parts[0]! * 1_000 + this.#parts[1]! / 1_000_000;
  }

  /** Whether it fits 1677–2262; else it has no halves. */
  get fits(): boolean {
    return Math.abs(this.#parts[0]!) < SECONDS_MAX;
  }

  /** What an entry has that says none. */
  setNone(): void {
    this.set(ZERO_SECONDS, 0);
  }

  /** 0 ≤ nanos < 10^9. */
  set(seconds: number, nanos: number): void {
    this.#parts[0] = seconds;
    this.#parts[1] = nanos;
    if (!this.fits) return;
    // In 16-bit steps of the absolute seconds: each intermediate is exact.
    const size = Math.abs(seconds);
    const sign = seconds < 0 ? -1 : 1;
    const x = (size % HALF) * NANOS * sign + nanos;
    const xHigh = Math.floor(x / HALF);
    const y = Math.floor(size / HALF) * NANOS * sign + xHigh;
    const yHigh = Math.floor(y / HALF);
    this.low = (x - xHigh * HALF + (y - yHigh * HALF) * HALF) | 0;
    this.high = yHigh | 0;
  }

  /** An int64 of nanoseconds. */
  setHalves(low: number, high: number): void {
    const seconds = Math.floor(((high | 0) * WORD + (low >>> 0)) / NANOS);
    this.set(seconds, 0);
    // What is left over is exact in 32 bits; the division may be off by one.
    const nanos = (low - this.low) | 0;
    if (nanos < 0) this.set(seconds - 1, nanos + NANOS);
    else if (nanos >= NANOS) this.set(seconds + 1, nanos - NANOS);
    else this.set(seconds, nanos);
  }

  /** The decimal number of nanoseconds in `bytes[from, end)`; false when it is none, or not of 64 bits. */
  setDecimal(bytes: Uint8Array, from: number, end: number): boolean {
    const isNegative = bytes[from] === 0x2d;
    let p = isNegative ? from + 1 : from;
    if (p === end) return false;
    while (p < end - 1 && bytes[p] === 0x30) p++;
    if (end - p > DIGITS_MAX) return false;
    let head = 0;
    let tail = 0;
    const split = end - 9;
    for (; p < end; p++) {
      const digit = bytes[p]! - 0x30;
      if (digit < 0 || digit > 9) return false;
      if (p < split) head = head * 10 + digit;
      else tail = tail * 10 + digit;
    }
    if (head > SECONDS_MAX || (head === SECONDS_MAX && tail > 854_775_807)) return false;
    if (!isNegative) this.set(head, tail);
    else if (tail === 0) this.set(-head, 0);
    else this.set(-head - 1, NANOS - tail);
    return true;
  }

  /** As Go writes it in errors, RFC 3339 with whole seconds. */
  text(): string {
    return secondsText(this.#parts[0]! * 1_000);
  }
}

/** A time as RFC 3339 with whole seconds. */
export function secondsText(ms: number): string {
  const within = Math.min(Math.max(Math.floor(ms), -DATE_MAX), DATE_MAX);
  return `${new Date(within).toISOString().slice(0, -5)}Z`;
}
