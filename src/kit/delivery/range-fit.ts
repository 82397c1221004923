/** A range holds some requests where they are small: frames are not cut, and whole ones rarely fill a request. */
const RANGE_BYTES = 8 << 20;
/** For a quick destination: it takes the next one soon, and what is in flight is memory. */
const QUICK_RANGE_BYTES = 2 << 20;
/** A destination is quick when its best answers take less (ms). */
const QUICK_MS = 100;
const RANGE_BODIES = 8;
/** Room for what the next range may need more than the last ones. */
const CAUTION = 0.98;
/** How much the newest request says. A larger body and a better answer are believed at once. */
const SHARE = 1 / 16;

/**
 * How much telemetry to read for a range, so that its requests are full, the last one too. A body is larger or smaller than the telemetry
 * in it, by a ratio that depends on the destination's format and on the data.
 */
export class RangeFit {
  /** Bytes of a body per byte of telemetry. */
  #ratio = 1;
  #bodyBytes: number;
  /** Of the best answers lately (ms). */
  #answerMs = 0;
  readonly #isAlone: boolean;

  /** `bodyBytes`: of a request at most. `isAlone`: one range is in flight at a time, so how much goes out while an answer is on its way depends on how large it is. */
  constructor(bodyBytes: number, isAlone = false) {
    this.#bodyBytes = bodyBytes;
    this.#isAlone = isAlone;
  }

  /** Whether few ranges in flight are enough, and small ones. */
  get isQuick(): boolean {
    return !this.#isAlone && this.#answerMs < QUICK_MS;
  }

  /** Telemetry of a range. */
  get bytes(): number {
    const range = this.isQuick ? QUICK_RANGE_BYTES : RANGE_BYTES;
    const fitting = Math.floor((range * this.#ratio) / this.#bodyBytes);
    const bodies = Math.max(1, Math.min(RANGE_BODIES, fitting));
    const bytes = (bodies * this.#bodyBytes * CAUTION) / this.#ratio;
    const most = this.isQuick ? range : Math.max(range, this.#bodyBytes);
    return Math.max(1, Math.floor(Math.min(bytes, most)));
  }

  /** The destination took or judged a request in so many milliseconds. A worse answer than the best ones counts little: it may be our own fault. */
  answered(ms: number): void {
    const more = ms - this.#answerMs;
    this.#answerMs += this.#answerMs === 0 || more < 0 ? more : more * SHARE;
  }

  /** `bytes` of telemetry became a body of `bodyBytes`. */
  wrote(bytes: number, bodyBytes: number): void {
    if (bytes <= 0 || bodyBytes <= 0) return;
    const ratio = bodyBytes / bytes;
    this.#ratio = ratio > this.#ratio ? ratio : this.#ratio + (ratio - this.#ratio) * SHARE;
  }

  /** What the destination takes now. */
  limit(bodyBytes: number): void {
    this.#bodyBytes = bodyBytes;
  }
}
