import { NUMBER_MAX, writeDouble, writeInt, writeUint64 } from "../wire/numbers.ts";
import { BACKSLASH, CLOSE, COMMA, QUOTE, SPACE } from "./characters.ts";
import { Literal, LiteralReader } from "./literals.ts";
import { Problem } from "./problems.ts";
import { writeBoolean } from "./writer.ts";

const DIGITS = "0123456789abcdef";

/** Bytes that the JSON text of a list of `length` bytes may take at most. */
export function listRoom(length: number): number {
  return 12 * length + NUMBER_MAX;
}

/** Writes a list literal that the reader has accepted (`[1i,"a"]`) as JSON text (`[1,"a"]`); returns the end in `out`. */
export function writeListJson(out: DataView, at: number, bytes: Uint8Array, from: number): number {
  const literal = new LiteralReader();
  let o = at;
  let p = from;
  out.setUint8(o++, bytes[p++]!);
  for (;;) {
    while (bytes[p] === SPACE) p++;
    const c = bytes[p]!;
    if (c === CLOSE || c === COMMA) {
      out.setUint8(o++, c);
      if (c === CLOSE) return o;
      p++;
    } else if (c === QUOTE) {
      let close = p + 1;
      while (bytes[close] !== QUOTE) close += isEscape(bytes, close) ? 2 : 1;
      o = writeText(out, o, bytes, p + 1, close);
      p = close + 1;
    } else {
      let end = p;
      while (bytes[end] !== COMMA && bytes[end] !== CLOSE && bytes[end] !== SPACE) end++;
      if (literal.read(bytes, p, end) !== Problem.none) throw new Error("not an accepted list");
      o = writeScalar(out, o, literal);
      p = end;
    }
  }
}

function writeScalar(out: DataView, at: number, literal: LiteralReader): number {
  if (literal.kind === Literal.float) return writeDouble(out, at, literal.number);
  if (literal.kind === Literal.boolean) return writeBoolean(out, at, literal.low === 1);
  if (literal.kind === Literal.integer) return writeInt(out, at, literal.low, literal.high);
  return writeUint64(out, at, literal.low, literal.high);
}

function isEscape(bytes: Uint8Array, p: number): boolean {
  return bytes[p] === BACKSLASH && (bytes[p + 1] === QUOTE || bytes[p + 1] === BACKSLASH);
}

/** The content of a line protocol string as a JSON string. The escapes of the former are escapes of the latter, too. */
function writeText(
  out: DataView,
  at: number,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  let o = at;
  out.setUint8(o++, QUOTE);
  for (let p = from; p < end; p++) {
    const c = bytes[p]!;
    if (isEscape(bytes, p)) {
      out.setUint8(o++, BACKSLASH);
      out.setUint8(o++, bytes[++p]!);
    } else if (c === BACKSLASH) {
      out.setUint16(o, 0x5c5c);
      o += 2;
    } else if (c < SPACE) {
      out.setUint32(o, 0x5c753030);
      out.setUint8(o + 4, DIGITS.charCodeAt(c >> 4));
      out.setUint8(o + 5, DIGITS.charCodeAt(c & 15));
      o += 6;
    } else out.setUint8(o++, c);
  }
  out.setUint8(o++, QUOTE);
  return o;
}
