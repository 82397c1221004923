import { readBase64 } from "../wire/base64.ts";
import { readHex } from "../wire/hex.ts";
import { type JsonNumbers, NO_NUMBER } from "../wire/json-numbers.ts";
import type { JsonScan } from "../wire/json-scan.ts";
import { FieldKind } from "./read-json-fields.ts";
import type { JsonOutput } from "./read-json-output.ts";

/** The value is JSON, but not what the field takes: `misfit` says what it takes. */
export const MISFIT = -2;

const QUOTE = 0x22;
const TRUE = 0x65757274;
const WHOLE_64 = "must be a whole number of at most 64 bits";

/** Writes values that are no messages. Functions give the position behind the value, -1 (no JSON) or MISFIT. */
export class JsonScalars {
  misfit = "";
  readonly #scan: JsonScan;
  readonly #numbers: JsonNumbers;
  readonly #out: JsonOutput;

  constructor(scan: JsonScan, numbers: JsonNumbers, out: JsonOutput) {
    this.#scan = scan;
    this.#numbers = numbers;
    this.#out = out;
  }

  /** The value at `p` as a field. `idSize`: of ids. */
  field(kind: number, tag: number, idSize: number, p: number): number {
    switch (kind) {
      case FieldKind.text:
        return this.#text(tag, p);
      case FieldKind.bytes:
        return this.#bytes(tag, p);
      case FieldKind.id:
        return this.#id(tag, idSize, p);
      default:
        this.#out.varint(tag);
        return this.number(kind, p);
    }
  }

  /** The number or truth value at `p` without a tag. */
  number(kind: number, p: number): number {
    if (kind === FieldKind.double) return this.#double(p);
    if (kind === FieldKind.bool) return this.#bool(p);
    if (kind === FieldKind.enum && this.#scan.bytes[p] === QUOTE)
      return this.#not("must be a number: OTLP/JSON does not use names of enum values");
    const numbers = this.#numbers;
    const end = numbers.integer(p);
    if (end < 0) return end === NO_NUMBER ? this.#not(WHOLE_64) : end;
    if (numbers.isOver) return this.#not(WHOLE_64);
    return this.#integer(kind) ? end : MISFIT;
  }

  /** Writes the integer that was read last, if `kind` holds it. */
  #integer(kind: number): boolean {
    const { low, high, isNegative } = this.#numbers;
    const out = this.#out;
    const isZero = (low | high) === 0;
    switch (kind) {
      case FieldKind.fixed64:
      case FieldKind.uint64:
        if (isNegative && !isZero) return this.#isNot("must not be negative");
        break;
      case FieldKind.sfixed64:
      case FieldKind.int64:
        // Of the sizes from 2^63 on, only that of the least number.
        if (high < 0 && !(isNegative && high === -0x8000_0000 && low === 0))
          return this.#isNot("must fit 64 bits with a sign");
        break;
      default:
        return this.#integer32(kind);
    }
    const lower = isNegative ? -low | 0 : low;
    const upper = isNegative ? (low === 0 ? -high | 0 : ~high) : high;
    if (kind === FieldKind.int64 || kind === FieldKind.uint64) out.varint64(lower, upper);
    else {
      out.view.setInt32(out.length, lower, true);
      out.view.setInt32(out.length + 4, upper, true);
      out.length += 8;
    }
    return true;
  }

  #integer32(kind: number): boolean {
    const { low, high, isNegative } = this.#numbers;
    const out = this.#out;
    if (kind === FieldKind.fixed32 || kind === FieldKind.uint32) {
      if (high !== 0 || (isNegative && low !== 0)) return this.#isNot("must be from 0 to 2^32 - 1");
      if (kind === FieldKind.uint32) out.varint(low >>> 0);
      else {
        out.view.setInt32(out.length, low, true);
        out.length += 4;
      }
      return true;
    }
    if (high !== 0 || (low < 0 && !(isNegative && low === -0x8000_0000)))
      return this.#isNot("must fit 32 bits with a sign");
    const value = isNegative ? -low | 0 : low;
    if (kind === FieldKind.sint32) out.varint(((value << 1) ^ (value >> 31)) >>> 0);
    else out.varint64(value, value >> 31);
    return true;
  }

  #double(p: number): number {
    const end = this.#numbers.float(p);
    if (end < 0) return end === NO_NUMBER ? this.#not("must be a number") : end;
    const out = this.#out;
    out.view.setFloat64(out.length, this.#numbers.double[0]!, true);
    out.length += 8;
    return end;
  }

  #bool(p: number): number {
    const c = this.#scan.bytes[p];
    if (c !== 0x74 && c !== 0x66) return this.#not("must be true or false");
    const end = this.#scan.literalEnd(p);
    this.#out.bytes[this.#out.length++] = this.#scan.view.getInt32(p, true) === TRUE ? 1 : 0;
    return end;
  }

  #text(tag: number, p: number): number {
    if (this.#scan.bytes[p] !== QUOTE) return this.#not("must be a text");
    const out = this.#out;
    const start = out.open(tag, 1);
    const end = this.#scan.text(p + 1, out.view, start);
    if (end < 0) return -1;
    out.length = this.#scan.written;
    out.close(start, 1);
    return end;
  }

  #bytes(tag: number, p: number): number {
    if (this.#scan.bytes[p] !== QUOTE) return this.#not("must be base64 in a text");
    const out = this.#out;
    const start = out.open(tag, 1);
    const end = this.#scan.text(p + 1, out.view, start);
    if (end < 0) return -1;
    out.length = readBase64(out.bytes, start, start, this.#scan.written);
    if (out.length < 0) return this.#not("must be base64");
    out.close(start, 1);
    return end;
  }

  /** Hex digits of either case; an empty text is no id. */
  #id(tag: number, size: number, p: number): number {
    const { bytes, view } = this.#scan;
    if (bytes[p] === QUOTE && bytes[p + 1] === QUOTE) return p + 2;
    const out = this.#out;
    const at = out.length;
    out.bytes[at] = tag;
    out.bytes[at + 1] = size;
    out.length = at + 2 + size;
    const end = p + 1 + 2 * size;
    const isUsual = end < this.#scan.end && bytes[p] === QUOTE && bytes[end] === QUOTE;
    if (isUsual && readHex(out.view, at + 2, view, p + 1, size)) return end + 1;
    return this.#rareId(at, size, p);
  }

  /** An id with escapes, or none. */
  #rareId(at: number, size: number, p: number): number {
    const out = this.#out;
    const misfit = size === 16 ? "must be 32 hex digits" : "must be 16 hex digits";
    if (this.#scan.bytes[p] !== QUOTE) return this.#not(misfit);
    const from = at + 32;
    const end = this.#scan.text(p + 1, out.view, from);
    if (end < 0) return -1;
    if (this.#scan.written - from !== 2 * size) return this.#not(misfit);
    return readHex(out.view, at + 2, out.view, from, size) ? end : this.#not(misfit);
  }

  #not(misfit: string): typeof MISFIT {
    this.misfit = misfit;
    return MISFIT;
  }

  #isNot(misfit: string): false {
    this.misfit = misfit;
    return false;
  }
}
