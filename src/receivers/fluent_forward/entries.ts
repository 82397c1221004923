import { fluentTag } from "../../kit/doors/fluent-tag.ts";
import { MsgpackRecords } from "../../kit/doors/msgpack-records.ts";
import type { RecordSource } from "../../kit/doors/record-requests.ts";
import type { GivenAttributes } from "../../series/records/given-attributes.ts";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { type JsonEntry, type Message, NO_RECORD } from "./message.ts";

/** Tags of one connection that are remembered. */
const TAGS_MAX = 64;

/** The attributes that tags become: made once, as most messages of a connection have one of few. */
export class Tags {
  readonly #known = new Map<string, GivenAttributes>();

  get(tag: string): GivenAttributes {
    let given = this.#known.get(tag);
    if (given === undefined) {
      if (this.#known.size === TAGS_MAX) this.#known.clear();
      given = fluentTag(tag);
      this.#known.set(tag, given);
    }
    return given;
  }
}

/** The records of messages, in their order. Made anew for each attempt. */
export class MessageRecords implements RecordSource {
  readonly bytes: number;
  readonly #tags: Tags;
  readonly #messages: readonly Message[];
  #index = 0;
  #source: RecordSource | undefined;
  #bad = 0;
  #firstBad = "";

  constructor(messages: readonly Message[], tags: Tags) {
    this.#messages = messages;
    this.#tags = tags;
    this.bytes = messages.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  get bad(): number {
    return this.#bad + (this.#source?.bad ?? 0);
  }

  get firstBad(): string {
    return this.#firstBad || (this.#source?.firstBad ?? "");
  }

  fill(door: RecordDoor, size: number): boolean {
    for (let left = size; left > 0; ) {
      if (this.#source === undefined && !this.#next(door)) return false;
      const source = this.#source;
      if (source === undefined) continue;
      if (source.fill(door, left)) return true;
      left -= source.bytes;
      this.#firstBad ||= source.firstBad;
      this.#bad += source.bad;
      this.#source = undefined;
    }
    return true;
  }

  /** Begins the next message that has records. */
  #next(door: RecordDoor): boolean {
    for (;;) {
      const message = this.#messages[this.#index++];
      if (message === undefined) return false;
      if (message.problem !== undefined) {
        this.#bad++;
        this.#firstBad ||= message.problem;
      }
      this.#source = sourceOf(message);
      if (this.#source === undefined) continue;
      door.given = this.#tags.get(message.tag);
      return true;
    }
  }
}

function sourceOf({ content, bytes, from, to }: Message): RecordSource | undefined {
  switch (content.kind) {
    case "one":
      return new MsgpackRecords(bytes, from, to, content.timeLow, content.timeHigh);
    case "entries":
      return new MsgpackRecords(bytes, from, to, 0, 0);
    case "json":
      return new JsonEntries(content.entries, bytes);
    default:
      return undefined;
  }
}

/** The records of a JSON message. */
class JsonEntries implements RecordSource {
  readonly bytes: number;
  bad = 0;
  firstBad = "";
  readonly #entries: readonly JsonEntry[];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #index = 0;

  constructor(entries: readonly JsonEntry[], bytes: Uint8Array) {
    this.#entries = entries;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bytes = entries.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  fill(door: RecordDoor, size: number): boolean {
    for (let left = size; left > 0; ) {
      const entry = this.#entries[this.#index++];
      if (entry === undefined) return false;
      const { from, to, timeLow, timeHigh } = entry;
      left -= to - from;
      door.timeLow = timeLow;
      door.timeHigh = timeHigh;
      if (from === to) this.#fail(NO_RECORD);
      else if (door.json(this.#bytes, this.#view, from, to) < 0) this.#fail(door.problem);
    }
    return true;
  }

  #fail(problem: string): void {
    if (this.bad++ === 0) this.firstBad = problem;
  }
}
