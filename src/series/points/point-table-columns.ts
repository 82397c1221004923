import type { LineText } from "../../line/writer.ts";
import { ENTRY, Group, ITEM_HEADER, Item, Kind, Point, PointFlags } from "../../otlp/tape.ts";
import { JsonWriter } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { readHex, writeHex } from "../../wire/hex.ts";
import { SLACK } from "../../wire/slack.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import type { RowNames } from "../row-names.ts";
import { Code } from "../slots.ts";
import { Reason, Values } from "../values.ts";
import type { MetricPlan, PointColumn } from "./metric-plan.ts";
import { isTagPresent, lastEntry } from "./point-head.ts";

const QUOTE = 34;
const EQUALS = 61;
/** A field called like a tag gets an underscore for each tag that is called so. */
const UNDERSCORES_MAX = 512;
const VARINT_MAX = 10;

/** Single columns of declared tables, from data points and their attributes. */
export class PointColumns {
  /** Why `value` wrote nothing. */
  reason = 0;
  readonly #plan: MetricPlan;
  readonly #values: Values;
  /** For integers, which points have as fixed64: they are read from a varint of its own. */
  readonly #integers: Values;
  readonly #varint = new Uint8Array(VARINT_MAX + 8);
  /** The id that `#isId` found last. */
  readonly #idBytes = new DataView(new ArrayBuffer(16 + SLACK));
  readonly #tagNames: RowNames;
  readonly #left: (column: number, reason: number) => void;
  #batch: BatchMemory = NO_BATCH;

  /** `tagNames` are those of the row; `left` is told of attributes that do not fit their column. */
  constructor(
    plan: MetricPlan,
    lines: LineText,
    values: Values,
    tagNames: RowNames,
    left: (column: number, reason: number) => void,
  ) {
    this.#plan = plan;
    this.#values = values;
    this.#tagNames = tagNames;
    this.#left = left;
    const json = new JsonWriter();
    json.reset(this.#varint, new DataView(this.#varint.buffer));
    this.#integers = new Values(lines, json);
  }

  open(batch: BatchMemory): void {
    this.#batch = batch;
  }

  /** `,name=`; a field that is called like a tag gets underscores. */
  head(column: PointColumn, out: DataView, at: number): number {
    const { constants } = this.#plan;
    const end = copy(out, at, constants.view, column.head.at, column.head.length);
    if (column.code === Code.tag) return end;
    const stop = this.#tagNames.free(out, at + 1, end - 1, UNDERSCORES_MAX);
    out.setUint8(stop, EQUALS);
    return stop + 1;
  }

  /** A column from the first attribute, of the point or its resource, that is present. */
  attribute(item: number, column: PointColumn, out: DataView, at: number): number {
    const { tape } = this.#batch;
    const group = tape[item + Item.group]!;
    for (let i = 0; i < column.sources.length; i++) {
      const { key, isResource, divideBy, idBytes } = column.sources[i]!;
      const first = isResource ? tape[group + Group.resourceEntries]! : item + ITEM_HEADER;
      const count = tape[isResource ? group + Group.resourceCount : item + Item.attributes]!;
      const entry = lastEntry(tape, first, first + ENTRY * count, key);
      if (entry < 0) continue;
      const kind = tape[entry]! & 15;
      const from = tape[entry + 2]!;
      const end = tape[entry + 3]!;
      if (column.code === Code.tag ? !isTagPresent(kind, from, end) : kind === Kind.none) continue;
      if (idBytes > 0 && !this.#isId(column, kind, from, end, idBytes)) continue;
      const start = this.head(column, out, at);
      if (idBytes > 0) return this.#id(out, start, idBytes);
      const stop = write(this.#values, column.code, out, start, kind, from, end, divideBy);
      if (stop >= 0) return stop;
      this.#left(column.index, this.#values.reason);
      return at;
    }
    return at;
  }

  /** Whether the text is an id of so many bytes in hex, not all zero: it is left in `#idBytes`. A malformed one counts as absent, and is told. */
  #isId(column: PointColumn, kind: number, from: number, end: number, bytes: number): boolean {
    if (kind === Kind.text && from === end) return false;
    const id = this.#idBytes;
    const hasForm = kind === Kind.text && end - from === 2 * bytes;
    if (!hasForm || !readHex(id, 0, this.#batch.view, from, bytes)) {
      this.#left(column.index, Reason.malformed);
      return false;
    }
    for (let i = 0; i < bytes; i++) if (id.getUint8(i) !== 0) return true;
    return false;
  }

  #id(out: DataView, at: number, bytes: number): number {
    out.setUint8(at, QUOTE);
    const end = writeHex(out, at + 1, this.#idBytes, 0, bytes);
    out.setUint8(end, QUOTE);
    return end + 1;
  }

  /** The value of a point in a column; -1 where it has none, or (and why in `reason`) where it does not fit. */
  value(column: PointColumn, item: number, out: DataView, at: number): number {
    const { tape, view } = this.#batch;
    const from = tape[item + Point.value]!;
    if (from < 0) return -1;
    const isInt = (tape[item + Item.flags]! & PointFlags.valueIsInt) !== 0;
    const values = isInt ? this.#integers : this.#values;
    if (isInt) writeVarint(this.#varint, view.getInt32(from, true), view.getInt32(from + 4, true));
    const stop = isInt
      ? write(values, column.code, out, at, Kind.int, 0, VARINT_MAX, 1)
      : write(values, column.code, out, at, Kind.double, from, from + 8, 1);
    if (stop < 0) this.reason = values.reason;
    return stop;
  }
}

function write(
  values: Values,
  code: number,
  out: DataView,
  at: number,
  kind: number,
  from: number,
  end: number,
  divideBy: number,
): number {
  switch (code) {
    case Code.tag:
      return values.tag(out, at, kind, from, end);
    case Code.float:
      return values.float(out, at, kind, from, end, divideBy);
    case Code.integer:
      return values.integer(out, at, kind, from, end);
    case Code.boolean:
      return values.boolean(out, at, kind, from, end);
    case Code.text:
      return values.textField(out, at, kind, from, end);
    default:
      return values.any(out, at, kind, from, end);
  }
}

/** An int64 given as its halves. */
function writeVarint(to: Uint8Array, low: number, high: number): void {
  let rest = low;
  let upper = high;
  for (let i = 0; i < VARINT_MAX; i++) {
    to[i] = (rest & 127) | (i < VARINT_MAX - 1 ? 128 : 0);
    rest = (rest >>> 7) | (upper << 25);
    upper >>>= 7;
  }
}
