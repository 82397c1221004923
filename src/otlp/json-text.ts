import { bytesBelowMark, hasMark } from "../wire/marks.ts";

/** Text as JSON strings, a word at a time where nothing has to be escaped. */

const QUOTE = 34;
const BACKSLASH = 92;
/** `\\"` */
const ESCAPED_QUOTE = 0x5c22;
const HEX = new TextEncoder().encode("0123456789abcdef");
/** Second letter of the short escapes of control characters; 0 is none. */
const SHORT = new Uint8Array(32);
SHORT[8] = 98;
SHORT[9] = 116;
SHORT[10] = 110;
SHORT[12] = 102;
SHORT[13] = 114;

/** A JSON string with its quotes. Bytes ≥ 0x80 stay as they are. Reads and writes up to 7 bytes behind the end, see SLACK. */
export function writeJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  out.setUint8(at, QUOTE);
  let o = at + 1;
  let p = from;
  while (p < end) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    const odd = oddInJson(x);
    const oddAfter = oddInJson(y);
    if ((odd | oddAfter) === 0) {
      p += 8;
      o += 8;
      continue;
    }
    const plain = bytesBelowMark(odd, oddAfter);
    p += plain;
    o += plain;
    if (p >= end) break;
    o = writeEscaped(out, o, source.getUint8(p++));
  }
  if (p > end) o -= p - end;
  out.setUint8(o, QUOTE);
  return o + 1;
}

/** Longer texts are likely to have something to escape. */
const PLAIN_MAX = 256;

/**
 * As `writeJsonText`, for JSON that stands in a quoted string itself: every `"` and `\` of it is escaped once more. Most short texts have
 * nothing to escape: they are copied as if it were so, and written again where it is not. Up to 8 bytes behind the end are read and written.
 */
export function writeQuotedJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  if (end - from > PLAIN_MAX) return writeOddJsonText(out, at, source, from, end);
  out.setUint16(at, ESCAPED_QUOTE);
  const length = (end - from) | 0;
  const last = (length - 8) | 0;
  const o = (at + 2) | 0;
  let odd = 0;
  for (let i = 0; i < last; i = (i + 8) | 0) {
    const x = source.getInt32((from + i) | 0, true);
    const y = source.getInt32((from + i + 4) | 0, true);
    out.setInt32((o + i) | 0, x, true);
    out.setInt32((o + i + 4) | 0, y, true);
    odd |= oddInJson(x) | oddInJson(y);
  }
  // The last eight bytes, some of them once more; of a shorter text, what stands behind it too.
  const rest = Math.max(last, 0);
  const x = source.getInt32((from + rest) | 0, true);
  const y = source.getInt32((from + rest + 4) | 0, true);
  out.setInt32((o + rest) | 0, x, true);
  out.setInt32((o + rest + 4) | 0, y, true);
  const isOdd = odd !== 0 || hasMark(oddInJson(x), oddInJson(y), length - rest);
  if (isOdd) return writeOddJsonText(out, at, source, from, end);
  const close = (o + length) | 0;
  out.setUint16(close, ESCAPED_QUOTE);
  return (close + 2) | 0;
}

/** The same for a text that has something to be escaped. */
function writeOddJsonText(
  out: DataView,
  at: number,
  source: DataView,
  from: number,
  end: number,
): number {
  out.setUint16(at, ESCAPED_QUOTE);
  let o = at + 2;
  let p = from;
  while (p < end) {
    const x = source.getInt32(p, true);
    const y = source.getInt32(p + 4, true);
    out.setInt32(o, x, true);
    out.setInt32(o + 4, y, true);
    const odd = oddInJson(x);
    const oddAfter = oddInJson(y);
    if (!hasMark(odd, oddAfter, end - p)) {
      p += 8;
      o += 8;
      continue;
    }
    const plain = bytesBelowMark(odd, oddAfter);
    p += plain;
    o += plain;
    const c = source.getUint8(p++);
    // The backslash of the escape; the rest of an escape needs one more only where it is a quote or a backslash.
    out.setUint8(o, BACKSLASH);
    const stop = writeEscaped(out, o + 1, c);
    if (c < 32) o = stop;
    else {
      out.setUint16(o + 2, (BACKSLASH << 8) | c);
      o += 4;
    }
  }
  if (p > end) o -= p - end;
  out.setUint16(o, ESCAPED_QUOTE);
  return o + 2;
}

/** Marks (bit 7 of a byte) `"`, `\` and control characters; the lowest mark is never wrong. */
function oddInJson(x: number): number {
  // With the bit of 2 turned over, the quote stands directly above the control characters, and the space above it.
  const low = (x ^ 0x02020202) - 0x21212121;
  const backslash = (x ^ 0x5c5c5c5c) - 0x01010101;
  return (low | backslash) & ~x & 0x80808080;
}

/** A character that `oddInJson` marks. */
function writeEscaped(out: DataView, at: number, c: number): number {
  if (c < 32) return writeControl(out, at, c);
  out.setUint16(at, (BACKSLASH << 8) | c);
  return at + 2;
}

function writeControl(out: DataView, at: number, c: number): number {
  out.setUint8(at, BACKSLASH);
  if (SHORT[c] !== 0) {
    out.setUint8(at + 1, SHORT[c]!);
    return at + 2;
  }
  out.setUint8(at + 1, 117);
  out.setUint16(at + 2, 0x3030);
  out.setUint8(at + 4, 48 + (c >> 4));
  out.setUint8(at + 5, HEX[c & 15]!);
  return at + 6;
}
