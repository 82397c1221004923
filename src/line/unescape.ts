/** Copies of spans that have backslashes, without the escapes. Byte by byte: such spans are rare. Each returns the end in `out`. */

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const BACKSLASH = 92;

/** A measurement: `\,` and `\ ` are escapes, every other backslash is a character. */
export function unescapeMeasurement(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  return unescapeBefore(out, at, bytes, from, end, COMMA, COMMA);
}

/** A key or tag value: `\,`, `\=` and `\ ` are escapes, every other backslash is a character. */
export function unescapeName(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  return unescapeBefore(out, at, bytes, from, end, COMMA, EQUALS);
}

/** The content of a quoted string: `\"` and `\\` are escapes, every other backslash is a character. */
export function unescapeString(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  let o = at;
  for (let p = from; p < end; p++) {
    const next = p + 1 < end ? bytes[p + 1] : 0;
    if (bytes[p] === BACKSLASH && (next === QUOTE || next === BACKSLASH)) p++;
    out[o++] = bytes[p]!;
  }
  return o;
}

function unescapeBefore(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
  second: number,
  third: number,
): number {
  let o = at;
  for (let p = from; p < end; p++) {
    const next = p + 1 < end ? bytes[p + 1] : 0;
    if (bytes[p] === BACKSLASH && (next === SPACE || next === second || next === third)) p++;
    out[o++] = bytes[p]!;
  }
  return o;
}
