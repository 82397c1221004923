import { writeQuotedJsonText } from "../otlp/json-text.ts";
import { copy } from "../wire/copy.ts";
import { SLACK } from "../wire/slack.ts";
import { KEY_IDS } from "./compile.ts";
import type { Gather } from "./gather.ts";

const COMMA = 44;
const COLON = 58;
/** Names of this length (as written) and below are copied in four words, whatever their length. */
const FOUR_WORDS = 32;
/** Longer names are not kept, and all together take no more than this. */
const NAME_MAX = 128;
const MEMORY_MAX = 1 << 17;

/**
 * Names of attributes as members of JSON inside a string: a comma, the name, a colon. Each is rendered when it is first met, and kept by
 * its key id. Up to FOUR_WORDS bytes are written behind a name's start; what follows a name in a row takes the place of those it leaves.
 */
export class MemberNames {
  readonly #gather: Gather;
  readonly #from = new Int32Array(KEY_IDS);
  /** 0: not kept. */
  readonly #length = new Uint8Array(KEY_IDS);
  #memory = new DataView(new ArrayBuffer(1 << 12));
  #used = 0;

  constructor(gather: Gather) {
    this.#gather = gather;
  }

  /** The name of a tape entry. */
  write(out: DataView, at: number, entry: number): number {
    const key = this.#gather.tape[entry]! >>> 4;
    const length = this.#length[key]!;
    if (length === 0) return this.#first(out, at, entry, key);
    return this.copy(out, at, this.#from[key]!, length);
  }

  /** Place of the name of a tape entry in the memory, -1 where it is not kept; and its length there. */
  placeOf(entry: number): number {
    const key = this.#gather.tape[entry]! >>> 4;
    return this.#length[key] === 0 ? -1 : this.#from[key]!;
  }

  lengthOf(entry: number): number {
    return this.#length[this.#gather.tape[entry]! >>> 4]!;
  }

  /** Writes a name that is kept. */
  copy(out: DataView, at: number, from: number, length: number): number {
    const memory = this.#memory;
    if (length > FOUR_WORDS) return copy(out, at, memory, from, length);
    out.setBigUint64(at, memory.getBigUint64(from, true), true);
    out.setBigUint64(at + 8, memory.getBigUint64(from + 8, true), true);
    out.setBigUint64(at + 16, memory.getBigUint64(from + 16, true), true);
    out.setBigUint64(at + 24, memory.getBigUint64(from + 24, true), true);
    return at + length;
  }

  /** A name that has no id, or is not kept yet. */
  #first(out: DataView, at: number, entry: number, key: number): number {
    const { order, view } = this.#gather;
    out.setUint8(at, COMMA);
    const o = writeQuotedJsonText(out, at + 1, view, order.keyFrom(entry), order.keyEnd(entry));
    out.setUint8(o, COLON);
    const length = o + 1 - at;
    if (key !== 0 && length <= NAME_MAX) this.#keep(out, at, key, length);
    return o + 1;
  }

  #keep(out: DataView, at: number, key: number, length: number): void {
    const end = this.#used + length;
    if (end > MEMORY_MAX) return;
    const old = this.#memory;
    if (end + FOUR_WORDS + SLACK > old.byteLength) {
      this.#memory = new DataView(new ArrayBuffer(2 * old.byteLength));
      copy(this.#memory, 0, old, 0, this.#used);
    }
    copy(this.#memory, this.#used, out, at, length);
    this.#from[key] = this.#used;
    this.#length[key] = length;
    this.#used = end;
  }
}
