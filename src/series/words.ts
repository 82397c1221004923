import { Kind } from "../otlp/tape.ts";
import type { PlanColumn } from "./compile.ts";
import type { Gather } from "./gather.ts";
import { SlotKind } from "./slots.ts";
import { Scratch, type Values } from "./values.ts";

/** Bytes of a number, a boolean or an id as text. */
const PLAIN_ROOM = 64;

/** Turns a text into what its column says for it: in lower case, then replaced where the table has the word. */
export class Words {
  /** The result of `find`: `view[from, end)`. */
  view: DataView;
  from = 0;
  end = 0;
  readonly #constants: DataView;
  /** By column: bits of `hashOf` of its words. */
  readonly #hashes: Int32Array;
  readonly #scratch = new Scratch();
  readonly #plain = new Scratch();
  readonly #utf8 = new TextDecoder();

  constructor(columns: readonly PlanColumn[], constants: DataView) {
    this.#constants = constants;
    this.#plain.need(PLAIN_ROOM);
    this.view = constants;
    this.#hashes = Int32Array.from(columns, ({ words }) =>
      words.reduce(
        (bits, { from }) =>
          bits | (1 << (from.length === 0 ? 0 : hashOf(from.length, constants.getUint8(from.at)))),
        0,
      ),
    );
  }

  /** The same for a value of the item that need not be text: numbers and booleans are looked up as they are written. False: it has no such text. */
  findOf(
    column: PlanColumn,
    gather: Gather,
    values: Values,
    kind: number,
    from: number,
    end: number,
  ): boolean {
    const { constants } = gather.plan;
    if (kind === Kind.text) this.find(column, gather.bytes, gather.view, from, end);
    else if (kind === SlotKind.constant)
      this.find(column, constants.bytes, constants.view, from, end);
    else {
      const { bytes, view } = this.#plain;
      const stop = values.isPlain(kind) ? values.plain(view, 0, kind, from, end) : -1;
      if (stop < 0) return false;
      this.find(column, bytes, view, 0, stop);
    }
    return true;
  }

  find(column: PlanColumn, bytes: Uint8Array, view: DataView, from: number, end: number): void {
    this.view = view;
    this.from = from;
    this.end = end;
    if (column.lowerCase && oddIn(view, from, end) !== 0) this.#toLowerCase(bytes, from, end);
    const length = this.end - this.from;
    const hash = length === 0 ? 0 : hashOf(length, this.view.getUint8(this.from));
    if ((this.#hashes[column.index]! >>> hash) & 1) this.#replace(column);
  }

  #replace({ words }: PlanColumn): void {
    const constants = this.#constants;
    const length = this.end - this.from;
    for (let w = 0; w < words.length; w++) {
      const { from, to } = words[w]!;
      if (from.length !== length) continue;
      let i = 0;
      while (i < length && constants.getUint8(from.at + i) === this.view.getUint8(this.from + i))
        i++;
      if (i < length) continue;
      this.view = constants;
      this.from = to.at;
      this.end = to.at + to.length;
      return;
    }
  }

  #toLowerCase(bytes: Uint8Array, from: number, end: number): void {
    const scratch = this.#scratch;
    let isAscii = true;
    scratch.need(end - from);
    const view = this.view;
    for (let p = from; p < end; p += 4) {
      const x = view.getInt32(p, true);
      if (((x << (p + 4 > end ? 8 * (p + 4 - end) : 0)) & 0x80808080) !== 0) isAscii = false;
      // 0x20 is the bit of lower case; a byte ≥ 0x80 spoils the word, which is then not used.
      scratch.view.setInt32(p - from, x | (upperIn(x) >>> 2), true);
    }
    const length = end - from;
    this.end = isAscii
      ? length
      : scratch.set(this.#utf8.decode(bytes.subarray(from, end)).toLowerCase());
    this.view = scratch.view;
    this.from = 0;
  }
}

function hashOf(length: number, first: number): number {
  return (length + first) & 31;
}

/** Marks (bit 7 of a byte) A to Z, where no byte is ≥ 0x80. */
function upperIn(x: number): number {
  return (x + 0x3f3f3f3f) & ~(x + 0x25252525) & 0x80808080;
}

/** Not 0 when the text holds A to Z or a byte ≥ 0x80. */
function oddIn(view: DataView, from: number, end: number): number {
  let odd = 0;
  let p = from;
  for (; p + 4 <= end; p += 4) {
    const x = view.getInt32(p, true);
    odd |= upperIn(x) | (x & 0x80808080);
  }
  for (; p < end; p++) {
    const c = view.getUint8(p);
    if (c > 127 || (c >= 65 && c <= 90)) odd |= 1;
  }
  return odd;
}
