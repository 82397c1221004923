import { Kind } from "../../otlp/tape.ts";
import type { Gather } from "../gather.ts";

/** With more names than this, they are looked up in a set instead of one by one. */
const FEW_NAMES = 16;

/** Where entries and their values are. */
type Source = Pick<Gather, "bytes" | "tape" | "json">;

/** Names of `weir.tags` or `weir.uint`: positions in the batch, and a set of texts where there are many. */
export class NameList {
  count = 0;
  readonly #from = new Int32Array(FEW_NAMES);
  readonly #end = new Int32Array(FEW_NAMES);
  #many: Set<string> | undefined;
  #own: Uint8Array = new Uint8Array(0);

  /** Reads the ArrayValue of texts of the entry; -1 is none. */
  read(gather: Source, entry: number): void {
    this.count = 0;
    this.#many = undefined;
    this.#own = gather.bytes;
    if (entry < 0 || (gather.tape[entry]! & 15) !== Kind.array) return;
    const { bytes, json } = gather;
    const end = gather.tape[entry + 3]!;
    for (let p = gather.tape[entry + 2]!; p < end; ) {
      // ArrayValue.values, then AnyValue.string_value; other values are no names.
      const start = json.varint(p + 1);
      const stop = Math.min(start + (json.low >>> 0), end);
      if (bytes[p] === 0x0a && bytes[start] === 0x0a && start < stop) {
        const from = json.varint(start + 1);
        this.#add(gather, from, Math.min(from + (json.low >>> 0), stop));
      }
      p = stop;
    }
  }

  #add(gather: Source, from: number, end: number): void {
    if (this.count < FEW_NAMES) {
      this.#from[this.count] = from;
      this.#end[this.count] = end;
    } else {
      this.#many ??= this.#asSet(gather);
      this.#many.add(latin(gather.bytes, from, end));
    }
    this.count++;
  }

  #asSet(gather: Source): Set<string> {
    const names = new Set<string>();
    for (let i = 0; i < FEW_NAMES; i++)
      names.add(latin(gather.bytes, this.#from[i]!, this.#end[i]!));
    return names;
  }

  /** Whether the name in `bytes[from, end)` is one of them. */
  has(bytes: Uint8Array, from: number, end: number): boolean {
    if (this.count === 0) return false;
    if (this.#many !== undefined) return this.#many.has(latin(bytes, from, end));
    const length = end - from;
    for (let i = 0; i < this.count; i++) {
      if (this.#end[i]! - this.#from[i]! !== length) continue;
      const own = this.#from[i]!;
      let at = 0;
      while (at < length && bytes[from + at] === this.#own[own + at]) at++;
      if (at === length) return true;
    }
    return false;
  }
}

/** Bytes as a text that is only compared. */
export function latin(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString("latin1");
}
