import { Literal } from "../../line/literals.ts";
import { NameMap } from "../../line/name-map.ts";
import { Pair, VALUE_ESCAPED } from "../../line/pair.ts";
import { describeProblem, Problem } from "../../line/problems.ts";
import { LineReader } from "../../line/reader.ts";
import { type Precision, TimeScale } from "../../line/time.ts";
import { unescapeMeasurement, unescapeName } from "../../line/unescape.ts";
import { LogRecord, ScopeLogs } from "../../otlp/tags.gen.ts";
import { SLACK } from "../../wire/slack.ts";
import type { ResourceAttribute } from "../resource-attribute.ts";
import { DoorGroups, GROUP_BYTES } from "./door-groups.ts";
import { KnownRecords } from "./door-known.ts";
import { DoorOutput } from "./door-output.ts";
import { type DoorPlan, planOf } from "./door-plan.ts";
import { RecordFields } from "./door-record.ts";
import type { LineShape } from "./line-shapes.ts";

/** One OTLP logs request. */
export interface DoorResult {
  /** The request from 0 to `length`, then SLACK bytes. Nobody else holds this memory. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Log records in it. */
  readonly items: number;
  readonly badLines: number;
  /** Sentence about the first bad line, with its number; "" when there is none. */
  readonly firstBad: string;
  /** Lines whose time does not fit 1677–2262: they carry the time of receipt. */
  readonly replacedTimes: number;
  readonly hasSpread: boolean;
}

/** Told of each bad line while it is in memory. `number` counts lines, good and bad, without comments and blank ones. */
export type OnBadLine = (
  line: Pick<LineReader, "problem" | "problemAt" | "lineAt" | "lineEnd">,
  number: number,
) => void;

/** Longest message of the request: lengths have at most 28 bits. */
const GROUP_BOUND = (1 << 28) - 1;
const EMPTY = new Uint8Array(0);

/**
 * Lines → the bytes of an OTLP logs request, one log record per line (mapping §6), without an object or string per line. The attribute
 * `weir.tags` marks a record that came as a line.
 */
export class LineDoor {
  readonly #reader = new LineReader();
  readonly #out = new DoorOutput();
  readonly #fields = new RecordFields(this.#reader, this.#out);
  readonly #groups = new DoorGroups(this.#out);
  readonly #known = new KnownRecords(this.#reader, this.#out, this.#fields);
  readonly #time: TimeScale;
  readonly #arrival = new TimeScale("ns");
  readonly #shapes: NameMap;
  readonly #plans: readonly DoorPlan[];
  readonly #undeclared = planOf(undefined);
  /** `service.name` of lines without a tag for it. */
  readonly #service: Uint8Array;
  readonly #serviceView: DataView;
  readonly #onBadLine: OnBadLine | undefined;
  /** Bytes that every resource of the request has beside `service.name`. */
  #carriedLength = 0;
  readonly #scratch = new Uint8Array((1 << 16) + SLACK);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  readonly #scales = new Map<Precision, TimeScale>();
  /** Of the present `append`, or what `begin` has begun. */
  #scale: TimeScale = this.#arrival;
  #bytes: Uint8Array = EMPTY;
  #view: DataView = new DataView(EMPTY.buffer);
  #next = 0;
  #isSpread = false;
  /** Lines in the parts of the request that are finished. */
  #finished = 0;
  #items = 0;
  #badLines = 0;
  #firstBad = "";
  #replacedTimes = 0;
  #hasSpread = false;
  /** State before the latest `append`, for `undo`. */
  readonly #before = new Before();
  /** The open ResourceLogs is for lines without a tag for the service. */
  #isUntagged = false;

  constructor(
    shapes: readonly LineShape[],
    options: {
      readonly precision: Precision;
      readonly serviceName?: string;
      readonly onBadLine?: OnBadLine;
    },
  ) {
    this.#onBadLine = options.onBadLine;
    this.#shapes = new NameMap(new Map(shapes.map((shape, i) => [shape.measurement, i])));
    this.#plans = shapes.map(planOf);
    this.#time = new TimeScale(options.precision);
    const name = Buffer.from(options.serviceName ?? "");
    this.#service = name.length === 0 ? EMPTY : Buffer.concat([name, Buffer.alloc(SLACK)]);
    this.#serviceView = new DataView(
      this.#service.buffer,
      this.#service.byteOffset,
      this.#service.byteLength,
    );
  }

  /** Bytes of the request so far. */
  get length(): number {
    return this.#out.length;
  }

  /** An attribute for every resource of the request that begins now, and of those behind it. Its lines are numbered from 1. */
  carry(attribute: ResourceAttribute): void {
    this.#carriedLength = attribute.length;
    this.#groups.setResource(attribute.view, attribute.length);
    this.#finished = 0;
  }

  /**
   * Adds the lines of `bytes[from, to)`; the memory needs SLACK bytes behind `to`. Returns whether a line belongs to a spread table: such
   * lines must be a request of their own (see `undo`). `precision`: of their times, where it is not the option's.
   */
  append(
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
    receivedMs: number,
    precision?: Precision,
  ): boolean {
    this.begin(bytes, view, from, to, receivedMs, precision);
    this.appendSome(Number.POSITIVE_INFINITY);
    return this.#isSpread;
  }

  /** As `append`, but adds nothing yet: `appendSome` does, until it returns false. The memory must stay as it is. */
  begin(
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
    receivedMs: number,
    precision?: Precision,
  ): void {
    this.#remember();
    this.#isSpread = false;
    this.#scale = precision === undefined ? this.#time : this.#scaleOf(precision);
    this.#bytes = bytes;
    this.#view = view;
    this.#next = from;
    this.#arrival.setMillis(receivedMs);
    this.#fields.source(bytes, view);
    this.#reader.reset(bytes, view, from, to);
  }

  /** Adds the lines of about the next `size` bytes. False when there are no more. */
  appendSome(size: number): boolean {
    const reader = this.#reader;
    const stop = this.#next + size;
    let isMore = false;
    while (!isMore && reader.next()) {
      if (reader.problem !== Problem.none) this.#bad();
      else if (this.#line(this.#bytes, this.#view)) this.#isSpread = true;
      isMore = reader.lineEnd >= stop;
    }
    this.#next = reader.lineEnd;
    if (this.#isSpread) this.#hasSpread = true;
    return isMore;
  }

  #scaleOf(precision: Precision): TimeScale {
    const known = this.#scales.get(precision);
    if (known !== undefined) return known;
    const scale = new TimeScale(precision);
    this.#scales.set(precision, scale);
    return scale;
  }

  #remember(): void {
    const before = this.#before;
    before.length = this.#out.length;
    this.#groups.remember();
    before.isUntagged = this.#isUntagged;
    before.items = this.#items;
    before.badLines = this.#badLines;
    before.firstBad = this.#firstBad;
    before.replacedTimes = this.#replacedTimes;
    before.hasSpread = this.#hasSpread;
  }

  /** Takes the latest `append` back. */
  undo(): void {
    const before = this.#before;
    this.#out.length = before.length;
    this.#groups.undo();
    this.#isUntagged = before.isUntagged;
    this.#items = before.items;
    this.#badLines = before.badLines;
    this.#firstBad = before.firstBad;
    this.#replacedTimes = before.replacedTimes;
    this.#hasSpread = before.hasSpread;
  }

  /** Whether a line so far belongs to a spread table. */
  get hasSpread(): boolean {
    return this.#hasSpread;
  }

  /** Ends the request, or a part of it, and starts an empty one. */
  finish(): DoorResult {
    this.#groups.close();
    const length = this.#out.length;
    const result: DoorResult = {
      bytes: this.#out.take(),
      length,
      items: this.#items,
      badLines: this.#badLines,
      firstBad: this.#firstBad,
      replacedTimes: this.#replacedTimes,
      hasSpread: this.#hasSpread,
    };
    this.#finished += this.#items + this.#badLines;
    this.#items = this.#badLines = this.#replacedTimes = 0;
    this.#firstBad = "";
    this.#hasSpread = false;
    return result;
  }

  #bad(): void {
    const { problem, problemAt, lineAt, lineNumber } = this.#reader;
    this.#badLines++;
    this.#onBadLine?.(this.#reader, this.#finished + this.#items + this.#badLines);
    if (this.#badLines > 1) return;
    this.#firstBad = `line ${lineNumber}, byte ${problemAt - lineAt + 1}: ${describeProblem(problem)}`;
  }

  #line(bytes: Uint8Array, view: DataView): boolean {
    const reader = this.#reader;
    const out = this.#out;
    const size = reader.lineEnd - reader.lineAt;
    const bound = 3 * size + 64 * (reader.tagCount + reader.fieldCount) + 256;
    out.ensure(2 * bound + this.#service.length + this.#carriedLength + GROUP_BYTES);
    const set = reader.set;
    const isKnown = this.#known.has(set);
    const shape = isKnown ? this.#known.shapes[set]! : this.#shapeOfLine(bytes);
    const plan = shape < 0 ? this.#undeclared : this.#plans[shape]!;
    const service = isKnown ? this.#known.services[set]! : this.#fields.look(plan.columns);
    this.#openGroup(bytes, view, service);
    out.byte(ScopeLogs.log_records);
    // Lists grow when they become JSON; their room is made when they are met.
    const room = (reader.kinds & (1 << Literal.list)) !== 0 ? GROUP_BOUND : bound;
    const record = out.open(room);
    this.#writeTimes();
    if (isKnown) this.#known.write(set, view, plan.levels);
    else this.#writeUnknown(bytes, view, plan, shape, service);
    out.close(record, room);
    this.#items++;
    return plan.spread;
  }

  #writeUnknown(
    bytes: Uint8Array,
    view: DataView,
    plan: DoorPlan,
    shape: number,
    service: number,
  ): void {
    const { set, kinds } = this.#reader;
    const out = this.#out;
    this.#fields.writePairs(plan.levels);
    this.#fields.writeOtherIds(plan.hasIds);
    const tagsAt = out.length;
    this.#fields.writeTagNames();
    const tagsEnd = out.length;
    if ((kinds & (1 << Literal.uinteger)) !== 0) this.#fields.writeUintNames();
    const nameAt = out.length;
    this.#writeName(bytes, view);
    // Lines with ids in other forms are looked through each time.
    if (set >= 0 && !this.#fields.hasOtherIds)
      this.#known.keep(set, shape, service, tagsAt, tagsEnd, nameAt);
  }

  #writeName(bytes: Uint8Array, view: DataView): void {
    const { measurementAt, measurementEnd, measurementEscaped } = this.#reader;
    const out = this.#out;
    out.byte(LogRecord.event_name);
    if (measurementEscaped) {
      const end = unescapeMeasurement(this.#scratch, 0, bytes, measurementAt, measurementEnd);
      out.varint(end);
      out.copy(this.#scratchView, 0, end);
    } else {
      out.varint(measurementEnd - measurementAt);
      out.copy(view, measurementAt, measurementEnd - measurementAt);
    }
  }

  /** Number of the line's table, or -1. */
  #shapeOfLine(bytes: Uint8Array): number {
    const { measurementAt, measurementEnd } = this.#reader;
    return this.#shapes.get(bytes, measurementAt, measurementEnd);
  }

  /** Lines without a time share that of their arrival: as in InfluxDB, equal series in one request are one point, which senders use to add fields. */
  #writeTimes(): void {
    const reader = this.#reader;
    const out = this.#out;
    const arrival = this.#arrival;
    let time = arrival;
    // A time of 0 counts as absent (mapping rule 10).
    if (reader.hasTime && (reader.timeLow | reader.timeHigh) !== 0) {
      if (this.#scale.set(reader.timeLow, reader.timeHigh)) time = this.#scale;
      else this.#replacedTimes++;
    }
    out.byte(LogRecord.time_unix_nano);
    out.fixed64(time.low, time.high);
    out.byte(LogRecord.observed_time_unix_nano);
    out.fixed64(arrival.low, arrival.high);
  }

  /** Consecutive lines with the same service share one ResourceLogs. */
  #openGroup(bytes: Uint8Array, view: DataView, serviceTag: number): void {
    if (serviceTag < 0 && this.#isUntagged && this.#groups.isOpen) return;
    this.#isUntagged = serviceTag < 0;
    if (serviceTag < 0) {
      this.#groups.open(this.#serviceView, 0, Math.max(0, this.#service.length - SLACK));
      return;
    }
    const { pairs } = this.#reader;
    const from = pairs[serviceTag + Pair.valueAt]!;
    const end = pairs[serviceTag + Pair.valueEnd]!;
    if ((pairs[serviceTag + Pair.flags]! & VALUE_ESCAPED) !== 0)
      this.#groups.open(this.#scratchView, 0, unescapeName(this.#scratch, 0, bytes, from, end));
    else this.#groups.open(view, from, end - from);
  }
}

/** Where a door was before an `append`. */
class Before {
  length = 0;
  isUntagged = false;
  items = 0;
  badLines = 0;
  firstBad = "";
  replacedTimes = 0;
  hasSpread = false;
}
