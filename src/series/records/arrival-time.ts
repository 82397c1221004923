import { TimeScale } from "../../line/time.ts";

const MILLION = 1_000_000;
const TWO_32 = 4_294_967_296;
/** A wall clock that went back by more than this was set (ms). */
const SET_BACK_MS = 1_000;

/**
 * The time of arrival, which may rise from record to record. Many records arrive in one millisecond; rows with equal tags that share a time are
 * one row, and times that are moved apart by content (mapping §1.7) have no order and meet those of another request now and then.
 */
export class ArrivalTime {
  low = 0;
  high = 0;
  readonly #isRising: boolean;
  readonly #random: () => number;
  readonly #millis = new TimeScale("ns");
  #atMs = 0;

  /** `random` from 0 to below 1: where in its millisecond a process begins, others will not. */
  constructor(isRising: boolean, random: () => number = Math.random) {
    this.#isRising = isRising;
    this.#random = random;
  }

  /** The next time is this one; rising times are of this millisecond or later, and behind all before, unless the clock was set back. */
  setMillis(ms: number): void {
    if (ms === this.#atMs) return;
    const isAnew = !this.#isRising || ms < this.#atMs - SET_BACK_MS;
    const millis = this.#millis;
    millis.setMillis(ms);
    const sum = millis.low + (this.#isRising ? Math.floor(this.#random() * MILLION) : 0);
    const high = millis.high + (sum >= TWO_32 ? 1 : 0);
    const low = sum >>> 0;
    this.#atMs = ms;
    if (!isAnew && (high < this.high || (high === this.high && low <= this.low))) return;
    this.low = low;
    this.high = high;
  }

  /** One nanosecond later where times rise: never a multiple of 8, hence of no microsecond, which would be moved. Returns the low half. */
  advance(): number {
    if (!this.#isRising) return this.low;
    do {
      this.low = (this.low + 1) >>> 0;
      if (this.low === 0) this.high++;
    } while ((this.low & 7) === 0);
    return this.low;
  }
}
