import type { LineText } from "../../line/writer.ts";
import { ENTRY, Group, Kind, Metric, MetricType } from "../../otlp/tape.ts";
import { jsonRoom } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import { Scratch, type Values } from "../values.ts";
import { COLUMN_BITS, Field, fanOut, type MetricPlan, type PointColumn } from "./metric-plan.ts";
import { DROPPED } from "./point-drops.ts";

const CUMULATIVE = 2;
const DELTA = 1;
const MONOTONIC = 256;
/** Bytes that copies overshoot by, and a number takes. */
const TAG_ROOM = 64;
const TEMPORALITY_DELTA = ",temporality=delta";

/** Most bytes of a row for each byte of its item: without and with values that become JSON or base64 in a tag. */
export const TEXT_FACTOR = 4;
export const JSON_FACTOR = 20;

/** Which of them holds for these entries. */
export function factorOf(tape: Int32Array, first: number, end: number): number {
  for (let e = first; e < end; e += ENTRY) if ((tape[e]! & 15) > Kind.double) return JSON_FACTOR;
  return TEXT_FACTOR;
}

/** What a value of an attribute means for a tag: absent, like empty text, or to be written. */
export function isTagPresent(kind: number, from: number, end: number): boolean {
  return kind !== Kind.none && (kind !== Kind.text || from !== end);
}

/** Tape index of the last of the entries [first, end) that has this key, or -1. */
export function lastEntry(tape: Int32Array, first: number, end: number, key: number): number {
  for (let e = end - ENTRY; e >= first; e -= ENTRY) if (tape[e]! >>> 4 === key) return e;
  return -1;
}

/** `table << COLUMN_BITS | place among its fields` of a gauge or sum that is named `<table>.<column>`, or -1. `at`: its METRIC. */
export function tableColumn(plan: MetricPlan, { tape, bytes }: BatchMemory, at: number): number {
  const from = tape[at + Metric.nameAt]!;
  const isNumber = (tape[at + Metric.flags]! & 15) <= MetricType.sum;
  return from < 0 || !isNumber ? -1 : plan.points.get(bytes, from, tape[at + Metric.nameEnd]!);
}

/**
 * What the points of one metric have in common: the row's start `[0, length)` (measurement, then tags of the resource), its kind, or why
 * it makes no rows. Written when the metric is entered.
 */
export class PointHead {
  /** Tape index of the METRIC; -1 is none. */
  metric = -1;
  /** Its MetricType, and the Field of a gauge or sum. */
  type = 0;
  field = 0;
  /** One of DROPPED: no point makes a row. */
  dropped = 0;
  /** See `tableColumn`. */
  column = -1;
  readonly text = new Scratch();
  length = 0;
  /** End of the measurement and of `temporality`. */
  ownEnd = 0;
  isDelta = false;
  /** Tags of the resource: of which column, and where they end. They stand behind `ownEnd`. */
  tags = 0;
  readonly tagColumn: Int32Array;
  readonly tagEnd: Int32Array;
  readonly #plan: MetricPlan;
  readonly #lines: LineText;
  readonly #values: Values;
  readonly #delta: { readonly at: number; readonly length: number };
  /** Tags of the present resource, as they are copied. */
  readonly #resource = new Scratch();
  readonly #resourceEnd: Int32Array;
  #resourceLength = 0;
  /** Most tags that one attribute can end up in, and bytes of all tags without such values. */
  readonly #fanOut: number;
  readonly #tagsRoom: number;
  #group = -1;
  #batch: BatchMemory = NO_BATCH;
  readonly #left: (column: number, reason: number) => void;

  constructor(
    plan: MetricPlan,
    lines: LineText,
    values: Values,
    left: (column: number, reason: number) => void,
  ) {
    this.#plan = plan;
    this.#lines = lines;
    this.#values = values;
    this.#left = left;
    this.#delta = plan.constants.add(TEMPORALITY_DELTA);
    this.#fanOut = fanOut(plan.tags);
    this.#tagsRoom = plan.tags.reduce(
      (sum, { head, otherwise }) => sum + head.length + TAG_ROOM + 2 * (otherwise?.length ?? 0),
      0,
    );
    this.tagColumn = new Int32Array(plan.tags.length);
    this.tagEnd = new Int32Array(plan.tags.length);
    this.#resourceEnd = new Int32Array(plan.tags.length);
  }

  open(batch: BatchMemory): void {
    this.metric = -1;
    this.#group = -1;
    this.#batch = batch;
  }

  /** Moves to the METRIC at tape index `at`. */
  enter(at: number): void {
    const tape = this.#batch.tape;
    const flags = tape[at + Metric.flags]!;
    this.metric = at;
    this.type = flags & 15;
    this.dropped = DROPPED.none;
    const temporality = (flags >>> 4) & 15;
    const isNumber = this.type <= MetricType.sum;
    this.field = Field.gauge;
    if (this.type === MetricType.sum && temporality === DELTA) this.field = Field.delta;
    if (this.type === MetricType.sum && temporality === CUMULATIVE && (flags & MONOTONIC) !== 0)
      this.field = Field.counter;
    this.isDelta = !isNumber && this.type !== MetricType.summary && temporality === DELTA;
    const from = tape[at + Metric.nameAt]!;
    const end = tape[at + Metric.nameEnd]!;
    this.column = tableColumn(this.#plan, this.#batch, at);
    if (from < 0) this.dropped = DROPPED.no_name;
    else if (this.column < 0) this.#own(tape[at + Metric.group]!, from, end);
    else if (this.#plan.tables[this.column >>> COLUMN_BITS]?.isChosen === false)
      this.dropped = DROPPED.no_table;
  }

  /** The start of a row whose measurement is the metric's name. */
  #own(group: number, from: number, end: number): void {
    if (this.#plan.ownTable < 0) {
      this.dropped = DROPPED.no_table;
      return;
    }
    if (group !== this.#group) this.#enterGroup(group);
    const { constants, suffix, measurements } = this.#plan;
    const { text } = this;
    text.need(2 * (end - from) + suffix.length + this.#resourceLength + 64);
    const out = text.view;
    let o = this.#lines.writeMeasurement(out, 0, this.#batch.view, from, end);
    if (o === 0) {
      this.dropped = DROPPED.no_name;
      return;
    }
    if (measurements.get(text.bytes, 0, o) >= 0)
      o = copy(out, o, constants.view, suffix.at, suffix.length);
    if (this.isDelta) o = copy(out, o, constants.view, this.#delta.at, this.#delta.length);
    this.ownEnd = o;
    this.length = copy(out, o, this.#resource.view, 0, this.#resourceLength);
    for (let i = 0; i < this.tags; i++) this.tagEnd[i] = o + this.#resourceEnd[i]!;
  }

  /** The tags of a resource. */
  #enterGroup(group: number): void {
    this.#group = group;
    const tape = this.#batch.tape;
    const first = tape[group + Group.resourceEntries]!;
    const end = first + ENTRY * tape[group + Group.resourceCount]!;
    const size = tape[group + Group.resourceEnd]! - tape[group + Group.resourceAt]!;
    this.#resource.need(2 * this.#fanOut * jsonRoom(size) + this.#tagsRoom);
    this.tags = 0;
    let o = 0;
    for (let c = 0; c < this.#plan.tags.length; c++) {
      const stop = this.#tag(this.#plan.tags[c]!, first, end, o);
      if (stop === o) continue;
      this.tagColumn[this.tags] = c;
      this.#resourceEnd[this.tags++] = stop;
      o = stop;
    }
    this.#resourceLength = o;
  }

  #tag(column: PointColumn, first: number, end: number, at: number): number {
    const out = this.#resource.view;
    const { constants } = this.#plan;
    const tape = this.#batch.tape;
    const start = copy(out, at, constants.view, column.head.at, column.head.length);
    for (let i = 0; i < column.sources.length; i++) {
      const entry = lastEntry(tape, first, end, column.sources[i]!.key);
      if (entry < 0) continue;
      const kind = tape[entry]! & 15;
      const from = tape[entry + 2]!;
      const stop = tape[entry + 3]!;
      if (!isTagPresent(kind, from, stop)) continue;
      const close = this.#values.tag(out, start, kind, from, stop);
      if (close >= 0) return close;
      this.#left(column.index, this.#values.reason);
      return at;
    }
    const text = column.otherwise;
    if (text === undefined) return at;
    return this.#values.tagText(out, start, constants.view, text.at, text.at + text.length);
  }
}
