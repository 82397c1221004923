import { idEnd, keyValueEnd } from "./index-spans.ts";
import { Check, type Scan } from "./scan.ts";
import { Point } from "./tape.ts";

const KNOWN_EXEMPLAR = 0b1111_1100;

/** Whether [p, end) are whole fields of a ValueAtQuantile. */
export function isQuantile(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p];
    p = tag === 0x09 || tag === 0x11 ? p + 9 : s.skip(p, end, 0b0110);
    if (p < 0) return false;
  }
  return p === end;
}

/** A length-delimited field that may stand once: its payload's position goes to `slot`. */
export function payload(s: Scan, slot: number, p: number, end: number, isWords: boolean): number {
  if (s.tape[slot]! >= 0) return -1;
  let n = s.bytes[p + 1]!;
  p += 2;
  if (n > 127) {
    n = s.long(p - 1);
    p = s.at;
  }
  if (n > end - p || (isWords && n % 8 !== 0)) return -1;
  s.tape[slot] = p;
  return p + n;
}

/** Buckets of an exponential histogram, which may stand once each. */
export function buckets(s: Scan, slot: number, p: number, end: number): number {
  const stop = payload(s, slot, p, end, false);
  if (stop < 0) return -1;
  s.hasCounts = false;
  const from = s.tape[slot]!;
  return s.putOff(Check.buckets, from, stop) || isBuckets(s, from, stop) ? stop : -1;
}

/** Whether [p, end) are whole fields of Buckets. */
export function isBuckets(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p];
    if (tag === 0x08)
      p = s.varintEnd(p + 1, end); // ExponentialHistogramDataPointBuckets.offset
    else if (tag === 0x12 && !s.hasCounts) {
      // ExponentialHistogramDataPointBuckets.bucket_counts
      s.hasCounts = true;
      const at = p + 1;
      p = s.skip(p, end, 0);
      if (p < 0) return false;
      const from = s.bytes[at]! < 128 ? at + 1 : s.at;
      if (!s.putOff(Check.varints, from, p) && !isVarints(s, from, p)) return false;
    } else p = s.skip(p, end, 0b0110);
    if (p < 0) return false;
  }
  return p === end;
}

/** Whether [p, end) are whole varints. */
export function isVarints(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    p = s.varintEnd(p, end);
    if (p < 0) return false;
  }
  return true;
}

/** An Exemplar field: the end, or -1. The last one is the one that the tape names. */
export function exemplar(s: Scan, node: number, p: number, end: number): number {
  s.tape[node + Point.exemplar] = -1;
  const stop = payload(s, node + Point.exemplar, p, end, false);
  if (stop < 0) return -1;
  const from = s.tape[node + Point.exemplar]!;
  return s.putOff(Check.exemplar, from, stop) || isExemplar(s, from, stop) ? stop : -1;
}

/** Whether [p, end) are whole fields of an Exemplar. */
export function isExemplar(s: Scan, p: number, end: number): boolean {
  while (p < end) {
    const tag = s.bytes[p];
    if (tag === 0x3a)
      p = keyValueEnd(s, p, end); // Exemplar.filtered_attributes
    else if (tag === 0x22)
      p = idEnd(s, p, end, 8); // Exemplar.span_id
    else if (tag === 0x2a)
      p = idEnd(s, p, end, 16); // Exemplar.trace_id
    else if (tag === 0x11 || tag === 0x19 || tag === 0x31) p += 9;
    else p = s.skip(p, end, KNOWN_EXEMPLAR);
    if (p < 0) return false;
  }
  return p === end;
}
