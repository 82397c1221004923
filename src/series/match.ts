import {
  Item as ImportedItem,
  Kind as ImportedKind,
  Log as ImportedLog,
  LogFlags as ImportedLogFlags,
  Span as ImportedSpan,
} from "../otlp/tape.ts";
import type { Plan, PlanTable } from "./compile.ts";
import type { Gather } from "./gather.ts";
import type { Rules } from "./rules.ts";
import type { Match, Table } from "./tables/tables.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Item = ImportedItem;
const Kind = ImportedKind;
const Log = ImportedLog;
const LogFlags = ImportedLogFlags;
const Span = ImportedSpan;
/** Ints per table of what it asks for: place of its masks and behind them, kinds of spans by bit, whether those without a parent do too, another table. */
const CHECK = 5;

/** Which tables the present item of a Gather has rows in. */
export abstract class Matcher {
  /** The first `count` are their indices, in order. */
  readonly found: Int32Array;
  count = 0;
  protected readonly gather: Gather;
  protected readonly rules: Rules;
  protected readonly tables: readonly PlanTable[];
  /** By place of a chosen table that has a match: its index, and the first mask that it needs; -1 is none. */
  readonly #candidates: Int32Array;
  readonly #first: Int32Array;
  /** CHECK ints of each table, then masks that must not be 0. */
  readonly #checks: Int32Array;
  /** By table: twice the item that it was last asked for, and 1 more where that has a row in it. A table may be another's condition too. */
  readonly #known: Int32Array;
  #item = 0;
  readonly #constants: Uint8Array;

  constructor(plan: Plan, gather: Gather, rules: Rules) {
    this.gather = gather;
    this.rules = rules;
    this.tables = plan.tables;
    this.#constants = plan.constants.bytes;
    this.found = new Int32Array(plan.tables.length);
    this.#known = new Int32Array(plan.tables.length);
    const needs = plan.tables.map(({ match, required }) =>
      [...(match?.groups ?? []), ...required].map(({ mask }) => mask.index),
    );
    const checks: number[] = [];
    let at = CHECK * needs.length;
    for (const [i, { match }] of plan.tables.entries()) {
      const { kinds = 0, orNoParent = false, also = -1 } = match ?? {};
      checks.push(at, at + needs[i]!.length, kinds, orNoParent ? 1 : 0, also);
      at += needs[i]!.length;
    }
    this.#checks = Int32Array.from([...checks, ...needs.flat()]);
    const chosen = plan.tables.filter(({ isChosen, match }) => isChosen && match !== undefined);
    this.#candidates = Int32Array.from(chosen, ({ index }) => index);
    this.#first = Int32Array.from(chosen, ({ index }) => needs[index]![0] ?? -1);
  }

  /** The tables whose match the item meets. */
  protected matching(): void {
    const { found, gather } = this;
    const masks = gather.masks;
    const first = this.#first;
    this.#item = (this.#item + 2) | 0;
    for (let i = 0; i < first.length; i++) {
      const mask = first[i]!;
      if (mask >= 0 && masks[mask] === 0) continue;
      const index = this.#candidates[i]!;
      if (this.#matches(index)) found[this.count++] = index;
    }
  }

  #matches(index: number): boolean {
    const known = this.#known[index]!;
    if ((known & ~1) === this.#item) return (known & 1) === 1;
    const does = this.#meets(index);
    this.#known[index] = this.#item | (does ? 1 : 0);
    return does;
  }

  /** The same, found out. */
  #meets(index: number): boolean {
    const { masks, spanKind, tape, at } = this.gather;
    const checks = this.#checks;
    const check = index * CHECK;
    const stop = checks[check + 1]!;
    for (let i = checks[check]!; i < stop; i++) if (masks[checks[i]!] === 0) return false;
    if (((checks[check + 2]! >>> spanKind) & 1) === 0) {
      if (checks[check + 3] === 0 || tape[at + Span.parent]! >= 0) return false;
    }
    const also = checks[check + 4]!;
    if (also >= 0 && !this.#matches(also)) return false;
    const { oneOf } = this.tables[index]!.match!;
    if (oneOf.length === 0) return true;
    for (let i = 0; i < oneOf.length; i++) if (this.rules.holds(oneOf[i]!)) return true;
    return false;
  }

  /** The declared table of this name. */
  protected named(from: number, end: number): PlanTable | undefined {
    const { tables } = this;
    const { bytes } = this.gather;
    const constants = this.#constants;
    for (let t = 0; t < tables.length; t++) {
      const { at, length } = tables[t]!.name;
      if (length !== end - from) continue;
      let i = 0;
      while (i < length && constants[at + i] === bytes[from + i]) i++;
      if (i === length) return tables[t];
    }
    return undefined;
  }

  /** Looks at the present item. */
  abstract find(): void;
  /** The record came in as a line: `found` holds its table, where one is declared and chosen. */
  isLine = false;
  /** It makes no row: the table that it names is declared, but not chosen. */
  isLeftOut = false;

  /** Whether the item is of a table that is chosen: then it is for want of a field that it makes no row. */
  get isOfTable(): boolean {
    return !this.isLeftOut && (this.isLine || this.count > 0);
  }
}

/** Spans: every table that matches; those that came in as lines go to the table of their name only. */
export class SpanMatcher extends Matcher {
  find(): void {
    const { gather } = this;
    this.count = 0;
    this.isLeftOut = false;
    this.isLine = false;
    if (gather.lineTags >= 0) this.#line(gather.at + gather.plan.nameAt);
    if (!this.isLine) this.matching();
  }

  /** `place`: where the tape has the start of the name. */
  #line(place: number): void {
    const { tape } = this.gather;
    const from = tape[place]!;
    const end = tape[place + 1]!;
    if (from < 0 || end <= from) return;
    this.isLine = true;
    const named = this.named(from, end);
    this.isLeftOut = named?.isChosen === false;
    if (named?.isChosen === true) this.found[this.count++] = named.index;
  }
}

/** Whether every span makes a row: no log record can, whatever its name, as it lacks all that the columns are filled from. */
function isOfEverySpan({ logs, spans }: Match): boolean {
  if (logs !== undefined || spans === undefined) return false;
  const { oneOfEach, kinds, alsoMatches, oneOf } = spans;
  return oneOfEach.length + kinds.length + oneOf.length === 0 && alsoMatches === undefined;
}

function takesBody({ columns }: Table): boolean {
  return columns.some(({ sources }) => sources.some((s) => s.of === "log" && s.part === "body"));
}

/**
 * Log records: those that name a table go there only, the others to every table that matches. Where the table that is named has no place
 * for the body, the record goes to the tables for every record too, so that nothing is lost; it goes to these alone where it lacks what
 * a row there needs.
 */
export class LogMatcher extends Matcher {
  /** Tables that take records by what they have. */
  readonly #generic: readonly boolean[];
  /** Tables that no record can name. */
  readonly #ofSpans: readonly boolean[];
  /** Tables whose records, when they name it, need no other row. */
  readonly #isWhole: readonly boolean[];
  /** Places of the masks of a table's fields; undefined: it may write a field that no source gives. */
  readonly #fields: readonly (readonly number[] | undefined)[];

  constructor(plan: Plan, gather: Gather, rules: Rules) {
    super(plan, gather, rules);
    this.#generic = plan.tables.map(
      ({ match }) => match !== undefined && match.groups.length === 0,
    );
    this.#ofSpans = plan.tables.map(({ table }) => isOfEverySpan(table.match));
    this.#isWhole = plan.tables.map(
      ({ table }, i) => this.#generic[i] === true || takesBody(table),
    );
    this.#fields = plan.tables.map(({ emptyField, fields }) =>
      emptyField !== undefined || fields.some(({ otherwise }) => otherwise.length > 0)
        ? undefined
        : fields.map(({ mask }) => mask.index),
    );
  }

  find(): void {
    const { gather } = this;
    this.count = 0;
    this.isLeftOut = false;
    const from = gather.tape[gather.at + Log.eventNameAt]!;
    const end = gather.tape[gather.at + Log.eventNameEnd]!;
    const hasName = from >= 0 && end > from;
    const named = hasName ? this.named(from, end) : undefined;
    this.isLine = gather.lineTags >= 0 && hasName;
    if (named !== undefined && (this.isLine || this.#isRowOf(named))) {
      this.isLeftOut = !named.isChosen;
      if (this.isLeftOut) return;
      if (!this.isLine && !this.#isWhole[named.index] && this.#hasBody()) {
        this.matching();
        this.#keepGeneric();
      }
      this.found[this.count++] = named.index;
      return;
    }
    if (this.isLine) return;
    this.matching();
    // A record that names a table but lacks what it needs goes to the tables for every record only.
    if (named !== undefined) this.#keepGeneric();
  }

  #hasBody(): boolean {
    const { tape, at } = this.gather;
    const kind = tape[at + Item.flags]! & LogFlags.bodyKindMask;
    if (kind === Kind.none) return false;
    return kind !== Kind.text || tape[at + Log.bodyEnd]! > tape[at + Log.bodyAt]!;
  }

  #keepGeneric(): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++)
      if (this.#generic[this.found[i]!]) this.found[kept++] = this.found[i]!;
    this.count = kept;
  }

  /** Whether a record that names the table makes a row of it: every required column has a source, and there is something for a field. */
  #isRowOf({ index, required, table }: PlanTable): boolean {
    if (this.#ofSpans[index]) return false;
    const { masks } = this.gather;
    for (let i = 0; i < required.length; i++)
      if (masks[required[i]!.mask.index] === 0) return false;
    const fields = this.#fields[index];
    if (fields === undefined) return true;
    for (let i = 0; i < fields.length; i++) if (masks[fields[i]!] !== 0) return true;
    return (
      (table.attributes || table.extraFieldEnds.length > 0) && this.gather.hasUndeclared(index)
    );
  }
}
