import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Range } from "../../otlp/range.ts";
import { ENTRY, Group, Item, Kind, NodeType, type Signal } from "../../otlp/tape.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";

/** Items that stand together and go to one database. */
interface Run {
  /** Undefined: to none. */
  readonly database: string | undefined;
  readonly end: number;
}

/**
 * Writes one database at a time: the one that an attribute of the items' resource names, if it is allowed, else the default one. A
 * request ends where the database changes, and no row of one database is ever in a request to another.
 */
export class DatabaseWriter<S extends Signal> implements Writer<S> {
  readonly #key: number;
  readonly #allowed: ReadonlySet<string>;
  readonly #fallback: string | undefined;
  readonly #writerOf: (database: string) => Writer<S>;
  /** What stands in the memory of a body, which is its lane's until the post is over. */
  readonly #written = new WeakMap<ArrayBufferLike, string>();

  /** `fallback` is for items that name none, or one that is not allowed; undefined: they are dropped. */
  constructor(
    indexer: Indexer,
    attribute: string,
    allowed: readonly string[],
    fallback: string | undefined,
    writerOf: (database: string) => Writer<S>,
  ) {
    this.#key = indexer.keys.id(attribute);
    this.#allowed = new Set(allowed);
    this.#fallback = fallback;
    this.#writerOf = writerOf;
  }

  /** Database of what was written to this memory last. */
  databaseOf(body: Uint8Array): string {
    const database = this.#written.get(body.buffer);
    if (database === undefined) throw new Error("the body was not written by this writer");
    return database;
  }

  write(range: Range<S>, from: number, to: number, out: Slab): Written {
    const { database, end } = this.#run(range, from, to);
    if (database === undefined)
      return { to: end, rows: 0, dropped: new Map([["no_database", end - from]]) };
    this.#written.set(out.bytes.buffer, database);
    return this.#writerOf(database).write(range, from, end, out);
  }

  itemOfRow(range: Range<S>, from: number, row: number): number {
    return this.itemsOfRows(range, from, [row])[0] ?? -1;
  }

  itemsOfRows(range: Range<S>, from: number, rows: readonly number[]): readonly number[] {
    const { database } = this.#run(range, from, from + 1);
    if (database === undefined) return rows.map(() => -1);
    const writer = this.#writerOf(database);
    return (
      writer.itemsOfRows?.(range, from, rows) ??
      rows.map((row) => writer.itemOfRow(range, from, row))
    );
  }

  /** The items from `from` on, before `to`, that go where the first of them goes. */
  #run(range: Range<S>, from: number, to: number): Run {
    let database: string | undefined;
    let item = 0;
    for (const { batch } of range.frames) {
      if (item + batch.items <= from) {
        item += batch.items;
        continue;
      }
      const { tape } = batch;
      let group = -1;
      let own: string | undefined;
      for (let at = 0; at < tape.length && item < to; at += (tape[at] ?? 0) >>> 2) {
        if (((tape[at] ?? 0) & 3) !== NodeType.item) continue;
        if (item >= from) {
          const ofGroup = tape[at + Item.group] ?? 0;
          if (ofGroup !== group) own = this.#databaseOf(batch, ofGroup);
          group = ofGroup;
          if (item === from) database = own;
          else if (own !== database) return { database, end: item };
        }
        item++;
      }
    }
    return { database, end: to };
  }

  #databaseOf({ tape, bytes }: Batch, group: number): string | undefined {
    const first = tape[group + Group.resourceEntries] ?? 0;
    for (let n = (tape[group + Group.resourceCount] ?? 0) - 1; n >= 0; n--) {
      const entry = first + n * ENTRY;
      const head = tape[entry] ?? 0;
      if (head >>> 4 !== this.#key) continue;
      const name = Buffer.from(bytes.subarray(tape[entry + 2], tape[entry + 3])).toString();
      if ((head & 15) === Kind.text && this.#allowed.has(name)) return name;
      break;
    }
    return this.#fallback;
  }
}
