/** A range holds some requests where they are small: frames are not cut, and whole ones rarely fill a request. */
const RANGE_BYTES = 8 << 20;
const RANGE_BODIES = 8;
/** Room for what the next range may need more than the last ones. */
const CAUTION = 0.98;
/** How much the newest request says. More is believed at once: a little too much costs a request of its own for the rest. */
const SHARE = 1 / 16;

/**
 * How much telemetry to read for a range, so that its requests are full, the last one too. A body is larger or smaller than the telemetry
 * in it, by a ratio that depends on the destination's format and on the data.
 */
export class RangeFit {
  /** Bytes of a body per byte of telemetry. */
  #ratio = 1;
  #bodyBytes: number;

  /** `bodyBytes`: of a request at most. */
  constructor(bodyBytes: number) {
    this.#bodyBytes = bodyBytes;
  }

  /** Telemetry of a range. */
  get bytes(): number {
    const fitting = Math.floor((RANGE_BYTES * this.#ratio) / this.#bodyBytes);
    const bodies = Math.max(1, Math.min(RANGE_BODIES, fitting));
    const bytes = (bodies * this.#bodyBytes * CAUTION) / this.#ratio;
    return Math.max(1, Math.floor(Math.min(bytes, Math.max(RANGE_BYTES, this.#bodyBytes))));
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
