import { isUtf8 } from "node:buffer";
import type { RecordSource } from "../../kit/doors/record-requests.ts";
import type { Body } from "../../kit/server/compression.ts";
import type { RecordDoor } from "../../series/records/record-door.ts";

const NEWLINE = 10;
const QUOTE = 34;
const COMMA = 44;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/**
 * The objects of a body: one, several with or without white space between them (NDJSON), or those of arrays. Each is read where it stands,
 * once. One that is damaged costs itself: what is behind its last bracket is read on, or, where that is not found, its next line; from then on
 * a record ends on its line, so that no byte is looked at again and again.
 */
export class JsonRecords implements RecordSource {
  readonly bytes: number;
  bad = 0;
  firstBad = "";
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  /** Time of records that have none: halves of nanoseconds, 0 is none. */
  readonly #timeLow: number;
  readonly #timeHigh: number;
  readonly #isUtf8: boolean;
  #p: number;
  /** Open brackets of arrays. */
  #depth = 0;
  #isByLine = false;
  /** End of the line that was looked for last. */
  #line = 0;

  constructor({ bytes, length }: Body, timeLow: number, timeHigh: number) {
    this.bytes = length;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = length;
    this.#timeLow = timeLow;
    this.#timeHigh = timeHigh;
    this.#isUtf8 = isUtf8(bytes.subarray(0, length));
    const hasMark = length > 2 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    this.#p = hasMark ? 3 : 0;
  }

  fill(door: RecordDoor, size: number): boolean {
    door.isKnownUtf8 = this.#isUtf8;
    const stop = this.#p + size;
    while (this.#p < stop) {
      this.#skipSeparators();
      if (this.#p >= this.#end) {
        if (this.#depth > 0) this.#fail(door, "an array has no closing bracket");
        return false;
      }
      this.#record(door);
    }
    return true;
  }

  #record(door: RecordDoor): void {
    // Most records end on their line; to know so makes reading them cheaper.
    const line = this.#lineEnd(this.#p);
    const to = this.#isByLine ? line : this.#end;
    let end = this.#read(door, line);
    if (end < 0 && line < to) end = this.#read(door, to);
    if (end >= 0) {
      this.#p = end;
      return;
    }
    this.#fail(door, door.problem);
    this.#p = this.#behindBad(to);
  }

  #read(door: RecordDoor, to: number): number {
    door.timeLow = this.#timeLow;
    door.timeHigh = this.#timeHigh;
    return door.json(this.#bytes, this.#view, this.#p, to);
  }

  #fail(door: RecordDoor, problem: string): void {
    if (this.bad++ === 0) this.firstBad = `record ${door.items + 1}: ${problem}`;
  }

  /** White space, commas, and the brackets of the arrays around the objects. */
  #skipSeparators(): void {
    const bytes = this.#bytes;
    for (; this.#p < this.#end; this.#p++) {
      const c = bytes[this.#p] ?? 0;
      if (c === OPEN_LIST) this.#depth++;
      else if (c === CLOSE_LIST && this.#depth > 0) this.#depth--;
      else if (c !== COMMA && c !== 32 && (c < 9 || c > 13)) return;
    }
  }

  /** Where to read on after the damaged record at the present place. */
  #behindBad(to: number): number {
    const bytes = this.#bytes;
    const isObject = bytes[this.#p] === OPEN_OBJECT;
    const behind = isObject ? this.#behindBrackets(to) : this.#behindWord(to);
    if (behind >= 0) return behind;
    this.#isByLine = true;
    return this.#lineEnd(this.#p);
  }

  /** Behind the bracket that closes the object, if there is one before `to`; -1 otherwise. */
  #behindBrackets(to: number): number {
    const bytes = this.#bytes;
    let depth = 0;
    for (let p = this.#p; p < to; p++) {
      const c = bytes[p];
      if (c === QUOTE) {
        p = this.#closingQuote(p, to);
        if (p < 0) return -1;
      } else if (c === OPEN_OBJECT || c === OPEN_LIST) depth++;
      else if ((c === CLOSE_OBJECT || c === CLOSE_LIST) && --depth === 0) return p + 1;
    }
    return -1;
  }

  /** The quote that closes the text at `p`, or -1. JSON has no newline inside texts. */
  #closingQuote(p: number, to: number): number {
    const bytes = this.#bytes;
    for (let q = p + 1; q < to; q++) {
      const c = bytes[q];
      if (c === QUOTE) return q;
      if (c === NEWLINE) return -1;
      if (c === BACKSLASH) q++;
    }
    return -1;
  }

  /** Behind what is no object: to the end of its line, in an array to what separates its elements. */
  #behindWord(to: number): number {
    const bytes = this.#bytes;
    let p = this.#p;
    if (bytes[p] === QUOTE) p = Math.max(p, this.#closingQuote(p, to));
    for (p++; p < to; p++) {
      const c = bytes[p];
      if (c === NEWLINE || (this.#depth > 0 && (c === COMMA || c === CLOSE_LIST))) return p;
    }
    return to;
  }

  /** End of the line that `from` is on. */
  #lineEnd(from: number): number {
    if (from < this.#line) return this.#line;
    const at = this.#bytes.indexOf(NEWLINE, from);
    this.#line = at < 0 || at > this.#end ? this.#end : at;
    return this.#line;
  }
}
