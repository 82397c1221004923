import type { JsonNumbers } from "../wire/json-numbers.ts";
import { firstStop, type JsonScan, textStops } from "../wire/json-scan.ts";
import type { JsonOutput } from "./read-json-output.ts";

/** Four ASCII characters as they stand in memory. */
function word(text: string): number {
  return (
    text.charCodeAt(0) |
    (text.charCodeAt(1) << 8) |
    (text.charCodeAt(2) << 16) |
    (text.charCodeAt(3) << 24)
  );
}

const OBJECT_KE = word('{"ke');
const Y_COLON = word('y":"');
const QUOTE_V = word('","v');
const ALUE = word("alue");
const COLON_OBJECT = word('":{"');
const STRI = word("stri");
const NG_VA = word("ngVa");
const LUE_QUOTE = word('lue"');
const INT_V = word("intV");
const BOOL = word("bool");
const VALU = word("Valu");
const DOUB = word("doub");
const LE_VA = word("leVa");
const TRUE = word("true");
const QUOTE_COLON = 0x3a22;
const COLON_QUOTE = 0x223a;
const E_QUOTE_COLON = 0x3a2265;
const CLOSED_TWICE = 0x7d7d;
const COMMA_OBJECT = 0x7b2c;
const QUOTE = 0x22;
/** Keys and texts up to this have lengths of one byte, with all that is around them. */
const SHORT = 127;

/**
 * Attributes as nearly all senders write them: `{"key":"k","value":{"stringValue":"v"}}`, or an int, double or bool; no white space, short,
 * nothing escaped. Whole words are compared instead of tokens; whatever looks different is left to the reader of any JSON.
 */
export class JsonPairs {
  /** Attributes taken by the last call. */
  count = 0;
  /** Whether it stopped before an attribute that it did not take. */
  isBeforeNext = false;
  readonly #scan: JsonScan;
  readonly #numbers: JsonNumbers;
  readonly #out: JsonOutput;
  /** Where the value that was written last ends in the output. */
  #written = 0;

  constructor(scan: JsonScan, numbers: JsonNumbers, out: JsonOutput) {
    this.#scan = scan;
    this.#numbers = numbers;
    this.#out = out;
  }

  /** Takes attributes from `p` on, each as a field with the one-byte `tag`. The position behind the last one, or of one that is not usual. */
  take(p: number, tag: number): number {
    const { bytes, view } = this.#scan;
    const out = this.#out;
    const target = out.view;
    let start = out.length;
    this.count = 0;
    this.isBeforeNext = true;
    while (view.getInt32(p, true) === OBJECT_KE && view.getInt32(p + 4, true) === Y_COLON) {
      // tag, length, tag of the key, length of the key
      let q = p + 8;
      let o = start + 4;
      let x = view.getInt32(q, true);
      let stops = textStops(x);
      while (stops === 0 && o < start + SHORT) {
        target.setInt32(o, x, true);
        q += 4;
        o += 4;
        x = view.getInt32(q, true);
        stops = textStops(x);
      }
      if (stops === 0) break;
      target.setInt32(o, x, true);
      const rest = firstStop(stops);
      q += rest;
      o += rest;
      if (view.getInt32(q, true) !== QUOTE_V || view.getInt32(q + 4, true) !== ALUE) break;
      if (view.getInt32(q + 8, true) !== COLON_OBJECT) break;
      q = this.#value(q + 12, o + 2);
      if (q < 0 || view.getUint16(q, true) !== CLOSED_TWICE) break;
      const end = this.#written;
      const length = end - start - 2;
      if (length > SHORT) break;
      target.setInt32(start, tag | (length << 8) | (0x0a << 16) | ((o - start - 4) << 24), true); // KeyValue.key
      target.setUint16(o, 0x12 | ((end - o - 2) << 8), true); // KeyValue.value
      start = end;
      out.length = end;
      this.count++;
      p = q + 2;
      if (bytes[p] !== 0x2c || view.getUint16(p, true) !== COMMA_OBJECT) {
        this.isBeforeNext = false;
        return p;
      }
      p++;
    }
    return p;
  }

  /** The AnyValue whose one name begins at `q`, to `o`; -1 for all that is not usual. */
  #value(q: number, o: number): number {
    const view = this.#scan.view;
    const type = view.getInt32(q, true);
    const next = view.getInt32(q + 4, true);
    if (type === STRI) {
      if (next !== NG_VA || view.getInt32(q + 8, true) !== LUE_QUOTE) return -1;
      return view.getUint16(q + 12, true) === COLON_QUOTE ? this.#text(q + 14, o) : -1;
    }
    if (type === INT_V)
      return next === ALUE && view.getUint16(q + 8, true) === QUOTE_COLON
        ? this.#int(q + 10, o)
        : -1;
    if (type === BOOL) {
      if (next !== VALU || (view.getInt32(q + 8, true) & 0xffffff) !== E_QUOTE_COLON) return -1;
      return this.#bool(q + 11, o);
    }
    if (type !== DOUB || next !== LE_VA || view.getInt32(q + 8, true) !== LUE_QUOTE) return -1;
    return this.#scan.bytes[q + 12] === 0x3a ? this.#double(q + 13, o) : -1;
  }

  #text(q: number, o: number): number {
    const view = this.#scan.view;
    const target = this.#out.view;
    const start = o + 2;
    o = start;
    let x = view.getInt32(q, true);
    let stops = textStops(x);
    while (stops === 0 && o < start + SHORT) {
      target.setInt32(o, x, true);
      q += 4;
      o += 4;
      x = view.getInt32(q, true);
      stops = textStops(x);
    }
    if (stops === 0) return -1;
    target.setInt32(o, x, true);
    const rest = firstStop(stops);
    o += rest;
    if (this.#scan.bytes[q + rest] !== QUOTE) return -1;
    target.setUint16(start - 2, 0x0a | ((o - start) << 8), true); // AnyValue.string_value
    this.#written = o;
    return q + rest + 1;
  }

  #int(q: number, o: number): number {
    const numbers = this.#numbers;
    const end = numbers.integer(q);
    if (end < 0 || numbers.isOver || numbers.high < 0) return -1;
    const out = this.#out;
    const { low, high } = numbers;
    out.bytes[o] = 0x18; // AnyValue.int_value
    const held = out.length;
    out.length = o + 1;
    if (!numbers.isNegative) out.varint64(low, high);
    else out.varint64(-low | 0, low === 0 ? -high | 0 : ~high);
    this.#written = out.length;
    out.length = held;
    return end;
  }

  #bool(q: number, o: number): number {
    const end = this.#scan.literalEnd(q);
    if (end < 0 || this.#scan.bytes[q] === 0x6e) return -1;
    const isTrue = this.#scan.view.getInt32(q, true) === TRUE;
    this.#out.view.setUint16(o, 0x10 | (isTrue ? 0x100 : 0), true); // AnyValue.bool_value
    this.#written = o + 2;
    return end;
  }

  #double(q: number, o: number): number {
    const end = this.#numbers.float(q);
    if (end < 0) return -1;
    this.#out.bytes[o] = 0x21; // AnyValue.double_value
    this.#out.view.setFloat64(o + 1, this.#numbers.double[0]!, true);
    this.#written = o + 9;
    return end;
  }
}
