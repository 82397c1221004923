import { writeVarint } from "./memory.ts";

const BILLION = 1_000_000_000;
const WORD = 4_294_967_296;
/** EntryAdapter.timestamp; Timestamp.seconds, Timestamp.nanos. */
const TIMESTAMP = 0x0a;
const SECONDS = 0x08;
const NANOS = 0x10;

/** Writes nanoseconds since 1970, from 0 on, as the field `timestamp` of an entry; returns its end. */
export function writeTimestamp(out: DataView, at: number, low: number, high: number): number {
  // The double may be off by 1,024, so the quotient by one.
  let seconds = Math.floor((high * WORD + (low >>> 0)) / BILLION);
  let nanos = (low - Math.imul(seconds | 0, BILLION)) | 0;
  if (nanos < 0) {
    seconds--;
    nanos += BILLION;
  } else if (nanos >= BILLION) {
    seconds++;
    nanos -= BILLION;
  }
  out.setUint8(at, TIMESTAMP);
  let o = at + 2;
  if (seconds > 0) {
    out.setUint8(o++, SECONDS);
    // Up to 34 bits.
    for (; seconds >= 0x8000_0000; seconds = Math.floor(seconds / 128))
      out.setUint8(o++, (seconds & 127) | 128);
    o = writeVarint(out, o, seconds);
  }
  if (nanos > 0) {
    out.setUint8(o, NANOS);
    o = writeVarint(out, o + 1, nanos);
  }
  out.setUint8(at + 1, o - at - 2);
  return o;
}
