import type { LineText } from "../../line/writer.ts";
import { ENTRY, Kind } from "../../otlp/tape.ts";
import { copy } from "../../wire/copy.ts";
import type { KeyOrder } from "../order.ts";
import { RowNames } from "../row-names.ts";
import { Reason, type Values } from "../values.ts";
import type { MetricPlan } from "./metric-plan.ts";
import { isTagPresent, lastEntry, type PointHead } from "./point-head.ts";

const COMMA = 44;
const EQUALS = 61;
const UNDERSCORE = 95;
/** `time`, which is the name of every row's own column. */
const TIME = 0x74696d65;
/** A name that stands in the row already gets at most as many underscores; then the pair is left out. */
const RENAMES_MAX = 8;
/** Tags of one row at most: InfluxDB takes 500 columns, of which one is the time, and ten are left for fields. */
export const TAGS_MAX = 489;
/** `temporality=delta`, which stands last before the tags of the resource. */
const TEMPORALITY = "temporality".length;
const DELTA = "=delta".length;

/** The attributes of a point as tags, one by one: of a name that stands twice the last, and no name twice in the row. */
export class ThoroughTags {
  /** Of the tags of the row just written. */
  readonly names = new RowNames(TAGS_MAX);
  readonly #plan: MetricPlan;
  readonly #lines: LineText;
  readonly #values: Values;
  readonly #order: KeyOrder;
  readonly #left: (reason: number) => void;
  #dead = new Uint8Array(64);

  constructor(
    plan: MetricPlan,
    lines: LineText,
    values: Values,
    order: KeyOrder,
    left: (reason: number) => void,
  ) {
    this.#plan = plan;
    this.#lines = lines;
    this.#values = values;
    this.#order = order;
    this.#left = left;
  }

  /** Writes the start of the row and its tags; -1: there are more than TAGS_MAX. */
  write(head: PointHead, out: DataView, at: number, first: number, end: number): number {
    this.names.clear();
    const count = (end - first) / ENTRY;
    if (head.tags + 1 + this.mark(first, end) > TAGS_MAX) return -1;
    let o = this.#headTags(head, out, at, first, end);
    for (let i = 0; i < count; i++)
      if (this.#dead[i] === 0) o = this.attribute(out, o, first + i * ENTRY);
    return o;
  }

  /** Marks the entries that are no tags, because they are empty or their key stands again later; answers how many are. */
  mark(first: number, end: number): number {
    const { tape } = this.#order;
    const count = (end - first) / ENTRY;
    if (count > this.#dead.length) this.#dead = new Uint8Array(2 * count);
    const dead = this.#dead;
    this.#order.markRepeated(first, end, dead);
    let live = 0;
    for (let i = 0; i < count; i++) {
      const e = first + i * ENTRY;
      if (!isTagPresent(tape[e]! & 15, tape[e + 2]!, tape[e + 3]!)) dead[i] = 1;
      live += 1 - dead[i]!;
    }
    return live;
  }

  /** Whether `mark` found the entry number `i` to be a tag. */
  isTag(i: number): boolean {
    return this.#dead[i] === 0;
  }

  /** Measurement, `temporality`, and the tags of the resource that no attribute is called like. */
  #headTags(head: PointHead, out: DataView, at: number, first: number, end: number): number {
    const { tape } = this.#order;
    const { view } = head.text;
    let o = copy(out, at, view, 0, head.ownEnd);
    if (head.isDelta) this.take(out, o - DELTA - TEMPORALITY, o - DELTA);
    for (let i = 0; i < head.tags; i++) {
      const column = this.#plan.tags[head.tagColumn[i]!]!;
      const entry = lastEntry(tape, first, end, column.key);
      const kind = entry < 0 ? Kind.none : tape[entry]! & 15;
      if (entry >= 0 && isTagPresent(kind, tape[entry + 2]!, tape[entry + 3]!)) continue;
      const from = i === 0 ? head.ownEnd : head.tagEnd[i - 1]!;
      const stop = copy(out, o, view, from, head.tagEnd[i]! - from);
      if (this.take(out, o + 1, o + column.head.length - 1)) o = stop;
    }
    return o;
  }

  /** Notes a name that the row has from now on; false: it has it already. */
  take(out: DataView, from: number, end: number): boolean {
    if (this.names.has(out, from, end)) return false;
    this.names.add(from, end);
    return true;
  }

  /** One attribute as a tag under its own name. */
  attribute(out: DataView, at: number, entry: number): number {
    const order = this.#order;
    const { tape } = order;
    const from = at + 1;
    out.setUint8(at, COMMA);
    const keyFrom = order.keyFrom(entry);
    let end = this.#lines.writeName(out, from, order.view, keyFrom, order.keyEnd(entry));
    if (end === from) {
      this.#left(Reason.empty);
      return at;
    }
    if (end - from === 4 && out.getUint32(from) === TIME) out.setUint8(end++, UNDERSCORE);
    const stop = this.names.free(out, from, end, RENAMES_MAX);
    if (stop < 0) {
      this.#left(Reason.repeated);
      return at;
    }
    out.setUint8(stop, EQUALS);
    const kind = tape[entry]! & 15;
    const close = this.#values.tag(out, stop + 1, kind, tape[entry + 2]!, tape[entry + 3]!);
    if (close < 0) {
      this.#left(this.#values.reason);
      return at;
    }
    this.names.add(from, stop);
    return close;
  }
}
