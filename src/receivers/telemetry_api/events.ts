import type { Body } from "../../kit/server/compression.ts";
import { PipelineError } from "../../otlp/status.ts";
import { JsonScan } from "../../wire/json-scan.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";

/** Lambda's own limit is 10,000 (maxItems). */
const EVENTS_MAX = 65_536;
/** Longest name of a type. */
const TYPE_MAX = 64;
/** Longest record of which an object is made; those of the platform have some hundred bytes. */
const OBJECT_MAX = 65_536;

/** One element of a batch: where its record stands in the body. */
export interface TelemetryEvent {
  readonly type: string;
  /** Nanoseconds since 1970; 0n: it has no time that can be read. */
  readonly timeNs: bigint;
  /** The record, from its first byte to behind its last. */
  readonly from: number;
  readonly to: number;
}

/** The events of a body, and what of it is none. */
export interface Events {
  readonly events: readonly TelemetryEvent[];
  readonly bad: number;
  /** About the first of them; "" when there is none. */
  readonly firstBad: string;
}

const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const QUOTE = 0x22;

/** Finds the events of a batch: a JSON array of objects, or objects one behind the other (NDJSON). */
export class EventReader {
  readonly #scan = new JsonScan();
  readonly #times = new TimeText();
  #bad = 0;
  #firstBad = "";

  /**
   * What is before a place where the JSON is damaged is kept; the rest counts as one bad event, as does what is no event. The body needs SLACK
   * behind its length. Throws a PipelineError for more events than Lambda could mean.
   */
  read({ bytes, length }: Body): Events {
    this.#bad = 0;
    this.#firstBad = "";
    const events: TelemetryEvent[] = [];
    const scan = this.#scan;
    scan.begin(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), length);
    try {
      this.#readAll(events);
    } finally {
      scan.release();
    }
    return { events, bad: this.#bad, firstBad: this.#firstBad };
  }

  #readAll(events: TelemetryEvent[]): void {
    const scan = this.#scan;
    if (this.#walk(events) >= 0) return;
    const { failedAt, expected } = scan;
    this.#fail(`byte ${failedAt}, behind ${events.length} events: expected ${expected}`);
  }

  /** Reads all of the body; its end, or -1 where it is damaged. */
  #walk(events: TelemetryEvent[]): number {
    const scan = this.#scan;
    const { bytes, end } = scan;
    let p = scan.space(0);
    const isList = bytes[p] === OPEN_LIST;
    if (isList) p = scan.space(p + 1);
    while (p < end && bytes[p] !== CLOSE_LIST) {
      p = this.#one(p, events);
      if (p < 0) return -1;
      if (events.length + this.#bad > EVENTS_MAX)
        throw new PipelineError({
          kind: "too_large",
          retryAfterMs: 0,
          why: `a batch has at most ${EVENTS_MAX} events: lower maxItems of the subscription`,
        });
      p = scan.space(p);
      if (!isList || bytes[p] === CLOSE_LIST) continue;
      if (bytes[p] !== COMMA) return scan.fail(p, '"," or "]"');
      p = scan.space(p + 1);
    }
    if (!isList) return p < end ? scan.fail(p, "an event") : p;
    if (p >= end) return scan.fail(p, '"]"');
    p = scan.space(p + 1);
    return p < end ? scan.fail(p, "nothing behind the array") : p;
  }

  #fail(why: string): void {
    if (this.#bad++ === 0) this.#firstBad = why;
  }

  /** Reads the value at `p`; its end, or -1 where the JSON is damaged. */
  #one(p: number, events: TelemetryEvent[]): number {
    const scan = this.#scan;
    const end = scan.skip(p);
    if (end < 0) return -1;
    if (scan.bytes[p] !== OPEN_OBJECT) this.#fail(`event ${events.length + 1} is no object`);
    else {
      const event = this.#event(p);
      if (event === undefined)
        this.#fail(`event ${events.length + 1} has no type, or no record: each needs both`);
      else events.push(event);
    }
    return end;
  }

  /** The object at `p`, which is whole. Of equal names the last wins. */
  #event(p: number): TelemetryEvent | undefined {
    const scan = this.#scan;
    const { bytes } = scan;
    let type = "";
    let timeNs = 0n;
    let from = -1;
    let to = -1;
    let at = scan.space(p + 1);
    while (bytes[at] !== CLOSE_OBJECT) {
      const value = scan.nameEnd(at);
      const name = this.#name(at, value);
      const end = scan.skip(value);
      if (name === "type") type = this.#type(value, end);
      else if (name === "time") timeNs = this.#time(value, end);
      else if (name === "record") [from, to] = [value, end];
      at = scan.space(end);
      if (bytes[at] === COMMA) at = scan.space(at + 1);
    }
    return type === "" || from < 0 ? undefined : { type, timeNs, from, to };
  }

  /** Names that matter are short and have no escapes. */
  #name(at: number, value: number): string {
    const close = this.#scan.textEnd(at + 1) - 1;
    return close - at > 8 || value < 0 ? "" : latin1(this.#scan.bytes, at + 1, close);
  }

  #type(from: number, to: number): string {
    const { bytes } = this.#scan;
    if (bytes[from] !== QUOTE || to - from > TYPE_MAX) return "";
    return latin1(bytes, from + 1, to - 1);
  }

  #time(from: number, to: number): bigint {
    const { bytes } = this.#scan;
    const times = this.#times;
    if (bytes[from] !== QUOTE) return 0n;
    if (times.read(bytes, from + 1, to - 1) !== TimeKind.time) return 0n;
    return (BigInt(times.high) << 32n) | BigInt(times.low >>> 0);
  }
}

/** The record of an event as an object; undefined when it is none, or too long to make one of it. */
export function recordObject(
  bytes: Uint8Array,
  { from, to }: TelemetryEvent,
): Readonly<Record<string, unknown>> | undefined {
  return to - from > OBJECT_MAX ? undefined : objectOf(parsed(bytes, from, to));
}

/** The text at `from`; undefined when another value is there. */
export function textAt(bytes: Uint8Array, from: number, to: number): string | undefined {
  return bytes[from] === QUOTE ? String(parsed(bytes, from, to)) : undefined;
}

/** The value as an object; undefined when it is none. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
}

/** What has been scanned can be parsed; what the scan takes and the parser does not costs itself. */
function parsed(bytes: Uint8Array, from: number, to: number): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString());
  } catch {
    return undefined;
  }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
}
