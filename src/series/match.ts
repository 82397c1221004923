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
import type { Match, Table } from "./tables.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Item = ImportedItem;
const Kind = ImportedKind;
const Log = ImportedLog;
const LogFlags = ImportedLogFlags;
const Span = ImportedSpan;
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
  /** By table: masks that must not be 0. */
  readonly #needs: readonly Int32Array[];
  readonly #constants: Uint8Array;

  constructor(plan: Plan, gather: Gather, rules: Rules) {
    this.gather = gather;
    this.rules = rules;
    this.tables = plan.tables;
    this.#constants = plan.constants.bytes;
    this.found = new Int32Array(plan.tables.length);
    this.#needs = plan.tables.map(({ match, required }) =>
      Int32Array.from([...(match?.groups ?? []), ...required], ({ mask }) => mask.index),
    );
    const chosen = plan.tables.filter(({ isChosen, match }) => isChosen && match !== undefined);
    this.#candidates = Int32Array.from(chosen, ({ index }) => index);
    this.#first = Int32Array.from(chosen, ({ index }) => this.#needs[index]![0] ?? -1);
  }

  /** The tables whose match the item meets. */
  protected matching(): void {
    const { found, gather } = this;
    const masks = gather.masks;
    const first = this.#first;
    for (let i = 0; i < first.length; i++) {
      const mask = first[i]!;
      if (mask >= 0 && masks[mask] === 0) continue;
      const index = this.#candidates[i]!;
      if (this.#matches(index)) found[this.count++] = index;
    }
  }

  #matches(index: number): boolean {
    const { masks } = this.gather;
    const needs = this.#needs[index]!;
    for (let i = 0; i < needs.length; i++) if (masks[needs[i]!] === 0) return false;
    const { kinds, orNoParent, also, oneOf } = this.tables[index]!.match!;
    if (kinds !== -1 && ((kinds >>> this.gather.spanKind) & 1) === 0) {
      if (!orNoParent || this.gather.tape[this.gather.at + Span.parent]! >= 0) return false;
    }
    if (also >= 0 && !this.#matches(also)) return false;
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
 * for the body, the record goes to the tables for every record too, so that nothing is lost.
 */
export class LogMatcher extends Matcher {
  /** Tables that take records by what they have. */
  readonly #generic: readonly boolean[];
  /** Tables that no record can name. */
  readonly #ofSpans: readonly boolean[];
  /** Tables whose records, when they name it, need no other row. */
  readonly #isWhole: readonly boolean[];

  constructor(plan: Plan, gather: Gather, rules: Rules) {
    super(plan, gather, rules);
    this.#generic = plan.tables.map(
      ({ match }) => match !== undefined && match.groups.length === 0,
    );
    this.#ofSpans = plan.tables.map(({ table }) => isOfEverySpan(table.match));
    this.#isWhole = plan.tables.map(
      ({ table }, i) => this.#generic[i] === true || takesBody(table),
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

  /** Whether a record that names the table makes a row of it: every required column has a source. */
  #isRowOf({ index, required }: PlanTable): boolean {
    if (this.#ofSpans[index]) return false;
    const { masks } = this.gather;
    for (let i = 0; i < required.length; i++)
      if (masks[required[i]!.mask.index] === 0) return false;
    return true;
  }
}
