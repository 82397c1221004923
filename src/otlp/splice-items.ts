import { SLACK } from "../wire/slack.ts";
import { varintSize } from "./build.ts";
import { type Edits, fieldStart, Mark } from "./edits.ts";
import { FRAME, SpliceEntries } from "./splice-entries.ts";
import { ENTRY, ITEM_HEADER, Item, NodeType, Point, type Signal } from "./tape.ts";

/** Longer runs are left to `copy` (bytes). */
const SHORT_RUN = 256;
const NOWHERE = 0x7fff_ffff;

/** Writes items: as they were, with renamed attributes (quickly), or with any edits. */
export class SpliceItems extends SpliceEntries {
  readonly signal: Signal;
  /** Bytes of the batch. */
  readonly length: number;
  /** The GROUP and METRIC that are open on the new tape. */
  groupNode = 0;
  metricNode = 0;
  /** Of the next item in the batch. */
  ordinal = 0;

  constructor(edits: Edits) {
    super(edits);
    this.signal = edits.batch.signal;
    this.length = edits.batch.length;
  }

  /** The items without edits from `at` on, whose bytes are one run; returns where it stopped. */
  untouchedItems(at: number): number {
    const { tape, out, edits } = this;
    const shift = this.o - this.from;
    let { ordinal, top } = this;
    while (at < tape.length && (tape[at]! & 3) === NodeType.item && edits.isUntouched(ordinal)) {
      const end = at + (tape[at]! >>> 2);
      out[top] = tape[at]!;
      out[top + Item.end] = tape[at + Item.end]! + shift;
      this.#header(at, top, NOWHERE, NOWHERE, shift, shift);
      let to = top + ITEM_HEADER;
      for (let e = at + ITEM_HEADER; e < end; e += ENTRY, to += ENTRY) {
        out[to] = tape[e]!;
        out[to + 1] = tape[e + 1]! + shift;
        out[to + 2] = tape[e + 2]! + shift;
        out[to + 3] = tape[e + 3]! + shift;
      }
      top = to;
      at = end;
      ordinal++;
    }
    this.items += ordinal - this.ordinal;
    this.ordinal = ordinal;
    this.top = top;
    return at;
  }

  /**
   * The items from `at` on whose edits are renames only, as long as lengths take one byte (of the item: as many as before) and
   * nothing else is unusual; returns where it stopped. Calls nothing that is not inlined, so that V8 need not look again at what it
   * holds. An item that stops it has written behind `o` and `top` only, and is written again by `editedItem`.
   */
  renamedItems(at: number, tag: number): number {
    const { tape, out, sourceView, bytes, view, edits } = this;
    const { marks, keys } = edits;
    const keyView = keys.view;
    const room = bytes.length - SLACK - FRAME;
    let { o, from, top, ordinal } = this;
    while (at < tape.length && (tape[at]! & 3) === NodeType.item && edits.isOnlyMarked(ordinal)) {
      const end = at + (tape[at]! >>> 2);
      const before = o - from;
      let shift = before;
      let first = NOWHERE;
      let next = from;
      let p = o;
      let to = top + ITEM_HEADER;
      let e = at + ITEM_HEADER;
      for (; e < end; e += ENTRY, to += ENTRY) {
        const mark = marks[e >> 2]!;
        const keyValueAt = tape[e + 1]!;
        if (mark === Mark.none) {
          out[to] = tape[e]!;
          out[to + 1] = keyValueAt + shift;
        } else {
          if (mark >= Mark.row) break;
          const n = keys.length(mark);
          const start = sourceView.getInt32(keyValueAt - 2, true); // tag, length, KeyValue.key, its length
          const old = start >>> 24;
          const stop = keyValueAt - 2 + shift;
          const size = ((start >>> 8) & 255) - old + n;
          if ((start & 0x80) !== 0 || old > 127 || size > 127 || n > 127) break;
          if (stop - p > SHORT_RUN || stop + n > room) break;
          for (; p < stop; p += 8)
            view.setBigUint64(p, sourceView.getBigUint64(p - shift, true), true);
          view.setInt32(stop, tag | (size << 8) | (0x0a << 16) | (n << 24), true); // KeyValue.key
          const end = stop + 4 + n;
          p = stop + 4;
          for (let q = keys.at(mark); p < end; p += 8, q += 8)
            view.setBigUint64(p, keyView.getBigUint64(q, true), true);
          p = end;
          next = keyValueAt + 2 + old;
          if (first === NOWHERE) first = keyValueAt;
          shift = p - next;
          out[to] = (mark << 4) | (tape[e]! & 15);
          out[to + 1] = stop + 2;
        }
        out[to + 2] = tape[e + 2]! + shift;
        out[to + 3] = tape[e + 3]! + shift;
      }
      if (e < end || !this.#header(at, top, first, next, before, shift)) break;
      if (!this.#length(at, top, shift)) break;
      out[top] = tape[at]!;
      o = p;
      from = next;
      top = to;
      at = end;
      ordinal++;
    }
    this.items += ordinal - this.ordinal;
    this.ordinal = ordinal;
    this.o = o;
    this.from = from;
    this.top = top;
    return at;
  }

  /** End and length of an item whose end moves by `shift`; false when its length needs more bytes than it had. */
  #length(at: number, node: number, shift: number): boolean {
    const { tape, out, bytes, source } = this;
    const stop = tape[at + Item.end]! + shift;
    const start = out[node + Item.at]!;
    const size = stop - start;
    const before = tape[at + Item.at]! - 1;
    out[node + Item.end] = stop;
    if (size < 128 && source[before - 1]! < 128) {
      bytes[start - 1] = size;
      return true;
    }
    if (size < 128 || size > 16_383 || source[before - 1]! < 128 || source[before - 2]! > 127)
      return stop - start === tape[at + Item.end]! - before - 1;
    bytes[start - 2] = (size & 127) | 128;
    bytes[start - 1] = size >> 7;
    return true;
  }

  /**
   * Header of the ITEM at `node` but for its size and end: positions in front of `first` move by `before`, those from `last` on by
   * `after`. False when one is between the two.
   */
  #header(
    at: number,
    node: number,
    first: number,
    last: number,
    before: number,
    after: number,
  ): boolean {
    const { tape, out } = this;
    out[node + Item.group] = this.groupNode;
    out[node + Item.at] = tape[at + Item.at]! + before;
    out[node + Item.flags] = tape[at + Item.flags]!;
    out[node + Item.attributes] = tape[at + Item.attributes]!;
    const time = tape[at + Item.time]!;
    let isSure = time < first || time >= last;
    out[node + Item.time] = time < 0 ? time : time < first ? time + before : time + after;
    for (let i = Item.trace as number; i < ITEM_HEADER; i++) {
      const position = tape[at + i]!;
      if (position < first) out[node + i] = position < 0 ? position : position + before;
      else {
        out[node + i] = position + after;
        if (position < last) isSure = false;
      }
    }
    if (this.signal !== "metrics") return isSure;
    out[node + Point.metric] = this.metricNode;
    return isSure;
  }

  /** An item with any edits. Its length is put in afterwards, where it stands in the run that was copied. */
  editedItem(at: number, tag: number): number {
    const { tape, out, source } = this;
    const start = tape[at + Item.at]!;
    const end = tape[at + Item.end]!;
    const shift = this.o - this.from;
    const node = this.top;
    this.top = node + ITEM_HEADER;
    this.editEntries(at + ITEM_HEADER, tape[at + Item.attributes]!, tag);
    let stop = end + this.o - this.from;
    if (this.edits.firstRow(this.ordinal) !== 0) {
      this.flush(end);
      this.addedEntries(this.ordinal, tag);
      stop = this.o;
    }
    this.items++;
    this.ordinal++;
    this.#header(at, node, NOWHERE, NOWHERE, shift, shift);
    out[node] = ((this.top - node) << 2) | NodeType.item;
    out[node + Item.end] = stop;
    out[node + Item.attributes] = (this.top - node - ITEM_HEADER) / ENTRY;
    if (this.movesEnd !== 0) this.#movePositions(at, node, shift);
    const size = stop - start - shift;
    const next = at + (tape[at]! >>> 2);
    if (size === end - start) return next;
    const width = start - 1 - fieldStart(source, start);
    if (varintSize(size) <= width) this.padded(start + shift - width, width, size);
    else this.#widen(node, width, size);
    return next;
  }

  /** The positions in an ITEM's header, by the moves. */
  #movePositions(at: number, node: number, shift: number): void {
    const { tape, out } = this;
    out[node + Item.time] = this.move(tape[at + Item.time]!, shift);
    for (let i = Item.trace; i < ITEM_HEADER; i++) out[node + i] = this.move(tape[at + i]!, shift);
    if (this.signal === "metrics") out[node + Point.metric] = this.metricNode;
  }

  /** The item at `node` has outgrown the `width` bytes of its length: all of it moves. */
  #widen(node: number, width: number, size: number): void {
    const { out } = this;
    const by = varintSize(size) - width;
    const content = out[node + Item.at]!;
    this.reserve(by);
    this.bytes.copyWithin(content + by, content, this.o);
    this.o += by;
    this.padded(content - width, width + by, size);
    for (const i of [Item.at, Item.end, Item.time]) if (out[node + i]! >= 0) out[node + i]! += by;
    for (let i = node + Item.trace; i < node + ITEM_HEADER; i++) if (out[i]! >= 0) out[i]! += by;
    if (this.signal === "metrics") out[node + Point.metric] = this.metricNode;
    for (let e = node + ITEM_HEADER; e < this.top; e += ENTRY)
      for (let i = 1; i < ENTRY; i++) out[e + i]! += by;
  }
}
