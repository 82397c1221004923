import { JsonScan } from "../../wire/json-scan.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import { DoorOutput } from "../doors/door-output.ts";
import type { RecordDoor } from "../records/record-door.ts";
import { isLabelName, LabelError, LabelText } from "./label-text.ts";
import type { PushEntries } from "./push-entries.ts";
import { JsonFault, JsonPlace, jsonContext } from "./push-json-errors.ts";
import { refused } from "./push-protobuf.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LETTER_N = 0x6e;
/** Up to here room for a text is made without looking for its end. */
const ROOM = 1 << 16;

/** Names of members, in quotes. */
const quoted = (name: string) => Buffer.from(JSON.stringify(name));
const STREAMS = quoted("streams");
const STREAM = quoted("stream");
const VALUES = quoted("values");
const LABELS = quoted("labels");
const ENTRIES = quoted("entries");
const TS = quoted("ts");
const LINE = quoted("line");
const METADATA = quoted("structuredMetadata");

/** What is open where reading goes on. */
const Inside = { nothing: 0, request: 1, streams: 2, stream: 3, list: 4, over: 5 } as const;
type Inside = (typeof Inside)[keyof typeof Inside];

/**
 * A push request in JSON, in the present shape (`stream` and `values`) and the old one (`labels` and `entries`), given to a door entry by
 * entry, without an object or string per entry. What is no JSON, or has values of a wrong type, is refused as a whole, in Loki's words.
 */
export class PushJson {
  readonly #entries: PushEntries;
  readonly #labelText: LabelText;
  readonly #scan = new JsonScan();
  readonly #times = new TimeText();
  /** Unescaped: the line of an entry, and a name with its value. */
  readonly #line = new DoorOutput();
  readonly #text = new DoorOutput();
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);
  #end = 0;
  #p = 0;
  #inside: Inside = Inside.nothing;
  /** Where the open stream begins; whether its labels were read, and it was counted. */
  #streamAt = 0;
  #hasLabels = false;
  #isOpen = false;
  /** The open list is of the old shape. */
  #isOld = false;

  constructor(entries: PushEntries) {
    this.#entries = entries;
    this.#labelText = new LabelText(entries.labels);
  }

  /** The next request is `bytes[0, length)`; SLACK bytes behind it are free. */
  begin(bytes: Uint8Array, length: number): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = length;
    this.#p = 0;
    this.#inside = Inside.nothing;
  }

  /** Gives the door about the next `size` bytes; false when there are no more. */
  fill(door: RecordDoor, size: number): boolean {
    const stop = this.#p + size;
    this.#entries.beginStep(door, size === Number.POSITIVE_INFINITY);
    this.#scan.begin(this.#bytes, this.#view, this.#end);
    try {
      while (this.#inside !== Inside.over) {
        if (this.#p >= stop || this.#entries.isFull(door)) return true;
        this.#p = this.#step(door, this.#scan.space(this.#p));
      }
      return false;
    } finally {
      this.#scan.release();
      this.#line.clear();
      this.#text.clear();
    }
  }

  /** Reads the next piece, from `p`; gives the place behind it. */
  #step(door: RecordDoor, p: number): number {
    switch (this.#inside) {
      case Inside.list:
        return this.#listItem(door, p);
      case Inside.stream:
        return this.#streamMember(p);
      case Inside.streams:
        return this.#streamsItem(p);
      case Inside.request:
        return this.#requestMember(p);
    }
    return this.#top(p);
  }

  #top(p: number): number {
    const c = this.#bytes[p]!;
    if (p >= this.#end) throw refused("EOF");
    this.#inside = c === OPEN_OBJECT ? Inside.request : Inside.over;
    if (c === OPEN_OBJECT) return p + 1;
    if (c === LETTER_N) return this.#good(this.#scan.literalEnd(p));
    throw this.#fault(JsonPlace.top, `readObjectStart: expect { or n, but found ${this.#at(p)}`, p);
  }

  /** What stands behind the request does not matter, as for Loki. */
  #requestMember(p: number): number {
    const c = this.#bytes[p]!;
    if (c === CLOSE_OBJECT) {
      this.#inside = Inside.over;
      return p + 1;
    }
    if (c === COMMA) return p + 1;
    if (c !== QUOTE) throw this.#fault(JsonPlace.name, `expect ", but found ${this.#at(p)}`, p);
    const value = this.#good(this.#scan.nameEnd(p));
    if (!this.#is(p, STREAMS)) return this.#good(this.#scan.skip(value));
    const v = this.#bytes[value]!;
    if (v === LETTER_N) return this.#good(this.#scan.literalEnd(value));
    if (v !== OPEN_LIST)
      throw this.#fault(JsonPlace.streams, `expect [ or n, but found ${this.#at(value)}`, value);
    this.#inside = Inside.streams;
    return value + 1;
  }

  #streamsItem(p: number): number {
    const c = this.#bytes[p]!;
    if (c === COMMA) return p + 1;
    if (c === CLOSE_LIST) {
      this.#inside = Inside.request;
      return p + 1;
    }
    if (c !== OPEN_OBJECT)
      throw this.#fault(JsonPlace.members, `expect { or n, but found ${this.#at(p)}`, p);
    this.#entries.labels.clear();
    this.#streamAt = p;
    this.#hasLabels = this.#isOpen = false;
    this.#inside = Inside.stream;
    return p + 1;
  }

  #streamMember(p: number): number {
    const c = this.#bytes[p]!;
    if (c === COMMA) return p + 1;
    if (c === CLOSE_OBJECT) {
      this.#open();
      this.#inside = Inside.streams;
      return p + 1;
    }
    const value = this.#good(this.#scan.nameEnd(p));
    const isLabels = this.#readsLabels(p, value);
    if (isLabels >= 0) return isLabels;
    const isOld = this.#is(p, ENTRIES);
    if (!isOld && !this.#is(p, VALUES)) return this.#good(this.#scan.skip(value));
    const v = this.#bytes[value]!;
    if (v === LETTER_N) return this.#good(this.#scan.literalEnd(value));
    if (v !== OPEN_LIST) throw this.#streamFault(JsonFault.list);
    if (!this.#hasLabels) this.#seekLabels(value);
    this.#hasLabels = true;
    this.#open();
    this.#isOld = isOld;
    this.#inside = Inside.list;
    return value + 1;
  }

  /** The labels stand behind the list at `p`, or nowhere. */
  #seekLabels(p: number): void {
    for (p = this.#good(this.#scan.skip(p)); ; ) {
      p = this.#scan.space(p);
      if (this.#bytes[p] !== COMMA) return;
      p = this.#scan.space(p + 1);
      const value = this.#good(this.#scan.nameEnd(p));
      const end = this.#readsLabels(p, value);
      p = end >= 0 ? end : this.#good(this.#scan.skip(value));
    }
  }

  /** Reads the labels, where the member at `p` is them; else -1. */
  #readsLabels(p: number, value: number): number {
    if (this.#is(p, STREAM)) return this.#labelObject(value);
    if (!this.#is(p, LABELS)) return -1;
    if (this.#bytes[value] === LETTER_N) return this.#good(this.#scan.literalEnd(value));
    if (this.#bytes[value] !== QUOTE) throw this.#streamFault(JsonFault.text);
    const text = this.#text;
    text.clear();
    const end = this.#unescape(value, text);
    if (!this.#isOpen) this.#readText(text.bytes, text.length);
    return end;
  }

  #readText(bytes: Uint8Array, length: number): void {
    this.#hasLabels = true;
    try {
      this.#labelText.read(bytes, 0, length);
    } catch (reason) {
      if (!(reason instanceof LabelError)) throw reason;
      throw refused(`couldn't parse labels: ${reason.message}`);
    }
  }

  /** The object at `p`. A value that is no text is taken as it is written, as by Loki. */
  #labelObject(p: number): number {
    const bytes = this.#bytes;
    const { labels } = this.#entries;
    const { texts } = labels;
    if (bytes[p] !== OPEN_OBJECT) throw this.#streamFault(JsonFault.object);
    let isPlain = true;
    p = this.#scan.space(p + 1);
    while (bytes[p] !== CLOSE_OBJECT) {
      if (bytes[p] !== QUOTE) throw this.#streamFault(JsonFault.value);
      const start = texts.length;
      p = this.#good(this.#scan.colon(this.#unescape(p, texts)));
      const nameLength = texts.length - start;
      isPlain &&= isLabelName(texts.bytes, start, texts.length);
      p = bytes[p] === QUOTE ? this.#unescape(p, texts) : this.#raw(p, texts);
      if (!this.#isOpen) labels.add(start, nameLength);
      else texts.length = start;
      p = this.#scan.space(p);
      if (bytes[p] === COMMA) p = this.#scan.space(p + 1);
      else if (bytes[p] !== CLOSE_OBJECT) throw this.#streamFault(JsonFault.value);
    }
    this.#hasLabels = true;
    if (!isPlain && !this.#isOpen) this.#readAsText();
    return p + 1;
  }

  /** Names that are none of Loki's: it writes the labels as text and reads that. */
  #readAsText(): void {
    const { labels } = this.#entries;
    const text = Buffer.from(labels.text(false));
    labels.clear();
    this.#readText(text, text.length);
  }

  /** All labels are there. */
  #open(): void {
    if (!this.#isOpen) this.#entries.openStream(true);
    this.#isOpen = true;
  }

  #listItem(door: RecordDoor, p: number): number {
    const c = this.#bytes[p]!;
    if (c === COMMA) return p + 1;
    if (c === CLOSE_LIST) {
      this.#inside = Inside.stream;
      return p + 1;
    }
    if (c === LETTER_N) return this.#good(this.#scan.literalEnd(p));
    if (c !== (this.#isOld ? OPEN_OBJECT : OPEN_LIST)) throw this.#streamFault(JsonFault.value);
    this.#entries.begin(door);
    this.#line.clear();
    const end = this.#isOld ? this.#oldEntry(door, p) : this.#entry(door, p);
    this.#entries.end(door, this.#line.view, 0, this.#line.length);
    return end;
  }

  /** `["<nanoseconds>", "<line>", {…}]`; what follows does not matter. */
  #entry(door: RecordDoor, p: number): number {
    const bytes = this.#bytes;
    const scan = this.#scan;
    p = scan.space(p + 1);
    for (let n = 0; bytes[p] !== CLOSE_LIST; n++) {
      if (n === 0) p = this.#nanos(p);
      else if (n === 1) {
        if (bytes[p] !== QUOTE) throw this.#streamFault(JsonFault.text);
        p = this.#unescape(p, this.#line);
      } else p = n === 2 ? this.#metadata(door, p) : this.#good(scan.skip(p));
      p = scan.space(p);
      if (bytes[p] === COMMA) p = scan.space(p + 1);
      else if (bytes[p] !== CLOSE_LIST) throw this.#streamFault(JsonFault.value);
    }
    return p + 1;
  }

  #nanos(p: number): number {
    const end = this.#bytes[p] === QUOTE ? this.#good(this.#scan.textEnd(p + 1)) : -1;
    if (end < 0 || !this.#entries.time.setDecimal(this.#bytes, p + 1, end - 1))
      throw this.#streamFault(JsonFault.number);
    return end;
  }

  /** `{"ts": "<RFC 3339>", "line": "…", "structuredMetadata": {…}}`. */
  #oldEntry(door: RecordDoor, p: number): number {
    const bytes = this.#bytes;
    const scan = this.#scan;
    p = scan.space(p + 1);
    while (bytes[p] !== CLOSE_OBJECT) {
      const value = this.#good(scan.nameEnd(p));
      const isText = bytes[value] === QUOTE;
      if (this.#is(p, TS) && isText) p = this.#time(value);
      else if (this.#is(p, LINE) && isText) {
        this.#line.clear();
        p = this.#unescape(value, this.#line);
      } else if (this.#is(p, METADATA) && bytes[value] !== LETTER_N)
        p = this.#metadata(door, value);
      else p = this.#good(scan.skip(value));
      p = scan.space(p);
      if (bytes[p] === COMMA) p = scan.space(p + 1);
      else if (bytes[p] !== CLOSE_OBJECT) throw this.#streamFault(JsonFault.value);
    }
    return p + 1;
  }

  #time(p: number): number {
    const bytes = this.#bytes;
    const end = this.#good(this.#scan.textEnd(p + 1));
    const times = this.#times;
    const kind = times.read(bytes, p + 1, end - 1);
    const { time } = this.#entries;
    if (kind === TimeKind.time && times.digits === 0) time.setHalves(times.low, times.high);
    else if (kind === TimeKind.outOfRange && times.digits === 0) time.setNone();
    else {
      const text = Buffer.from(bytes.subarray(p, Math.min(end, p + ROOM))).toString();
      const what = `parsing time ${text} as "2006-01-02T15:04:05Z07:00": cannot parse it`;
      throw this.#fault(JsonPlace.time, what, end - 1);
    }
    return end;
  }

  #metadata(door: RecordDoor, p: number): number {
    const bytes = this.#bytes;
    const scan = this.#scan;
    const text = this.#text;
    if (bytes[p] !== OPEN_OBJECT) throw this.#streamFault(JsonFault.object);
    p = scan.space(p + 1);
    while (bytes[p] !== CLOSE_OBJECT) {
      text.clear();
      if (bytes[p] !== QUOTE) throw this.#streamFault(JsonFault.value);
      p = this.#good(scan.colon(this.#unescape(p, text)));
      const nameLength = text.length;
      if (bytes[p] !== QUOTE) throw this.#streamFault(JsonFault.text);
      p = this.#unescape(p, text);
      const length = text.length - nameLength;
      this.#entries.metadata(door, text.view, 0, nameLength, nameLength, length);
      p = scan.space(p);
      if (bytes[p] === COMMA) p = scan.space(p + 1);
      else if (bytes[p] !== CLOSE_OBJECT) throw this.#streamFault(JsonFault.value);
    }
    return p + 1;
  }

  /** Adds the text in quotes at `p`, unescaped. */
  #unescape(p: number, out: DoorOutput): number {
    const scan = this.#scan;
    const rest = this.#end - p;
    out.ensure(rest <= ROOM ? rest : this.#good(scan.textEnd(p + 1)) - p);
    const end = this.#good(scan.text(p + 1, out.view, out.length));
    out.length = scan.written;
    return end;
  }

  #raw(p: number, out: DoorOutput): number {
    const end = this.#good(this.#scan.skip(p));
    out.ensure(end - p);
    out.copy(this.#view, p, end - p);
    return end;
  }

  /** Whether the name in quotes at `p` is this one. */
  #is(p: number, name: Buffer): boolean {
    const bytes = this.#bytes;
    let n = 1;
    while (n < name.length && bytes[p + n] === name[n]) n++;
    return n === name.length;
  }

  /** A position that the scan gave; throws when it gave none. */
  #good(p: number): number {
    if (p >= 0) return p;
    const { failedAt, expected } = this.#scan;
    if (failedAt >= this.#end) throw this.#fault(JsonPlace.members, JsonFault.cut, this.#end - 1);
    throw this.#fault(JsonPlace.members, `expect ${expected}`, failedAt);
  }

  /** Of a stream that is not as it should be; Loki shows its end. */
  #streamFault(what: string) {
    const end = this.#scan.skip(this.#streamAt);
    if (end < 0) return this.#fault(JsonPlace.members, JsonFault.cut, this.#end - 1);
    return this.#fault(JsonPlace.stream, what, end - 1);
  }

  #fault(place: string, what: string, at: number) {
    return refused(`${place}${what}, ${jsonContext(this.#bytes, this.#end, at + 1)}`);
  }

  #at(p: number): string {
    return p < this.#end ? Buffer.from(this.#bytes.subarray(p, p + 1)).toString("latin1") : "\0";
  }
}
