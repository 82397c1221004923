import type { Dialect } from "../line/writer.ts";
import { ITEM_HEADER, Kind } from "../otlp/tape.ts";
import { convertValue, splitFields, typeOfValue, type WrittenField } from "./field-value.ts";
import type { Gather } from "./gather.ts";
import { type LineProgram, PAIR_OP, PairOp } from "./line-program.ts";
import { Code, SlotKind } from "./slots.ts";
import { FIELD_TYPES, type FieldType, type TypeRegistry } from "./type-registry.ts";

/** Pairs and measurements that are remembered. */
const SEEN = 4_096;
const NUMBERS_MAX = 1_024;
const COMMA = 44;
const SPACE = 32;
const BACKSLASH = 92;
/** Names that a value is tried under; if none is free for its type, the destination shall judge. */
const TRIES_MAX = 8;
/** Most bytes by which a field can grow: the word of its type, quotes, all digits of a number that had an exponent, underscores. */
export const FIELD_GROWTH = 64;

interface PlanColumnType {
  readonly name: string;
  readonly kind: string;
  readonly code: number;
  readonly index: number;
}

/** Names of declared fields. */
interface Names {
  has(name: string): boolean;
}
const NONE: Names = new Set();
const ALL: Names = { has: () => true };

/** What rows need to know of a plan. */
interface TypedTable {
  readonly table: { readonly measurement: string };
  readonly index: number;
  readonly fields: readonly PlanColumnType[];
}

/**
 * Keeps rows to the types of a registry. What a value's type is, is known for a whole shape of record or a column, so the registry is
 * asked once for each of them; only rows that hold a value of another type are looked at again, as text.
 */
export class RowTypes {
  /** Whether the row being written has a value of another type than its field. */
  isDue = false;
  readonly #registry: TypeRegistry;
  readonly #tables: readonly TypedTable[];
  readonly #unescape: RegExp;
  /** By column of the plan: 1 + the type of its values that needs no second look; 0 is none yet. */
  readonly #columns: Uint8Array;
  /** By table: 1 where the destination holds a declared column as another type. */
  readonly #adopted: Uint8Array;
  /** By table: names of declared columns, of which numbers may be rounded. */
  readonly #declared: readonly Names[];
  /** By column: its code and name, and its table. */
  readonly #codes: number[] = [];
  readonly #names: string[] = [];
  readonly #tableOf: TypedTable[] = [];
  /** Pairs that agree: number of the key, of the measurement, kind. */
  readonly #seen = new Int32Array(3 * SEEN);
  /** Names of tables by index, then of measurements that none declares. */
  readonly #measurements: string[];
  readonly #numbers = new Map<string, number>();
  #last = new Uint8Array(0);
  #lastNumber = 0;
  #version = -1;
  #isActive = false;
  readonly #unsigned: FieldType;

  constructor(registry: TypeRegistry, tables: readonly TypedTable[], dialect: Dialect) {
    this.#registry = registry;
    this.#tables = tables;
    this.#measurements = [];
    for (const { table, index } of tables) this.#measurements[index] = table.measurement;
    this.#unsigned = dialect === "v1" ? "integer" : "uinteger";
    this.#unescape = dialect === "v3" ? /\\([,= \\])/g : /\\([,= ])/g;
    this.#declared = tables.map(({ fields }) => {
      return new Set(fields.filter(({ code }) => code !== Code.any).map(({ name }) => name));
    });
    for (const table of tables)
      for (const { index, name, code } of table.fields) {
        this.#codes[index] = code;
        this.#names[index] = name;
        this.#tableOf[index] = table;
      }
    this.#columns = new Uint8Array(this.#codes.length);
    this.#adopted = new Uint8Array(tables.length);
  }

  /** Whether some row may be looked at again, and so need more room. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Takes over what the registry has learned; true when that was anything, and then no shape that was looked at is right any more. */
  refresh(): boolean {
    const { version } = this.#registry;
    if (version === this.#version) return false;
    this.#version = version;
    this.#columns.fill(0);
    this.#forget();
    if (version > 0) this.#isActive = true;
    for (const { table, index, fields } of this.#tables) {
      const differs = ({ name, kind, code }: PlanColumnType) =>
        code !== Code.any && (this.#registry.typeOf(table.measurement, name) ?? kind) !== kind;
      this.#adopted[index] = fields.some(differs) ? 1 : 0;
    }
    return true;
  }

  /** Whether rows of the program, whose measurement stands in `out[at, end)`, hold values of other types than their fields. */
  looksAt(
    program: LineProgram,
    gather: Gather,
    table: TypedTable | undefined,
    out: DataView,
    at: number,
    end: number,
  ): boolean {
    const measurement = table?.index ?? this.#numberOf(out, at, end);
    let isDue = !program.isPlain;
    for (let i = program.tagsEnd; i < program.end; i += PAIR_OP) {
      const column = program.ops[i + PairOp.column]!;
      if (column >= 0 && this.#codes[column] !== Code.any) continue;
      const from = program.ops[i]!;
      const key = from < ITEM_HEADER ? -from : gather.tape[gather.at + from - 2]! >>> 4;
      const kind = program.ops[i + PairOp.kind]!;
      const head = program.ops[i + PairOp.headAt]!;
      const equals = head + program.ops[i + PairOp.headLength]! - 1;
      // A name that had to be changed is not that of its key.
      const isOwn = program.isPlain;
      if (!this.#agrees(key, measurement, kind, program.heads, head + 1, equals, isOwn))
        isDue = true;
    }
    if (isDue) this.#isActive = true;
    return isDue;
  }

  /** A value of this kind goes into a field that no column of the table declares: its name, that of `key`, stands in `out[from, end)`. */
  extra(
    { index }: TypedTable,
    key: number,
    kind: number,
    out: DataView,
    from: number,
    end: number,
  ): void {
    if (this.#agrees(key, index, kind, out, from, end, true)) return;
    this.isDue = true;
    this.#isActive = true;
  }

  /** Whether the type is that of the field called `view[from, end)`. What was found for a key (0: it has no number) is remembered where `isOwn`: that is its name. */
  #agrees(
    key: number,
    measurement: number,
    kind: number,
    view: DataView,
    from: number,
    end: number,
    isOwn: boolean,
  ): boolean {
    const seen = this.#seen;
    const hash = Math.imul(key, 0x9e3779b1) ^ Math.imul(measurement, 0x85ebca6b) ^ (kind << 20);
    const place = 3 * ((hash ^ (hash >>> 15)) & (SEEN - 1));
    if (
      key !== 0 &&
      seen[place] === key &&
      seen[place + 1] === measurement &&
      seen[place + 2] === kind
    )
      return true;
    const name = this.#name(latinOf(view, from, end));
    const type = this.#typeOfKind(kind);
    const known = this.#registry.see(this.#measurements[measurement]!, name, type);
    if (known !== undefined && known !== type) return false;
    if (isOwn) {
      seen[place] = key;
      seen[place + 1] = measurement;
      seen[place + 2] = kind;
    }
    return true;
  }

  /** A number for the measurement that stands in `out[at, end)`, until the next refresh. */
  #numberOf(out: DataView, at: number, end: number): number {
    const last = this.#last;
    if (last.length === end - at) {
      let p = 0;
      while (p < last.length && last[p] === out.getUint8(at + p)) p++;
      if (p === last.length) return this.#lastNumber;
    }
    this.#last = new Uint8Array(out.buffer, out.byteOffset + at, end - at).slice();
    const name = this.#name(latinOf(out, at, end));
    let number = this.#numbers.get(name);
    if (number === undefined) {
      if (this.#numbers.size >= NUMBERS_MAX) this.#forget();
      number = this.#measurements.push(name) - 1;
      this.#numbers.set(name, number);
    }
    this.#lastNumber = number;
    return number;
  }

  #forget(): void {
    this.#seen.fill(0);
    this.#numbers.clear();
    this.#measurements.length = this.#tables.length;
    this.#last = new Uint8Array(0);
  }

  /** A value of this kind goes into a column that takes any type. */
  value(column: number, kind: number): void {
    const type = this.#typeOfKind(kind);
    const code = FIELD_TYPES.indexOf(type) + 1;
    if (this.#columns[column] === code) return;
    const { measurement } = this.#tableOf[column]!.table;
    const known = this.#registry.see(measurement, this.#names[column]!, type);
    if (known === undefined || known === type) this.#columns[column] = code;
    else {
      this.isDue = true;
      this.#isActive = true;
    }
  }

  /** Whether the row just written must be looked at again. */
  take(table: TypedTable | undefined): boolean {
    const { isDue } = this;
    this.isDue = false;
    return isDue || (table !== undefined && this.#adopted[table.index] === 1);
  }

  /**
   * Gives the fields of a row their types: its measurement starts at `at`, its fields stand in `out[from, end)`. A value that cannot be
   * converted goes to `<field>_<type>`, so the row keeps all its values whatever the registry knows. Returns the row's end.
   */
  rewrite(
    table: TypedTable | undefined,
    out: DataView,
    at: number,
    from: number,
    end: number,
  ): number {
    const measurement = table?.table.measurement ?? this.#measurement(out, at);
    const declared = table === undefined ? NONE : this.#declared[table.index]!;
    return this.#rewrite(measurement, declared, out, from, end);
  }

  /** The same for the row of a data point: all its numbers may be rounded, as their types are ours. */
  rewritePoint(out: DataView, at: number, from: number, end: number): number {
    if (this.#registry.version === 0) return end;
    const measurement = this.#measurement(out, at);
    return this.#registry.isAdopted(measurement)
      ? this.#rewrite(measurement, ALL, out, from, end)
      : end;
  }

  #rewrite(measurement: string, declared: Names, out: DataView, from: number, end: number): number {
    const fields = splitFields(latinOf(out, from, end));
    const names = new Set(fields.map(({ name }) => name));
    let text = "";
    for (const field of fields) {
      const { name, value } = this.#retyped(measurement, field, declared, names);
      text += `${text === "" ? "" : ","}${name}=${value}`;
    }
    for (let i = 0; i < text.length; i++) out.setUint8(from + i, text.charCodeAt(i));
    return from + text.length;
  }

  #retyped(
    measurement: string,
    field: WrittenField,
    declared: Names,
    names: Set<string>,
  ): WrittenField {
    const type = typeOfValue(field.value);
    let { name, value } = field;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (tries > 0 && names.has(name)) {
        name += "_";
        continue;
      }
      const plain = this.#name(name);
      const isDeclared = tries === 0 && declared.has(plain);
      const known = isDeclared
        ? this.#registry.typeOf(measurement, plain)
        : this.#registry.see(measurement, plain, type);
      if (known === undefined || known === type) break;
      const converted = convertValue(value, type, known, isDeclared);
      if (converted !== undefined) {
        value = converted;
        break;
      }
      name = `${name}_${type}`;
    }
    names.add(name);
    return { name, value };
  }

  /** Type of a value that is written as a field of its own type (`Values.any`). */
  #typeOfKind(kind: number): FieldType {
    if (kind === Kind.int) return "integer";
    if (kind === SlotKind.uint) return this.#unsigned;
    if (kind === Kind.double) return "float";
    return kind === Kind.bool ? "boolean" : "text";
  }

  #measurement(out: DataView, at: number): string {
    return this.#name(latinOf(out, at, measurementEnd(out, at)));
  }

  /** A name as the destination knows it, from how it stands on the line. */
  #name(written: string): string {
    const plain = written.includes("\\") ? written.replace(this.#unescape, "$1") : written;
    return /^[\0-\x7f]*$/.test(plain) ? plain : Buffer.from(plain, "latin1").toString("utf8");
  }
}

function measurementEnd(out: DataView, at: number): number {
  for (let p = at; ; p++) {
    const c = out.getUint8(p);
    if (c === COMMA || c === SPACE) return p;
    if (c === BACKSLASH) p++;
  }
}

function latinOf(view: DataView, from: number, end: number): string {
  return Buffer.from(view.buffer, view.byteOffset + from, end - from).toString("latin1");
}
