import { Literal } from "../line/literals.ts";
import { KEY_ESCAPED, LITERAL_MASK, PAIR, Pair, VALUE_ESCAPED } from "../line/pair.ts";
import { describeProblem, Problem } from "../line/problems.ts";
import { LineReader } from "../line/reader.ts";
import type { Precision } from "../line/time.ts";
import {
  type Catalog,
  type Column,
  type Kind,
  MAX_COLUMNS,
  MAX_TABLES,
  type Table,
} from "./catalog.ts";
import { type Cell, TableRows } from "./table-rows.ts";

/** One line that was not stored. */
export interface LineError {
  readonly message: string;
  /** 1, 2, 3 …: ordinal among lines that are neither blank nor comments, as InfluxDB counts. */
  readonly lineNumber: number;
  /** Its first 20 bytes. */
  readonly original: string;
}

const ORIGINAL_BYTES = 20;
const FACTOR = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
} as const;
/** TIMESTAMP_NS keeps the two outermost values for ±infinity. */
const TIME_MAX = 0x7fff_ffff_ffff_fffen;

const KIND_NAME: Readonly<Record<Kind | "time", string>> = {
  tag: "iox::column_type::tag",
  float: "iox::column_type::field::float",
  integer: "iox::column_type::field::integer",
  uinteger: "iox::column_type::field::uinteger",
  boolean: "iox::column_type::field::boolean",
  string: "iox::column_type::field::string",
  time: "iox::column_type::timestamp",
};

/** Rows of one transaction: reads line protocol, makes tables and columns as lines need them, refuses lines that do not fit. */
export class LineRows {
  readonly tables = new Map<Table, TableRows>();
  readonly #catalog: Catalog;
  readonly #reader = new LineReader();
  #bytes: Buffer = Buffer.alloc(0);
  // One line's columns and values: filled anew for each line.
  readonly #names: string[] = [];
  readonly #kinds: Kind[] = [];
  readonly #columns: Column[] = [];
  readonly #cells: Cell[] = [];

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Adds the lines of one request; those without a time get `nowNs`. Returns the lines that were refused. */
  add(database: string, bytes: Buffer, precision: Precision, nowNs: bigint): LineError[] {
    const errors: LineError[] = [];
    const reader = this.#reader;
    this.#bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    reader.reset(bytes, view, 0, bytes.byteLength);
    this.#catalog.makeDatabase(database);
    for (let ordinal = 1; reader.next(); ordinal++) {
      const message = this.#line(database, precision, nowNs);
      if (message !== undefined)
        errors.push({ message, lineNumber: ordinal, original: this.#original() });
    }
    return errors;
  }

  #original(): string {
    const from = this.#reader.lineAt;
    const newline = this.#bytes.indexOf(10, from);
    const end = Math.min(newline < 0 ? this.#bytes.length : newline, from + ORIGINAL_BYTES);
    return this.#bytes.toString("utf8", from, end);
  }

  /** Stores the reader's line or says why not; nothing changes when it does not fit. */
  #line(database: string, precision: Precision, nowNs: bigint): string | undefined {
    const reader = this.#reader;
    if (reader.problem !== Problem.none) return describeProblem(reader.problem);
    const time = reader.hasTime ? timeOf(reader.timeLow, reader.timeHigh, precision) : nowNs;
    if (time > TIME_MAX || time < -TIME_MAX) return describeProblem(Problem.timeRange);
    const measurement = this.#text(
      reader.measurementAt,
      reader.measurementEnd,
      reader.measurementEscaped,
    );
    const known = this.#catalog.find(database, measurement);
    const size = reader.tagCount + reader.fieldCount;
    const message = this.#check(known, size);
    if (message !== undefined) return message;
    const table = known ?? this.#catalog.makeTable(database, measurement);
    for (let i = 0; i < size; i++) {
      const name = this.#names[i] as string;
      this.#columns[i] =
        table.columns.get(name) ?? this.#catalog.makeColumn(table, name, this.#kinds[i] as Kind);
      this.#cells[i] = this.#value(i);
    }
    this.#rowsOf(table).add(time, this.#columns, this.#cells, size);
    return undefined;
  }

  /** Reads names and kinds of the line's `size` tags and fields and compares them with the table's. */
  #check(table: Table | undefined, size: number): string | undefined {
    const { pairs, tagCount } = this.#reader;
    if (table === undefined && !this.#catalog.hasRoom())
      return `Update to schema would exceed number of tables limit of ${MAX_TABLES} tables`;
    let fresh = 0;
    for (let i = 0; i < size; i++) {
      const at = i * PAIR;
      const flags = pairs[at + Pair.flags] as number;
      const name = this.#text(
        pairs[at + Pair.keyAt] as number,
        pairs[at + Pair.keyEnd] as number,
        (flags & KEY_ESCAPED) !== 0,
      );
      const kind = i < tagCount ? "tag" : kindOf(flags & LITERAL_MASK);
      const earlier = this.#names.lastIndexOf(name, i - 1);
      if (i > 0 && earlier >= 0) {
        if (earlier >= tagCount)
          return `invalid line protocol - multiple instances of '${name}' field found`;
        return conflict(name, "tag", kind);
      }
      if (name === "time") return conflict(name, "time", kind);
      const column = table?.columns.get(name);
      if (column === undefined) fresh++;
      else if (column.kind !== kind) return conflict(name, column.kind, kind);
      this.#names[i] = name;
      this.#kinds[i] = kind;
    }
    // With `time`, as InfluxDB counts.
    if (fresh > 0 && fresh + (table?.columns.size ?? 0) + 1 > MAX_COLUMNS)
      return `Update to schema would exceed number of columns per table limit of ${MAX_COLUMNS} columns`;
    return undefined;
  }

  #value(i: number): Cell {
    const { pairs, numbers } = this.#reader;
    const at = i * PAIR;
    const flags = pairs[at + Pair.flags] as number;
    const low = pairs[at + Pair.low] as number;
    const high = pairs[at + Pair.high] as number;
    switch (flags & LITERAL_MASK) {
      case Literal.float:
        return numbers[i] as number;
      case Literal.integer:
        return join64(low, high);
      case Literal.uinteger:
        return BigInt.asUintN(64, join64(low, high));
      case Literal.boolean:
        return low === 1;
    }
    const from = pairs[at + Pair.valueAt] as number;
    const end = pairs[at + Pair.valueEnd] as number;
    const isEscaped = (flags & VALUE_ESCAPED) !== 0;
    if (i < this.#reader.tagCount) return this.#text(from, end, isEscaped);
    const text = this.#bytes.toString("utf8", from, end);
    return isEscaped ? text.replace(/\\(["\\])/g, "$1") : text;
  }

  /** A name or tag value. */
  #text(from: number, end: number, isEscaped: boolean): string {
    const text = this.#bytes.toString("utf8", from, end);
    return isEscaped ? text.replace(/\\([,= \\])/g, "$1") : text;
  }

  #rowsOf(table: Table): TableRows {
    const known = this.tables.get(table);
    if (known !== undefined) return known;
    const fresh = new TableRows(table);
    this.tables.set(table, fresh);
    return fresh;
  }
}

function kindOf(literal: number): Kind {
  if (literal === Literal.float) return "float";
  if (literal === Literal.integer) return "integer";
  if (literal === Literal.uinteger) return "uinteger";
  return literal === Literal.boolean ? "boolean" : "string";
}

function conflict(name: string, expected: Kind | "time", got: Kind): string {
  return `invalid column type for column '${name}', expected ${KIND_NAME[expected]}, got ${KIND_NAME[got]}`;
}

function join64(low: number, high: number): bigint {
  return (BigInt(high | 0) << 32n) | BigInt(low >>> 0);
}

/** A timestamp in nanoseconds; `auto` judges each by its size, as InfluxDB 3 does. */
function timeOf(low: number, high: number, precision: Precision): bigint {
  const value = join64(low, high);
  if (precision !== "auto") return value * FACTOR[precision];
  const size = (value < 0n ? -value : value) / 1_000_000_000n;
  if (size < 5n) return value * FACTOR.s;
  if (size < 5_000n) return value * FACTOR.ms;
  return size < 5_000_000n ? value * FACTOR.us : value;
}
