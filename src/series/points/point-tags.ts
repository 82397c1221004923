import type { LineText } from "../../line/writer.ts";
import { KEY_CAPACITY } from "../../otlp/key-table.ts";
import { ENTRY, Kind } from "../../otlp/tape.ts";
import { copy } from "../../wire/copy.ts";
import { writeUnder20000 } from "../../wire/numbers.ts";
import { type BatchMemory, NO_BATCH } from "../batch-memory.ts";
import type { KeyOrder } from "../order.ts";
import { Reason, Scratch, type Values } from "../values.ts";
import type { MetricPlan } from "./metric-plan.ts";
import type { PointHead } from "./point-head.ts";

const COMMA = 44;
const EQUALS = 61;
/** Points with more attributes are written the thorough way. */
const SHAPE_MAX = 32;
/** Longer names are not kept. */
const NAME_MAX = 256;
/** Length of a name that needs the thorough way. */
const ODD = -1;
/** Names that may be those of bounds and quantiles. */
const NUMBER = /^[-+0-9]/;
const TEMPORALITY = "temporality";
const TIME = "time";

/** The attributes of a point as tags: the usual ones, fast. For the others see ThoroughTags. */
export class PointTags {
  /** Some value becomes JSON or base64, which takes more room. */
  isOdd = false;
  /** Tags of the row that `plain` wrote. */
  count = 0;
  readonly #lines: LineText;
  readonly #values: Values;
  readonly #order: KeyOrder;
  readonly #left: (reason: number) => void;
  /** Names that a row has itself, so that an attribute called so needs the thorough way. */
  readonly #own: ReadonlySet<string>;
  /** No tag of the resource is called like a field. */
  readonly #isPossible: boolean;
  readonly #latin = new TextDecoder("latin1");
  /** By key id: `,name=` in `#heads`. */
  readonly #headAt = new Int32Array(KEY_CAPACITY + 1);
  readonly #headLength = new Int16Array(KEY_CAPACITY + 1);
  #heads = new DataView(new ArrayBuffer(1 << 12));
  #headsEnd = 0;
  readonly #name = new Scratch();
  /** Keys of the point before, and whether points that have these are plain. */
  readonly #shape = new Int32Array(SHAPE_MAX);
  #shapeCount = -1;
  #isPlain = false;
  #batch: BatchMemory = NO_BATCH;

  /** `order` is that of the batch; `left` is told why a value is left out. */
  constructor(
    plan: MetricPlan,
    lines: LineText,
    values: Values,
    order: KeyOrder,
    left: (reason: number) => void,
  ) {
    this.#order = order;
    this.#lines = lines;
    this.#values = values;
    this.#left = left;
    const fields = plan.names.columns.slice(0, plan.fields.length).map(({ name }) => name);
    const rowOwn = [...fields, TEMPORALITY, TIME];
    this.#isPossible = plan.tags.every(({ name }) => !rowOwn.includes(name) && !NUMBER.test(name));
    this.#own = new Set([...rowOwn, ...plan.tags.map(({ name }) => name)]);
  }

  open(batch: BatchMemory): void {
    this.#batch = batch;
    this.#shapeCount = -1;
  }

  /** Whether `plain` may write these attributes: each name once, none that a row may have itself, only simple values. */
  look(first: number, end: number): boolean {
    const { tape } = this.#batch;
    const shape = this.#shape;
    const isLong = end - first > SHAPE_MAX * ENTRY;
    let kinds = 0;
    let differs = (this.#shapeCount * ENTRY) ^ (end - first);
    for (let e = first, i = 0; e < end; e += ENTRY, i++) {
      const head = tape[e]!;
      if ((head & 15) > kinds) kinds = head & 15;
      if (!isLong) differs |= (head >>> 4) ^ shape[i]!;
    }
    if (differs !== 0) this.#learn(first, end);
    this.isOdd = kinds > Kind.double;
    return this.#isPlain && !this.isOdd;
  }

  #learn(first: number, end: number): void {
    const count = (end - first) / ENTRY;
    this.#isPlain = this.#isPossible && count <= SHAPE_MAX;
    this.#shapeCount = this.#isPlain ? count : -1;
    if (!this.#isPlain) return;
    const { tape } = this.#batch;
    const shape = this.#shape;
    for (let i = 0; i < count; i++) {
      const entry = first + i * ENTRY;
      const key = tape[entry]! >>> 4;
      if (key !== 0 && this.#headLength[key] === 0) this.#learnName(key, entry);
      if (key === 0 || this.#headLength[key] === ODD) this.#isPlain = false;
      for (let j = 0; j < i; j++) if (shape[j] === key) this.#isPlain = false;
      shape[i] = key;
    }
  }

  #learnName(key: number, entry: number): void {
    const from = this.#order.keyFrom(entry);
    const end = this.#order.keyEnd(entry);
    this.#headLength[key] = ODD;
    if (from === end || end - from > NAME_MAX) return;
    const name = this.#latin.decode(this.#batch.bytes.subarray(from, end));
    if (this.#own.has(name) || NUMBER.test(name)) return;
    this.#name.need(2 * NAME_MAX + 16);
    const { view } = this.#name;
    const { dropped, newlines } = this.#lines;
    view.setUint8(0, COMMA);
    const stop = this.#lines.writeName(view, 1, this.#batch.view, from, end);
    if (this.#lines.dropped !== dropped || this.#lines.newlines !== newlines) {
      // Only tried: the thorough way writes it, and counts.
      this.#lines.dropped = dropped;
      return;
    }
    view.setUint8(stop, EQUALS);
    this.#keep(key, stop + 1);
  }

  #keep(key: number, length: number): void {
    const at = this.#headsEnd;
    this.#headsEnd = (at + length + 15) & ~7;
    if (this.#headsEnd + 16 > this.#heads.byteLength) {
      const larger = new Uint8Array(2 * this.#heads.byteLength + this.#headsEnd);
      larger.set(new Uint8Array(this.#heads.buffer));
      this.#heads = new DataView(larger.buffer);
    }
    copy(this.#heads, at, this.#name.view, 0, length);
    this.#headAt[key] = at;
    this.#headLength[key] = length;
  }

  /** Writes the tags behind the head of the row, for attributes that `look` found plain. */
  plain(head: PointHead, out: DataView, at: number, first: number, end: number): number {
    const { tape, bytes, view } = this.#batch;
    const heads = this.#heads;
    let o = copy(out, at, head.text.view, 0, head.length);
    let count = head.tags + (head.isDelta ? 1 : 0);
    for (let e = first; e < end; e += ENTRY) {
      const key = tape[e]! >>> 4;
      const kind = tape[e]! & 15;
      const from = tape[e + 2]!;
      const stop = tape[e + 3]!;
      const length = this.#headLength[key]!;
      const headAt = this.#headAt[key]!;
      out.setBigUint64(o, heads.getBigUint64(headAt, true), true);
      out.setBigUint64(o + 8, heads.getBigUint64(headAt + 8, true), true);
      const start = length > 16 ? copy(out, o, heads, headAt, length) : o + length;
      if (kind === Kind.text) {
        if (from === stop) continue;
        const close = this.#lines.writeTagValue(out, start, view, from, stop);
        if (close === start) this.#left(Reason.empty);
        else {
          o = close;
          count++;
        }
        continue;
      }
      if (kind === Kind.none) continue;
      const low = bytes[from]!;
      const high = low < 128 ? 0 : bytes[from + 1]!;
      if (kind === Kind.int && high < 128) {
        o = writeUnder20000(out, start, (low & 127) | (high << 7));
        count++;
        continue;
      }
      const close = this.#values.tag(out, start, kind, from, stop);
      if (close < 0) this.#left(this.#values.reason);
      else {
        o = close;
        count++;
      }
    }
    this.count = count;
    return o;
  }
}
