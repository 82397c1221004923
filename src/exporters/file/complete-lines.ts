import type { FileHandle } from "node:fs/promises";

const CHUNK = 1 << 20;
const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const EQUALS = 61;
const BACKSLASH = 92;

/** Where the reader of line protocol stands. */
type Place = "start" | "comment" | "tags" | "fields" | "value" | "string" | "rest";

/**
 * Finds the end of the last complete line. In line protocol a quoted string may hold line breaks, so the last newline of a torn file
 * may lie inside a row: rows are followed from the start of the file.
 */
export class RowEnds {
  #place: Place = "start";
  #escaped = false;
  #read = 0;
  /** Bytes up to and with the last newline that ends a row. */
  end = 0;

  feed(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) this.#byte(chunk[i] ?? 0, i);
    this.#read += chunk.length;
  }

  #byte(byte: number, i: number): void {
    if (this.#escaped) {
      this.#escaped = false;
      if (byte !== NEWLINE || this.#place === "string") return;
    }
    if (byte === NEWLINE && this.#place !== "string") {
      this.#place = "start";
      this.end = this.#read + i + 1;
      return;
    }
    if (byte === BACKSLASH && this.#place !== "comment") this.#escaped = true;
    this.#place = next(this.#place, byte);
  }
}

function next(place: Place, byte: number): Place {
  switch (place) {
    case "start":
      return byte === HASH ? "comment" : "tags";
    case "tags":
      return byte === SPACE ? "fields" : "tags";
    case "fields":
      return byte === EQUALS ? "value" : byte === SPACE ? "rest" : "fields";
    case "value":
      return byte === QUOTE ? "string" : "fields";
    case "string":
      return byte === QUOTE ? "fields" : "string";
    default:
      return place;
  }
}

/** End of the last complete line protocol row of a file. */
export async function endOfRows(file: FileHandle): Promise<number> {
  const ends = new RowEnds();
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK, at);
    if (bytesRead === 0) return ends.end;
    ends.feed(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** End of the last line of a file whose lines hold no line breaks (JSON). */
export async function endOfLines(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  const chunk = new Uint8Array(CHUNK);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK);
    const { bytesRead } = await file.read(chunk, 0, end - from, from);
    const at = chunk.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}
