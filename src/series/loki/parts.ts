import type { ItemTime } from "../item-time.ts";

const WORD = 4_294_967_296;
/** Upper half of the highest int64. */
const HIGHEST = 0x7fff_ffff;

/** Where a text is cut that may go on up to `most`: before the character that does not fit. */
export function cutAt(bytes: Uint8Array, most: number, end: number): number {
  if (most >= end) return end;
  for (let p = most; p > most - 4; p--) if ((bytes[p]! & 0xc0) !== 0x80) return p;
  return most;
}

/** A time that many nanoseconds later, which stays an int64. */
export function laterBy({ low, high }: ItemTime, nanos: number): { low: number; high: number } {
  const sum = (low >>> 0) + nanos;
  if (sum < WORD) return { low: sum | 0, high };
  return high === HIGHEST ? { low: -1, high } : { low: (sum - WORD) | 0, high: high + 1 };
}
