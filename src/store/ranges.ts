import type { DuckDBConnection } from "@duckdb/node-api";
import { quoteText } from "./duck.ts";

/** Items `[firstSeq.firstItem, lastSeq.lastItem]`, both ends included, of one route of one journal. */
export interface ItemRange {
  readonly journal: string;
  readonly route: string;
  readonly firstSeq: number;
  readonly firstItem: number;
  readonly lastSeq: number;
  readonly lastItem: number;
}

type Interval = Pick<ItemRange, "firstSeq" | "firstItem" | "lastSeq" | "lastItem">;

const HEADER = /^([^/]{1,200})\/(.{1,400})\/(\d{1,15})\.(\d{1,10})-(\d{1,15})\.(\d{1,10})$/;

/** Intervals kept per route. The oldest go first: after a crash only what was in flight is sent again, and that is recent. */
export const MAX_INTERVALS = 1024;

/** Reads an X-Weir-Range header; undefined when it is not one. */
export function parseRange(header: string): ItemRange | undefined {
  const match = HEADER.exec(header);
  if (match === null) return undefined;
  const [, journal = "", route = "", ...ends] = match;
  const [firstSeq = 0, firstItem = 0, lastSeq = 0, lastItem = 0] = ends.map(Number);
  const range = { journal, route, firstSeq, firstItem, lastSeq, lastItem };
  return isAfter(firstSeq, firstItem, lastSeq, lastItem) ? undefined : range;
}

function isAfter(seqA: number, itemA: number, seqB: number, itemB: number): boolean {
  return seqA > seqB || (seqA === seqB && itemA > itemB);
}

function covers(outer: Interval, inner: Interval): boolean {
  return (
    !isAfter(outer.firstSeq, outer.firstItem, inner.firstSeq, inner.firstItem) &&
    !isAfter(inner.lastSeq, inner.lastItem, outer.lastSeq, outer.lastItem)
  );
}

/** Overlapping, or one begins with the item behind the other's last one (known only inside one frame). */
function touches(a: Interval, b: Interval): boolean {
  return !(
    isAfter(a.firstSeq, a.firstItem, b.lastSeq, b.lastItem + 1) ||
    isAfter(b.firstSeq, b.firstItem, a.lastSeq, a.lastItem + 1)
  );
}

function union(a: Interval, b: Interval): Interval {
  const isFirstA = !isAfter(a.firstSeq, a.firstItem, b.firstSeq, b.firstItem);
  const isLastA = isAfter(a.lastSeq, a.lastItem, b.lastSeq, b.lastItem);
  const first = isFirstA ? a : b;
  const last = isLastA ? a : b;
  return {
    firstSeq: first.firstSeq,
    firstItem: first.firstItem,
    lastSeq: last.lastSeq,
    lastItem: last.lastItem,
  };
}

/**
 * Which items of which routes are stored: merged intervals per journal and route, written in the transaction of their rows. A
 * range that lies in one interval is a resend and changes nothing.
 */
export class StoredRanges {
  readonly #intervals = new Map<string, Interval[]>();

  async load(connection: DuckDBConnection): Promise<void> {
    this.#intervals.clear();
    const rows = await connection.runAndReadAll(
      "SELECT journal, route, first_seq, first_item, last_seq, last_item FROM weir_catalog.ranges ORDER BY ALL",
    );
    for (const row of rows.getRows()) {
      const [firstSeq, firstItem, lastSeq, lastItem] = row.slice(2).map(Number) as [
        number,
        number,
        number,
        number,
      ];
      this.#of(String(row[0]), String(row[1])).push({ firstSeq, firstItem, lastSeq, lastItem });
    }
  }

  has(range: ItemRange): boolean {
    return this.#of(range.journal, range.route).some((interval) => covers(interval, range));
  }

  /** Adds to the memory and returns the statements that do the same in the file. */
  add(range: ItemRange): string[] {
    const { journal, route } = range;
    const intervals = this.#of(journal, route);
    const gone = intervals.filter((interval) => touches(interval, range));
    const kept = intervals.filter((interval) => !touches(interval, range));
    const merged = gone.reduce<Interval>(union, range);
    kept.push(merged);
    if (kept.length > MAX_INTERVALS) {
      kept.sort((a, b) => (isAfter(a.firstSeq, a.firstItem, b.firstSeq, b.firstItem) ? 1 : -1));
      gone.push(...kept.splice(0, kept.length - MAX_INTERVALS));
    }
    this.#intervals.set(keyOf(journal, route), kept);
    const where = `journal = ${quoteText(journal)} AND route = ${quoteText(route)}`;
    return [
      ...gone.map(
        (i) =>
          `DELETE FROM weir_catalog.ranges WHERE ${where} AND first_seq = ${i.firstSeq} AND first_item = ${i.firstItem}`,
      ),
      `INSERT INTO weir_catalog.ranges VALUES (${quoteText(journal)}, ${quoteText(route)}, ${merged.firstSeq}, ${merged.firstItem}, ${merged.lastSeq}, ${merged.lastItem})`,
    ];
  }

  /** Intervals of a route: for tests and numbers. */
  count(journal: string, route: string): number {
    return this.#of(journal, route).length;
  }

  #of(journal: string, route: string): Interval[] {
    const key = keyOf(journal, route);
    const known = this.#intervals.get(key);
    if (known !== undefined) return known;
    const fresh: Interval[] = [];
    this.#intervals.set(key, fresh);
    return fresh;
  }
}

function keyOf(journal: string, route: string): string {
  return `${journal}\n${route}`;
}
