import { EventEntry } from "../../series/records/event-entry.ts";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { Msgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";
import type { RecordSource } from "./record-requests.ts";

/**
 * The records in a range of MessagePack: maps, entries `[time, record]` and `[[time, metadata], record]`, one behind the other or in lists. A value
 * that is none of these costs itself; behind a byte that begins no value, and behind one that is cut off, nothing can be read.
 */
export class MsgpackRecords implements RecordSource {
  readonly bytes: number;
  bad = 0;
  firstBad = "";
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  readonly #timeLow: number;
  readonly #timeHigh: number;
  readonly #scan = new MsgpackScan();
  readonly #entry = new EventEntry();
  readonly #from: number;
  #p: number;
  /** Elements of lists that must still come. */
  #missing = 0;

  /**
   * Reads `bytes[from, end)`; SLACK bytes behind it are readable. The time is that of records that have none: halves of nanoseconds, 0 is
   * none.
   */
  constructor(bytes: Uint8Array, from: number, end: number, timeLow: number, timeHigh: number) {
    this.bytes = end - from;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#p = this.#from = from;
    this.#end = end;
    this.#timeLow = timeLow;
    this.#timeHigh = timeHigh;
  }

  fill(door: RecordDoor, size: number): boolean {
    const stop = this.#p + size;
    while (this.#p < stop) {
      if (this.#p >= this.#end) {
        if (this.#missing > 0) this.#fail(door, this.#p, "a list is cut off");
        return false;
      }
      this.#p = this.#value(door);
    }
    return true;
  }

  /** Takes the value at the present place; returns where the next one begins. */
  #value(door: RecordDoor): number {
    const scan = this.#scan;
    const p = this.#p;
    if (this.#missing > 0) this.#missing--;
    scan.begin(this.#bytes, this.#view, this.#end);
    const inside = scan.head(p);
    if (inside >= 0 && scan.kind === Msgpack.map) return this.#record(door, p, -1, p);
    if (inside < 0 || scan.kind !== Msgpack.list)
      return this.#fail(door, p, "it is neither a map nor a list");
    const entry = this.#entry;
    if (!entry.read(this.#bytes, this.#view, p, this.#end)) {
      this.#missing += scan.count;
      return inside;
    }
    door.timeLow = entry.low;
    door.timeHigh = entry.high;
    return this.#record(door, entry.recordAt, entry.metadataAt, p);
  }

  #record(door: RecordDoor, at: number, metadataAt: number, p: number): number {
    if ((door.timeLow | door.timeHigh) === 0) {
      door.timeLow = this.#timeLow;
      door.timeHigh = this.#timeHigh;
    }
    const end = door.msgpack(this.#bytes, this.#view, at, this.#end, metadataAt);
    return end < 0 ? this.#fail(door, p, door.problem) : end;
  }

  #fail(door: RecordDoor, p: number, problem: string): number {
    if (this.bad++ === 0)
      this.firstBad = `record ${door.items + 1}, at byte ${p - this.#from + 1} of MessagePack: ${problem}`;
    door.timeLow = door.timeHigh = 0;
    const end = this.#scan.skip(p);
    if (end >= 0) return end;
    this.#missing = 0;
    return this.#end;
  }
}
