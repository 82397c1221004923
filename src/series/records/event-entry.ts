import { TimeScale } from "../../line/time.ts";
import { Msgpack as ImportedMsgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Msgpack = ImportedMsgpack;

/** Type of Fluentd's EventTime: seconds and nanoseconds, 32 bits each. */
const EVENT_TIME = 0;
const EVENT_TIME_BYTES = 8;
const SECOND = 1_000_000_000;
const TWO_32 = 4_294_967_296;

/** An entry as Fluent Bit and Fluentd write it in MessagePack: `[time, record]`, or `[[time, metadata], record]` (Fluent Bit 2.1 and later). */
export class EventEntry {
  /** Where the record's map begins. */
  recordAt = 0;
  /** Where the metadata's map begins; -1: there is none. */
  metadataAt = -1;
  /** Halves of the time in nanoseconds; 0 is none. */
  low = 0;
  high = 0;
  readonly #scan = new MsgpackScan();
  readonly #seconds = new TimeScale("s");

  /** Whether the value at `p` in `bytes[0, to)` is such an entry; what follows the record's head is not looked at. */
  read(bytes: Uint8Array, view: DataView, p: number, to: number): boolean {
    const scan = this.#scan;
    scan.begin(bytes, view, to);
    this.metadataAt = -1;
    let next = scan.head(p);
    if (next < 0 || scan.kind !== Msgpack.list || scan.count !== 2) return false;
    next = scan.head(next);
    if (next >= 0 && scan.kind === Msgpack.list) {
      if (scan.count !== 2) return false;
      next = scan.head(next);
      if (next < 0 || !this.#timeOfHead()) return false;
      this.metadataAt = next;
      next = this.#behindMap(next);
    } else if (next >= 0) next = this.#timeOfHead() ? next : -1;
    this.recordAt = next;
    return next >= 0 && this.#isMap(next);
  }

  /** Reads a time that stands alone at `p` (seconds as a number, EventTime, nil for none). Its end, or -1 for what is no time. */
  readTime(bytes: Uint8Array, view: DataView, p: number, to: number): number {
    const scan = this.#scan;
    scan.begin(bytes, view, to);
    const next = scan.head(p);
    return next >= 0 && this.#timeOfHead() ? next : -1;
  }

  #behindMap(p: number): number {
    return this.#isMap(p) ? this.#scan.skip(p) : -1;
  }

  #isMap(p: number): boolean {
    return this.#scan.head(p) >= 0 && this.#scan.kind === Msgpack.map;
  }

  #timeOfHead(): boolean {
    const { kind, low, high, double, type, length, at, view } = this.#scan;
    this.low = this.high = 0;
    if (kind === Msgpack.nil) return true;
    if (kind === Msgpack.integer) this.#set(low, high, 0);
    else if (kind === Msgpack.double) {
      const seconds = Math.floor(double[0]!);
      // Beyond, there is no second of a year before 2262.
      if (Math.abs(seconds) < 1e10)
        this.#set(
          (seconds % TWO_32) | 0,
          Math.floor(seconds / TWO_32),
          Math.round((double[0]! - seconds) * SECOND),
        );
    } else if (kind === Msgpack.extension && type === EVENT_TIME && length === EVENT_TIME_BYTES)
      this.#set(view.getInt32(at), 0, view.getUint32(at + 4) % SECOND);
    else return false;
    return true;
  }

  /** A time that 64 bits of nanoseconds do not hold is none. */
  #set(low: number, high: number, nanos: number): void {
    if (!this.#seconds.set(low, high)) return;
    const sum = (this.#seconds.low >>> 0) + nanos;
    this.low = sum | 0;
    this.high = (this.#seconds.high + (sum >= TWO_32 ? 1 : 0)) | 0;
  }
}
