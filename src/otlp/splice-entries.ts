import { copy } from "../wire/copy.ts";
import { varintSize } from "./build.ts";
import { DELETED, type Edits, fieldStart, keyAt, lengthAt, Mark, ROW } from "./edits.ts";
import { blank, Output } from "./splice-output.ts";
import { ENTRY } from "./tape.ts";
import { payloadAt } from "./values.ts";

/** Bytes of tags and lengths around a key and a value, at most. */
export const FRAME = 24;

/** Ints of a move, the trace of one edit: see Move. */
export const MOVE = 6;
/**
 * Positions of the source at or behind `from` (and before the next move's) move by `shift`. The others are the entry on the new
 * tape; its head is DELETED when there is none.
 */
export const Move = { from: 0, shift: 1, head: 2, keyValueAt: 3, valueAt: 4, valueEnd: 5 } as const;

/** Writes attributes: first the bytes of the edited ones, with the runs between them, and then the new tape's entries for all. */
export class SpliceEntries extends Output {
  readonly edits: Edits;
  readonly tape: Int32Array;
  readonly out: Int32Array;
  /** Moves of the current message. */
  moves = new Int32Array(0);
  movesEnd = 0;

  constructor(edits: Edits) {
    const { batch, tape } = edits;
    const share = batch.items === 0 ? 1 : edits.kept / batch.items;
    const rows = edits.rowsEnd / ROW;
    const length = Math.ceil((batch.length + edits.growth()) * share);
    super(batch, length + (length >> 6) + edits.arenaLength + rows * FRAME + 512);
    this.edits = edits;
    this.tape = tape;
    this.out = new Int32Array(blank(edits.ints() * 4).buffer);
  }

  /** Entries of which none was edited. */
  copyEntries(from: number, count: number): void {
    const { tape, out } = this;
    const shift = this.o - this.from;
    let top = this.top;
    const end = from + count * ENTRY;
    for (let e = from; e < end; e += ENTRY, top += ENTRY) {
      out[top] = tape[e]!;
      out[top + 1] = tape[e + 1]! + shift;
      out[top + 2] = tape[e + 2]! + shift;
      out[top + 3] = tape[e + 3]! + shift;
    }
    this.top = top;
  }

  /** Entries with their edits. `tag`: of the attribute field. Starts the moves anew. */
  editEntries(from: number, count: number, tag: number): void {
    const shift = this.o - this.from;
    const end = from + count * ENTRY;
    this.movesEnd = 0;
    if (count * MOVE >= this.moves.length) this.moves = new Int32Array((2 * count + 1) * MOVE);
    for (let e = from; e < end; e += ENTRY)
      if (this.edits.marks[e >> 2] !== Mark.none) this.#edit(e, tag);
    this.#moveEntries(from, end, shift);
  }

  /** Any edit of an entry. */
  #edit(e: number, tag: number): void {
    const { source, tape, moves } = this;
    const mark = this.edits.marks[e >> 2]!;
    const at = tape[e + 1]!;
    const field = fieldStart(source, at);
    const end = at + lengthAt(source, field + 1);
    const key = keyAt(source, at);
    const n = lengthAt(source, at + 1);
    const move = this.movesEnd;
    this.flush(field);
    const head = this.edits.headOf(e);
    if (mark < Mark.row) {
      const { keys } = this.edits;
      this.from = key + n;
      this.#key(move, tag, keys.view, keys.at(mark), keys.length(mark), end - this.from);
      moves[move + Move.head] = head;
      moves[move + Move.valueAt] = tape[e + 2]! + this.o - this.from;
      moves[move + Move.valueEnd] = tape[e + 3]! + this.o - this.from;
    } else {
      this.from = end;
      moves[move + Move.head] = DELETED;
      if (head >>> 4 === tape[e]! >>> 4)
        this.#row(this.edits.rowOf(e), move, tag, this.sourceView, key, n);
      else if (head !== DELETED) this.#keyed(this.edits.rowOf(e), head >>> 4, move, tag);
    }
    moves[move + Move.from] = this.from;
    moves[move + Move.shift] = this.o - this.from;
    this.movesEnd = move + MOVE;
  }

  /** Start of a KeyValue with `rest` bytes behind its key, which is [key, key + n) of `view`. */
  #key(move: number, tag: number, view: DataView, key: number, n: number, rest: number): void {
    this.reserve(n + rest + FRAME);
    this.bytes[this.o++] = tag;
    this.varint(1 + varintSize(n) + n + rest);
    this.moves[move + Move.keyValueAt] = this.o;
    this.bytes[this.o++] = 0x0a; // KeyValue.key
    this.varint(n);
    this.o = copy(this.view, this.o, view, key, n);
  }

  /** A row as a KeyValue; its key is in the key table. */
  #keyed(row: number, id: number, move: number, tag: number): void {
    const { keys } = this.edits;
    this.#row(row, move, tag, keys.view, keys.at(id), keys.length(id));
  }

  /** A row as a KeyValue; its key is [key, key + n) of `view`. */
  #row(row: number, move: number, tag: number, view: DataView, key: number, n: number): void {
    const { arena, rows } = this.edits;
    const { moves } = this;
    const from = rows[row + 2]!;
    const to = rows[row + 3]!;
    const size = to - from;
    this.#key(move, tag, view, key, n, 1 + varintSize(size) + size);
    this.bytes[this.o++] = 0x12; // KeyValue.value
    this.varint(size);
    const shift = this.o - from;
    this.o = copy(this.view, this.o, arena.view, from, size);
    moves[move + Move.head] = rows[row + 1]!;
    moves[move + Move.valueAt] = payloadAt(arena.bytes, from, to) + shift;
    moves[move + Move.valueEnd] = to + shift;
  }

  /** Entries [from, end) → the new tape, by the moves. Calls nothing. */
  #moveEntries(from: number, end: number, shift: number): void {
    const { tape, out, moves } = this;
    const { marks } = this.edits;
    let top = this.top;
    let move = 0;
    for (let e = from; e < end; e += ENTRY) {
      if (marks[e >> 2] === Mark.none) {
        out[top] = tape[e]!;
        out[top + 1] = tape[e + 1]! + shift;
        out[top + 2] = tape[e + 2]! + shift;
        out[top + 3] = tape[e + 3]! + shift;
        top += ENTRY;
        continue;
      }
      shift = moves[move + 1]!;
      const head = moves[move + 2]!;
      if (head !== DELETED) {
        out[top] = head;
        out[top + 1] = moves[move + 3]!;
        out[top + 2] = moves[move + 4]!;
        out[top + 3] = moves[move + 5]!;
        top += ENTRY;
      }
      move += MOVE;
    }
    this.top = top;
  }

  /** Attributes that the draft added to `owner`, behind all others. */
  addedEntries(owner: number, tag: number): void {
    const { out, moves } = this;
    const { rows } = this.edits;
    for (let row = this.edits.firstRow(owner); row !== 0; row = rows[row]!) {
      const head = rows[row + 1]!;
      if (head === DELETED) continue;
      const move = moves.length - MOVE;
      this.#keyed(row, head >>> 4, move, tag);
      for (let i = 0; i < ENTRY; i++) out[this.top + i] = moves[move + Move.head + i]!;
      this.top += ENTRY;
    }
  }

  /** Where `position` of the current message has moved to; `shift` before its first edit. */
  move(position: number, shift: number): number {
    if (position < 0) return position;
    const { moves } = this;
    for (let i = this.movesEnd - MOVE; i >= 0; i -= MOVE)
      if (position >= moves[i]!) return position + moves[i + 1]!;
    return position + shift;
  }
}
