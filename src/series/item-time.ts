/** Time of an item: its own where an int64 of nanoseconds holds it, else its frame's arrival (mapping §1.6). */
export class ItemTime {
  low = 0;
  high = 0;
  #arrivalLow = 0;
  #arrivalHigh = 0;

  /** Makes ready for the items of a frame. */
  open(arrivalMs: number): void {
    const nanos = BigInt(Math.trunc(arrivalMs)) * 1_000_000n;
    this.#arrivalLow = Number(BigInt.asIntN(32, nanos));
    this.#arrivalHigh = Number(BigInt.asIntN(32, nanos >> 32n));
  }

  /** Takes the time at `at` (-1: none), a fixed64; false when it is out of range. Only lines may be older than 1970. */
  set(view: DataView, at: number, isLine: boolean): boolean {
    this.low = this.#arrivalLow;
    this.high = this.#arrivalHigh;
    if (at < 0) return true;
    const low = view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    // InfluxDB's range leaves out the highest int64 and the two lowest.
    const isIn =
      high >= 0
        ? high < 0x7fffffff || low !== -1
        : isLine && (high > -0x80000000 || low >>> 0 >= 2);
    if (!isIn) return false;
    this.low = low;
    this.high = high;
    return true;
  }
}
