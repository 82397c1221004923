/**
 * Word-at-a-time copies. They overshoot: up to 7 bytes behind the end are read from the source and written to the target, so both
 * memories need slack (SLACK in otlp/batch.ts), and the target's overshoot must be overwritten by the next write or never be counted.
 * BigUint64 and not float64, because a float64 round trip may change NaN payloads.
 */

/** Below this length a word loop wins over TypedArray.set (measured: about 200 bytes). */
const NATIVE_FROM = 256;

/** Copies `length` bytes from `source[from]` to `target[at]`; returns the end in the target. The two must not overlap forwards. */
export function copy(
  target: DataView,
  at: number,
  source: DataView,
  from: number,
  length: number,
): number {
  if (length > NATIVE_FROM) return copyNative(target, at, source, from, length);
  for (let i = 0; i < length; i += 8)
    target.setBigUint64(at + i, source.getBigUint64(from + i, true), true);
  return at + length;
}

function copyNative(
  target: DataView,
  at: number,
  source: DataView,
  from: number,
  length: number,
): number {
  new Uint8Array(target.buffer, target.byteOffset + at, length).set(
    new Uint8Array(source.buffer, source.byteOffset + from, length),
  );
  return at + length;
}

/** Constant byte strings (`,status=`) in one padded memory, to be copied with `copy`. */
export class Constants {
  readonly view: DataView;
  /** The same memory as `view`. */
  readonly bytes: Uint8Array;
  #end = 0;
  constructor(capacity = 1 << 16) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }
  /** Adds a constant; returns its position. Throws a RangeError when the memory is full. */
  add(text: string | Uint8Array): { readonly at: number; readonly length: number } {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const at = this.#end;
    this.bytes.set(bytes, at);
    this.#end = (at + bytes.length + 15) & ~7;
    return { at, length: bytes.length };
  }
}
