import { idEnd, keyValueEnd } from "./index-spans.ts";
import type { Scan } from "./scan.ts";
import { Point } from "./tape.ts";

const KNOWN_EXEMPLAR = 0b1111_1100;

/** Whether [p, end) is a ValueAtQuantile. */
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
  let hasCounts = false;
  for (let at = s.tape[slot]!; at < stop; ) {
    const tag = s.bytes[at];
    if (tag === 0x08)
      at = s.varintEnd(at + 1, stop); // ExponentialHistogramDataPointBuckets.offset
    else if (tag === 0x12 && !hasCounts) {
      // ExponentialHistogramDataPointBuckets.bucket_counts
      hasCounts = true;
      const from = at + 1;
      at = s.skip(at, stop, 0);
      if (at < 0 || !isVarints(s, s.bytes[from]! < 128 ? from + 1 : s.at, at)) return -1;
    } else at = s.skip(at, stop, 0b0110);
    if (at < 0) return -1;
  }
  return stop;
}

function isVarints(s: Scan, p: number, end: number): boolean {
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
  for (let at = s.tape[node + Point.exemplar]!; at < stop; ) {
    const tag = s.bytes[at];
    if (tag === 0x3a)
      at = keyValueEnd(s, at, stop); // Exemplar.filtered_attributes
    else if (tag === 0x22)
      at = idEnd(s, at, stop, 8); // Exemplar.span_id
    else if (tag === 0x2a)
      at = idEnd(s, at, stop, 16); // Exemplar.trace_id
    else if (tag === 0x11 || tag === 0x19 || tag === 0x31) at += 9;
    else at = s.skip(at, stop, KNOWN_EXEMPLAR);
    if (at < 0 || at > stop) return -1;
  }
  return stop;
}
