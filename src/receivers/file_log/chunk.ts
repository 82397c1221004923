import type { RecordDoor } from "../../series/records/record-door.ts";
import type { Given } from "./given.ts";

/** A stretch of a file, from the first byte that no record has taken yet. */
export interface Chunk {
  /** With SLACK behind `to`. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly from: number;
  /** Parts no character, but at the very end of a file that does. */
  readonly to: number;
  /** The stretch begins where the file does. */
  readonly isStart: boolean;
  /** Nothing more comes: what is not finished counts as it is. */
  readonly isEnd: boolean;
  /** No larger stretch will come: something must be taken. */
  readonly isFull: boolean;
  /** The stretch begins inside of a long line whose rest is left out. */
  readonly isInside: boolean;
}

/** What became of a chunk. */
export interface Taken {
  /** Position behind the last byte that belongs to a record that was taken, or that was left out. */
  readonly used: number;
  readonly isInside: boolean;
  /** Lines that were left out for their length. */
  readonly skipped: number;
  /** Texts in which bytes that are not of the encoding were replaced. */
  readonly replaced: number;
}

/** Parts chunks into records. Keeps nothing from one chunk to the next. */
export interface Parter {
  part(chunk: Chunk, door: RecordDoor, given: Given): Taken;
}

/** One turn takes at most so many records, and begins none after so long (ms): the event loop has others to serve. */
const RECORDS_MAX = 4_096;
const TURN_MS = 4;
const LOOK_EVERY = 32;

/** Says when a turn has taken enough. */
export class Turn {
  readonly #endsMs = performance.now() + TURN_MS;
  #records = 0;

  isOver(): boolean {
    const records = ++this.#records;
    if (records % LOOK_EVERY !== 0) return false;
    return records >= RECORDS_MAX || performance.now() > this.#endsMs;
  }
}
