import { hasJsonStart, isJsonStart } from "../../kit/doors/json-values.ts";
import { NEWLINE } from "../../line/characters.ts";
import type { LineReader } from "../../line/reader.ts";
import { SLACK } from "../../wire/slack.ts";

/** Least memory of a connection that sends. A read has up to 64 KiB; most senders' have much less. */
const FIRST = 1 << 12;
const NOTHING = new Uint8Array(0);

/** A line of JSON, or all lines of line protocol between two of them. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly isJson: boolean;
}

/**
 * Bytes of one connection, cut at newlines that are not inside a quoted string, also when a string arrives in several reads. A line that
 * begins with a brace or a bracket is JSON and ends at its newline.
 */
export class Framing {
  bytes: Uint8Array = NOTHING;
  view: DataView = new DataView(NOTHING.buffer);
  length = 0;
  /** Over-long lines cut since the connection began. */
  tooLong = 0;
  readonly #reader: LineReader;
  readonly #maxLine: number;
  /** Inside an over-long line: everything up to the next newline is thrown away. */
  #isSkipping = false;
  /** A newline has come since `whole` looked: without one, no line has become whole. */
  #hasNewline = false;
  /** The line that `#next` moved to. */
  #lineEnd = 0;
  #isUnclosed = false;
  #isJson = false;

  /** `reader`: of all connections of a listener, because each has 55 KiB of memory for the names that it knows. Nothing stays in it between calls. */
  constructor(maxLineSize: number, reader: LineReader) {
    this.#maxLine = maxLineSize;
    this.#reader = reader;
  }

  push(chunk: Uint8Array): void {
    let rest = chunk;
    if (this.#isSkipping) {
      const newline = chunk.indexOf(NEWLINE);
      if (newline < 0) return;
      this.#isSkipping = false;
      rest = chunk.subarray(newline + 1);
    }
    const need = this.length + rest.length + SLACK;
    if (need > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(need, this.bytes.length * 2, FIRST));
      bytes.set(this.bytes.subarray(0, this.length));
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer);
    }
    this.bytes.set(rest, this.length);
    this.length += rest.length;
    this.#hasNewline ||= rest.includes(NEWLINE);
  }

  /** Length of the whole lines at the front; `take` them afterwards. A line that grows over the limit is cut and counted in `tooLong`. */
  whole(): number {
    if (!this.#hasNewline && this.length <= this.#maxLine) return 0;
    this.#hasNewline = false;
    const reader = this.#reader;
    reader.reset(this.bytes, this.view, 0, this.length);
    let safe = 0;
    while (this.#next(this.length)) {
      if (this.#isUnclosed || this.#lineEnd >= this.length) {
        if (this.length - reader.lineAt <= this.#maxLine) return reader.lineAt;
        return this.#cut(reader.lineAt, this.#isUnclosed);
      }
      safe = this.#lineEnd + 1;
    }
    // What is left is blank or a comment, which may be unfinished.
    const newline = this.bytes.lastIndexOf(NEWLINE, this.length - 1);
    const end = this.length === 0 ? 0 : Math.max(safe, newline + 1);
    if (this.length - end > this.#maxLine) return this.#cut(end, false);
    return end;
  }

  /** What the first `length` bytes are: mostly one run of lines. */
  runs(length: number): Run[] {
    // Most senders send no JSON: then the lines need not be walked once more.
    if (!hasJsonStart(this.bytes.subarray(0, length)))
      return length === 0 ? [] : [{ from: 0, to: length, isJson: false }];
    const reader = this.#reader;
    const runs: Run[] = [];
    let from = 0;
    let end = 0;
    let wasJson = false;
    reader.reset(this.bytes, this.view, 0, length);
    while (this.#next(length)) {
      if (this.#isJson || wasJson) {
        if (end > from) runs.push({ from, to: end, isJson: wasJson });
        from = reader.lineAt;
        wasJson = this.#isJson;
      }
      end = this.#lineEnd;
    }
    if (end > from) runs.push({ from, to: end, isJson: wasJson });
    return runs;
  }

  /** Length up to the last newline of any kind: for when nothing more comes to close an open string. */
  stuck(): number {
    return this.length === 0 ? 0 : this.bytes.lastIndexOf(NEWLINE, this.length - 1) + 1;
  }

  /** Moves to the next line of the first `to` bytes. */
  #next(to: number): boolean {
    const reader = this.#reader;
    if (!reader.next()) return false;
    this.#lineEnd = reader.lineEnd;
    this.#isUnclosed = reader.isUnclosed;
    this.#isJson = isJsonStart(this.bytes[reader.lineAt]);
    if (!this.#isJson) return true;
    const newline = this.bytes.indexOf(NEWLINE, reader.lineAt);
    this.#lineEnd = newline < 0 ? to : Math.min(newline, to);
    this.#isUnclosed = false;
    reader.reset(this.bytes, this.view, this.#lineEnd, to);
    return true;
  }

  take(length: number): void {
    this.bytes.copyWithin(0, length, this.length);
    this.length -= length;
  }

  /** Gives the memory back, where nothing is in it. */
  release(): void {
    if (this.length > 0) return;
    this.bytes = NOTHING;
    this.view = new DataView(NOTHING.buffer);
  }

  /** The line at `lineAt` is too long. With a forgotten quote it ends at the first newline, which the reader sees, too. */
  #cut(lineAt: number, isUnclosed: boolean): number {
    const newline = this.bytes.subarray(lineAt, this.length).lastIndexOf(NEWLINE);
    if (isUnclosed && newline >= 0) return lineAt + newline + 1;
    this.tooLong++;
    this.#isSkipping = true;
    this.length = lineAt;
    return lineAt;
  }
}
