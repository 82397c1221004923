/** Unit of the times in a sender's lines. "auto" decides by magnitude, line by line (mapping rule 6). */
export type Precision = "auto" | "ns" | "us" | "ms" | "s" | "m" | "h";

const TWO_32 = 4_294_967_296;
const SCALE: Readonly<Record<Exclude<Precision, "auto">, number>> = {
  ns: 1,
  us: 1_000,
  ms: 1_000_000,
  s: 1_000_000_000,
  m: 60_000_000_000,
  h: 3_600_000_000_000,
};
/** Up to this scale the products of `#multiply` are exact. */
const EXACT_MAX = 100_000_000_000;
/** 10^16, the first magnitude that is nanoseconds, as halves: a double cannot tell its neighbours. */
const NANOS_HIGH = 0x2386f2;
const NANOS_LOW = 0x6fc10000;

/** Times of lines as nanoseconds; the result stays in `low` and `high` until the next call. */
export class TimeScale {
  low = 0;
  high = 0;
  /** 0: by magnitude. */
  readonly #scale: number;

  constructor(precision: Precision) {
    this.#scale = precision === "auto" ? 0 : SCALE[precision];
  }

  /** int64 in the sender's precision → int64 nanoseconds; false when it is before 1677 or behind 2262. */
  set(low: number, high: number): boolean {
    const isNegative = (high | 0) < 0;
    let lo = low >>> 0;
    let hi = high >>> 0;
    if (isNegative) {
      hi = (lo === 0 ? -hi : ~hi) >>> 0;
      lo = -lo >>> 0;
    }
    this.low = lo;
    this.high = hi;
    const scale = this.#scale === 0 ? scaleOf(lo, hi) : this.#scale;
    if (scale > EXACT_MAX) {
      if (!this.#multiply(scale / SCALE.s) || !this.#multiply(SCALE.s)) return false;
    } else if (scale !== 1 && !this.#multiply(scale)) return false;
    lo = this.low;
    hi = this.high;
    this.low = isNegative ? -lo >>> 0 : lo;
    this.high = isNegative ? (lo === 0 ? -hi : ~hi) >>> 0 : hi;
    return true;
  }

  /** Takes `low` and `high` times `scale`; false when they do not fit in 63 bits. */
  #multiply(scale: number): boolean {
    // In 16-bit steps: every intermediate that passes the check is exact.
    const x = (this.low & 0xffff) * scale;
    const xHigh = Math.floor(x / 65_536);
    const y = (this.low >>> 16) * scale + xHigh;
    const yHigh = Math.floor(y / 65_536);
    const z = this.high * scale + yHigh;
    if (z > 0x7fffffff) return false;
    this.low = ((y - yHigh * 65_536) * 65_536 + (x - xHigh * 65_536)) >>> 0;
    this.high = z;
    return true;
  }

  /** Milliseconds of the wall clock. */
  setMillis(ms: number): void {
    const whole = Math.floor(ms);
    const wholeHigh = Math.floor(whole / 65_536);
    const x = (whole - wholeHigh * 65_536) * 1_000_000;
    const xHigh = Math.floor(x / 65_536);
    const y = wholeHigh * 1_000_000 + xHigh;
    const yHigh = Math.floor(y / 65_536);
    this.low = ((y - yHigh * 65_536) * 65_536 + (x - xHigh * 65_536)) >>> 0;
    this.high = yHigh >>> 0;
  }
}

/** ts/1e9 < 10 → s, ts/1e12 < 10 → ms, ts/1e15 < 10 → µs, else ns (integer division, as DataKit does). */
function scaleOf(low: number, high: number): number {
  const value = high * TWO_32 + low;
  if (value < 1e10) return SCALE.s;
  if (value < 1e13) return SCALE.ms;
  if (high < NANOS_HIGH || (high === NANOS_HIGH && low < NANOS_LOW)) return SCALE.us;
  return 1;
}
