import { isUtf8 } from "node:buffer";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { SLACK } from "../../wire/slack.ts";
import { isWide } from "./characters.ts";
import type { Chunk } from "./chunk.ts";
import type { Config, Encoding } from "./config.ts";

const NEWLINE = 10;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** Raw texts of a file → records: decodes, trims, and tells JSON objects from other texts. */
export class Texts {
  /** Texts in which bytes that are not of the encoding were replaced by U+FFFD, in the present chunk. */
  replaced = 0;
  readonly #encoding: Encoding;
  readonly #readsJson: boolean;
  /** Not even the newline at the end is left out. */
  readonly #isExact: boolean;
  readonly #keepsLeading: boolean;
  readonly #keepsTrailing: boolean;
  /** The chunk is UTF-8 up to its last newline. */
  #cleanTo = 0;

  constructor(config: Config) {
    this.#encoding = config.encoding;
    this.#readsJson = config.format !== "text" && config.encoding !== "nop";
    this.#isExact = config.encoding === "nop";
    this.#keepsLeading = config.preserve_leading_whitespaces;
    this.#keepsTrailing = config.preserve_trailing_whitespaces;
  }

  begin({ bytes, from, to }: Chunk): void {
    this.replaced = this.#cleanTo = 0;
    if (this.#encoding !== "utf-8") return;
    const end = bytes.subarray(from, to).lastIndexOf(NEWLINE) + 1;
    if (isUtf8(bytes.subarray(from, from + end))) this.#cleanTo = from + end;
  }

  /** Takes `bytes[from, to)` of the chunk as one record; nothing of what is only white space. */
  take({ bytes, view }: Chunk, from: number, to: number, door: RecordDoor): void {
    if (to <= this.#cleanTo) this.#put(bytes, view, from, to, door);
    else this.#decoded(bytes.subarray(from, to), door);
  }

  /** The same for what was put together of several stretches, with SLACK behind it. */
  joined(bytes: Uint8Array, view: DataView, length: number, door: RecordDoor): void {
    const text = bytes.subarray(0, length);
    if (isUtf8(text)) this.#put(bytes, view, 0, length, door);
    else this.#decoded(text, door);
  }

  /** The same for what is UTF-8 already, with SLACK behind it. */
  #put(bytes: Uint8Array, view: DataView, from: number, to: number, door: RecordDoor): void {
    if (this.#isExact) {
      door.text(view, from, to);
      return;
    }
    let p = from;
    let end = to;
    if (!this.#keepsTrailing) while (end > p && isSpace(bytes[end - 1] ?? 0)) end--;
    else if (end > p && bytes[end - 1] === NEWLINE) end -= bytes[end - 2] === 13 ? 2 : 1;
    const first = skipSpace(bytes, p, end);
    if (!this.#keepsLeading) p = first;
    if (first >= end) return;
    const isObject =
      this.#readsJson && bytes[first] === OPEN_OBJECT && bytes[lastOf(bytes, end)] === CLOSE_OBJECT;
    if (isObject) p = this.#objects(bytes, view, first, end, door);
    if (p < end) door.text(view, p, end);
  }

  /** Takes the objects in the text; returns where something else begins, or the end. */
  #objects(bytes: Uint8Array, view: DataView, from: number, to: number, door: RecordDoor): number {
    const { timeLow, timeHigh } = door;
    let p = from;
    while (p < to && bytes[p] === OPEN_OBJECT) {
      door.timeLow = timeLow;
      door.timeHigh = timeHigh;
      const behind = door.json(bytes, view, p, to);
      if (behind < 0) break;
      p = skipSpace(bytes, behind, to);
    }
    return p;
  }

  /** As a text, for patterns. */
  text(bytes: Uint8Array): string {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    switch (this.#encoding) {
      case "latin1":
        return buffer.toString("latin1");
      case "utf-16le":
        return buffer.toString("utf16le");
      case "utf-16be":
        return Buffer.from(buffer.subarray(0, buffer.length & ~1))
          .swap16()
          .toString("utf16le");
    }
    return buffer.toString("utf8");
  }

  #decoded(raw: Uint8Array, door: RecordDoor): void {
    const isFine = this.#encoding === "utf-8" || this.#encoding === "nop" ? isUtf8(raw) : true;
    // The end of a file may part a character.
    const half = isWide(this.#encoding) && (raw.length & 1) === 1 ? "\ufffd" : "";
    const decoded = Buffer.from(this.text(raw) + half);
    if (!isFine || (this.#encoding !== "latin1" && decoded.includes("\ufffd"))) this.replaced++;
    const bytes = new Uint8Array(decoded.length + SLACK);
    bytes.set(decoded);
    this.#put(bytes, new DataView(bytes.buffer), 0, decoded.length, door);
  }
}

function isSpace(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13);
}

function skipSpace(bytes: Uint8Array, from: number, to: number): number {
  let p = from;
  while (p < to && isSpace(bytes[p] ?? 0)) p++;
  return p;
}

/** Position of the last byte that is no white space; there is one. */
function lastOf(bytes: Uint8Array, to: number): number {
  let p = to - 1;
  while (isSpace(bytes[p] ?? 0)) p--;
  return p;
}
