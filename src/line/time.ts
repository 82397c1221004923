/** Unit of the times in a sender's lines. "auto" decides by magnitude, line by line (mapping rule 6). */
export type Precision = "auto" | "ns" | "us" | "ms" | "s";

const TWO_32 = 4_294_967_296;
const SCALE: Readonly<Record<Exclude<Precision, "auto">, number>> = {
  ns: 1,
  us: 1_000,
  ms: 1_000_000,
  s: 1_000_000_000,
};
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
    const scale = this.#scale === 0 ? scaleOf(lo, hi) : this.#scale;
    if (scale !== 1) {
      // In 16-bit steps: every intermediate that passes the check is exact.
      const x = (lo & 0xffff) * scale;
      const xHigh = Math.floor(x / 65_536);
      const y = (lo >>> 16) * scale + xHigh;
      const yHigh = Math.floor(y / 65_536);
      const z = hi * scale + yHigh;
      if (z > 0x7fffffff) return false;
      lo = ((y - yHigh * 65_536) * 65_536 + (x - xHigh * 65_536)) >>> 0;
      hi = z;
    }
    this.low = isNegative ? -lo >>> 0 : lo;
    this.high = isNegative ? (lo === 0 ? -hi : ~hi) >>> 0 : hi;
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
