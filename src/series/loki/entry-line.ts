import { NameMap } from "../../line/name-map.ts";
import type { Keys } from "../../otlp/keys.ts";
import type { Stored } from "../../otlp/range.ts";
import { ENTRY, Entry, ITEM_HEADER, Item, Kind, Log, LogFlags } from "../../otlp/tape.ts";
import { type JsonWriter, jsonRoom } from "../../otlp/value-json.ts";
import { NO_BATCH } from "../batch-memory.ts";
import type { ItemRows } from "../line-writer.ts";
import { Scratch } from "../values.ts";

const NEWLINE = 10;
const NONE = -1;

/**
 * The line of a record: its body, as JSON where it is not text. Of a row of a table or a line: the attribute `message`, else the body,
 * else the row as line protocol.
 */
export class EntryLine {
  /** The line: [from, end) of `view` and `bytes`. */
  view: DataView = NO_BATCH.view;
  bytes: Uint8Array = NO_BATCH.bytes;
  from = 0;
  end = 0;
  /** Entry that gave the line, or -1. */
  entry = NONE;
  /** A body that is not the line: [bodyFrom, bodyEnd) of `bodyView`. */
  bodyView: DataView = this.view;
  bodyFrom = 0;
  bodyEnd = 0;
  readonly #tables: NameMap;
  readonly #tags: number;
  readonly #message: number;
  readonly #json: JsonWriter;
  readonly #rows: ItemRows;
  readonly #scratch = new Scratch();

  constructor(tables: readonly string[], keys: Keys, json: JsonWriter, rows: ItemRows) {
    this.#tables = new NameMap(new Map(tables.map((name) => [name, 0] as const)));
    this.#tags = keys.id("weir.tags");
    this.#message = keys.id("message");
    this.#json = json;
    this.#rows = rows;
  }

  /** The frame of the next records; undefined lets go of the last. */
  open(frame: Stored<"logs"> | undefined): void {
    this.#rows.openAside(frame);
    if (frame === undefined) this.#set(NO_BATCH, 0, 0);
  }

  /** Finds the line of the ITEM at tape index `at`. */
  find(tape: Int32Array, at: number): void {
    this.entry = NONE;
    this.bodyEnd = this.bodyFrom;
    const hasBody = this.#body(tape, at);
    if (tape[at + Log.eventNameEnd]! <= tape[at + Log.eventNameAt]!) return;
    if (!this.#isRow(tape, at)) return;
    if (this.#fromMessage(tape, at) || hasBody) return;
    const end = this.#rows.rowsOf(at);
    const { aside } = this.#rows;
    this.#set(aside, 0, end > 0 && aside.bytes[end - 1] === NEWLINE ? end - 1 : end);
  }

  /** Whether the record came as a line: the door puts `weir.tags` or `weir.uint` last. */
  isLine(tape: Int32Array, at: number): boolean {
    if (tape[at + Log.eventNameEnd]! <= tape[at + Log.eventNameAt]!) return false;
    const first = at + ITEM_HEADER;
    const count = tape[at + Item.attributes]!;
    for (let e = first + ENTRY * (count - 1); e >= first; e -= ENTRY)
      if (tape[e]! >>> 4 === this.#tags) return true;
    return false;
  }

  #isRow(tape: Int32Array, at: number): boolean {
    const name = tape[at + Log.eventNameAt]!;
    const nameEnd = tape[at + Log.eventNameEnd]!;
    return this.#tables.get(this.#json.bytes, name, nameEnd) >= 0 || this.isLine(tape, at);
  }

  /** Takes the body; false when there is none. */
  #body(tape: Int32Array, at: number): boolean {
    const kind = tape[at + Item.flags]! & LogFlags.bodyKindMask;
    const from = tape[at + Log.bodyAt]!;
    const end = tape[at + Log.bodyEnd]!;
    if (kind === Kind.none) this.#set(this.#json, 0, 0);
    else if (kind === Kind.text) this.#set(this.#json, from, end);
    else {
      this.#scratch.need(jsonRoom(end - from));
      this.#set(this.#scratch, 0, this.#json.value(this.#scratch.view, 0, kind as Kind, from, end));
    }
    return this.end > this.from;
  }

  /** Takes the attribute `message` where there is one; a body is then beside it. */
  #fromMessage(tape: Int32Array, at: number): boolean {
    const first = at + ITEM_HEADER;
    const stop = first + ENTRY * tape[at + Item.attributes]!;
    for (let e = first; e < stop; e += ENTRY) {
      if (tape[e]! >>> 4 !== this.#message || (tape[e]! & 15) !== Kind.text) continue;
      if (tape[e + Entry.valueAt] === tape[e + Entry.valueEnd]) continue;
      this.entry = e;
      this.bodyView = this.view;
      this.bodyFrom = this.from;
      this.bodyEnd = this.end;
      this.#set(this.#json, tape[e + Entry.valueAt]!, tape[e + Entry.valueEnd]!);
      return true;
    }
    return false;
  }

  #set(memory: { readonly bytes: Uint8Array; readonly view: DataView }, from: number, end: number) {
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.from = from;
    this.end = end;
  }
}
