import { PipelineError } from "../../otlp/status.ts";
import { SLACK } from "../../wire/slack.ts";
import type { RecordDoor } from "../records/record-door.ts";
import { PromtailLine } from "./promtail-line.ts";
import { PushErrors } from "./push-errors.ts";
import { PushTime, secondsText } from "./push-time.ts";
import { type LabelLimits, StreamLabels } from "./stream-labels.ts";

/** What Loki takes of an entry; 0 is no limit. */
export interface PushLimits extends LabelLimits {
  readonly maxLineBytes: number;
  readonly maxAgeMs: number;
  readonly maxAheadMs: number;
  readonly maxMetadataBytes: number;
  readonly maxMetadataPairs: number;
}

/** How entries are read. */
export interface PushOptions {
  readonly limits: PushLimits;
  /** Lines of promtail-client are taken apart: function, time and record. */
  readonly isPromtailClient: boolean;
}

/** Every record has its stream's labels: a small body may become a large request. Bytes of a request that is made at a stretch, and of a step. */
export const WHOLE_MAX: number = 64 << 20;
const STEP_MAX = 4 << 20;
/** Why an entry was not taken, in words that are the same for all alike: Loki's own name the stream, its time and the present second. */
const REASONS = {
  labels: "a stream has labels over a limit, or one of them twice",
  old: "an entry is older than limits.reject_old_samples_max_age",
  ahead: "an entry is further ahead than limits.creation_grace_period",
  line: "a line is longer than limits.max_line_size",
  bytes: "structured metadata is larger than limits.max_structured_metadata_size",
  pairs: "structured metadata has more than limits.max_structured_metadata_entries_count",
} as const;
type Fault = keyof typeof REASONS;
const SEE = "or contact your Loki administrator to increase it";
const FUNCTION_BYTES = 8;
const FUNCTION = Buffer.alloc(FUNCTION_BYTES + SLACK);
FUNCTION.write("function");
const FUNCTION_NAME = new DataView(FUNCTION.buffer, FUNCTION.byteOffset);

/**
 * The entries of one request on their way to the record door, whatever they were written in: for each stream `labels` and `openStream`, for each
 * entry `begin`, its time and metadata, and `end`. Entries that Loki would not take are counted, with Loki's words.
 */
export class PushEntries {
  readonly labels = new StreamLabels();
  /** Of the entry that was begun. */
  readonly time = new PushTime();
  errors = new PushErrors();
  /** Streams of the request so far, and entries that were not taken. */
  streams = 0;
  bad = 0;
  /** Why the first of those was not taken, in words without the stream and times; "" when there is none. */
  reason = "";
  readonly #limits: PushLimits;
  readonly #line: PromtailLine | undefined;
  #nowMs = 0;
  #metadataBytes = 0;
  #metadataPairs = 0;
  /** The stream's labels are not taken, and so are none of its entries. */
  #isRefused = false;
  #saysRefused = false;
  /** Of the stream, once an error names it. */
  #streamText = "";
  /** Length of the request at which this step is over. */
  #mostBytes = 0;
  #isWhole = false;

  constructor({ limits, isPromtailClient }: PushOptions) {
    this.#limits = limits;
    this.#line = isPromtailClient ? new PromtailLine() : undefined;
  }

  /** Forgets the last request. `nowMs`: when the next one arrived. */
  beginRequest(nowMs: number): void {
    this.#nowMs = nowMs;
    this.errors = new PushErrors();
    this.streams = this.bad = 0;
    this.reason = "";
  }

  /** All labels of the next stream are there. */
  openStream(isMap: boolean): void {
    this.streams++;
    this.#streamText = "";
    const problem = this.labels.problem(this.#limits, isMap);
    this.#isRefused = problem !== "";
    this.#saysRefused = this.#isRefused;
    if (this.#isRefused) this.#streamText = problem;
  }

  /** Begins a step; `isWhole`: it is the only one. */
  beginStep(door: RecordDoor, isWhole: boolean): void {
    this.#isWhole = isWhole;
    this.#mostBytes = isWhole ? WHOLE_MAX : door.length + STEP_MAX;
  }

  /** Whether the step has made as much as it may. Throws where it is the only one. */
  isFull(door: RecordDoor): boolean {
    if (door.length <= this.#mostBytes) return false;
    if (!this.#isWhole) return true;
    const why = `with their labels, the entries of this body take more than ${WHOLE_MAX} bytes: send smaller batches`;
    throw new PipelineError({ kind: "too_large", retryAfterMs: 0, why });
  }

  begin(door: RecordDoor): void {
    if (this.#isRefused) return;
    door.given = this.labels;
    door.service = this.labels.service;
    door.begin();
    this.#metadataBytes = this.#metadataPairs = 0;
    this.time.setNone();
  }

  /** A pair of structured metadata. One with an empty value counts, and is left out. */
  metadata(
    door: RecordDoor,
    view: DataView,
    nameAt: number,
    nameLength: number,
    at: number,
    length: number,
  ): void {
    if (this.#isRefused) return;
    this.#metadataBytes += nameLength + length;
    this.#metadataPairs++;
    const { maxMetadataBytes, maxMetadataPairs } = this.#limits;
    const isOver = isAbove(this.#metadataBytes, maxMetadataBytes);
    if (isOver || isAbove(this.#metadataPairs, maxMetadataPairs)) return;
    if (length > 0 && nameLength > 0) door.attribute(view, nameAt, nameLength, at, length);
  }

  /** Ends the entry, whose line is `view[from, end)`; false: it was not taken. */
  end(door: RecordDoor, view: DataView, from: number, end: number): boolean {
    const fault = this.#isRefused ? "labels" : this.#faultOf(end - from);
    if (fault !== undefined) {
      this.#reject(fault, end - from);
      return false;
    }
    const { time } = this;
    door.isTimeGiven = true;
    door.timeLow = time.low;
    door.timeHigh = time.high;
    const line = this.#line;
    if (line === undefined || !line.read(view, from, end)) {
      door.line(view, from, end);
      return true;
    }
    door.timeLow = line.timeLow;
    door.timeHigh = line.timeHigh;
    const length = line.functionEnd - line.functionAt;
    // The label is what queries look for.
    if (length > 0 && !this.labels.has(FUNCTION_NAME, FUNCTION_BYTES))
      door.attribute(FUNCTION_NAME, 0, FUNCTION_BYTES, line.functionAt, length, view);
    door.line(view, line.recordAt, line.recordEnd);
    return true;
  }

  /** What Loki finds first. */
  #faultOf(lineBytes: number): Fault | undefined {
    const { maxLineBytes, maxAgeMs, maxAheadMs, maxMetadataBytes, maxMetadataPairs } = this.#limits;
    const age = this.#nowMs - this.time.ms;
    if (isAbove(age, maxAgeMs) || (!this.time.fits && age > 0)) return "old";
    if (isAbove(-age, maxAheadMs) || !this.time.fits) return "ahead";
    if (isAbove(lineBytes, maxLineBytes)) return "line";
    if (isAbove(this.#metadataBytes, maxMetadataBytes)) return "bytes";
    return isAbove(this.#metadataPairs, maxMetadataPairs) ? "pairs" : undefined;
  }

  /** A stream that is refused is told of once. */
  #reject(fault: Fault, lineBytes: number): void {
    this.bad++;
    this.reason ||= REASONS[fault];
    if (fault === "labels") {
      if (this.#saysRefused) this.errors.add(this.#streamText);
      this.#saysRefused = false;
      return;
    }
    if (this.errors.isFull) {
      this.errors.addMore();
      return;
    }
    this.#streamText ||= this.labels.text();
    this.errors.add(this.#wordsOf(fault, lineBytes));
  }

  /** Loki's own, to the letter. */
  #wordsOf(fault: Exclude<Fault, "labels">, lineBytes: number): string {
    const { maxLineBytes, maxAgeMs, maxMetadataBytes, maxMetadataPairs } = this.#limits;
    const stream = this.#streamText;
    switch (fault) {
      case "old":
        return `entry for stream '${stream}' has timestamp too old: ${this.time.text()}, oldest acceptable timestamp is: ${secondsText(this.#nowMs - maxAgeMs)}`;
      case "ahead":
        return `entry for stream '${stream}' has timestamp too new: ${this.time.text()}`;
      case "line":
        return `max entry size '${maxLineBytes}' bytes exceeded for stream '${stream}' while adding an entry with length '${lineBytes}' bytes`;
      case "bytes":
        return `stream '${stream}' has structured metadata too large: '${this.#metadataBytes}' bytes, limit: '${maxMetadataBytes}' bytes. Please see \`limits_config.max_structured_metadata_size\` ${SEE}`;
      case "pairs":
        return `stream '${stream}' has too many structured metadata labels: '${this.#metadataPairs}', limit: '${maxMetadataPairs}'. Please see \`limits_config.max_structured_metadata_entries_count\` ${SEE}`;
    }
  }
}

/** A limit of 0 is none. */
function isAbove(value: number, limit: number): boolean {
  return limit > 0 && value > limit;
}
