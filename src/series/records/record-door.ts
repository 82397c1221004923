import { copyReplaced, isAscii, isUtf8, REPLACED_GROWTH } from "../../line/utf8.ts";
import {
  LogRecord as ImportedLogRecord,
  ScopeLogs as ImportedScopeLogs,
} from "../../otlp/tags.gen.ts";
import { Constants } from "../../wire/copy.ts";
import { SLACK } from "../../wire/slack.ts";
import { TimeKind as ImportedTimeKind } from "../../wire/time-text.ts";
import { DoorGroups, GROUP_BYTES } from "../doors/door-groups.ts";
import { DoorOutput } from "../doors/door-output.ts";
import { ArrivalTime } from "./arrival-time.ts";
import { type GivenAttributes, NOTHING_GIVEN } from "./given-attributes.ts";
import { JsonMembers } from "./json-members.ts";
import {
  Layer as ImportedLayer,
  Member as ImportedMember,
  MemberKind as ImportedMemberKind,
  MEMBER as ImportedMemberSize,
  LOG,
  MEMBERS_MAX,
  MESSAGE,
  Members,
  NAMES,
} from "./members.ts";
import { MsgpackMembers } from "./msgpack-members.ts";
import { RecordAttributes } from "./record-attributes.ts";
import { RecordIds } from "./record-ids.ts";
import { RecordLevel } from "./record-level.ts";
import { RecordTime } from "./record-time.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const LogRecord = ImportedLogRecord;
const ScopeLogs = ImportedScopeLogs;
const TimeKind = ImportedTimeKind;
const Layer = ImportedLayer;
const MEMBER = ImportedMemberSize;
const Member = ImportedMember;
const MemberKind = ImportedMemberKind;

/** Longest record, in bytes of its own encoding. */
export const RECORD_MAX: number = 16 << 20;
/** Of a member beside its name and value, at most; and of a record beside its members. */
const MEMBER_BYTES = 48;
const RECORD_BYTES = 160;
const OPEN_OBJECT = 0x7b;

/** One OTLP logs request. */
export interface RecordRequest {
  /** The request from 0 to `length`, then SLACK bytes. Nobody else holds this memory. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Log records in it. */
  readonly items: number;
  /** Records whose own time does not fit 1677–2262: they carry the one that was given, or that of their arrival. */
  readonly replacedTimes: number;
  /** Records with bytes that are no UTF-8: these are U+FFFD. */
  readonly replacedTexts: number;
}

/** A text in UTF-8, in memory with SLACK behind its end. */
export interface TextSpan {
  readonly view: DataView;
  readonly at: number;
  readonly length: number;
}

/**
 * Records of any shape → the bytes of an OTLP logs request, one log record each (mapping §5, "JSON log bodies"), without an object or
 * string per record. For each record: set what is known of it beside its bytes (`given`, `timeLow` and `timeHigh`), then call `json`,
 * `msgpack` or `text`; at the end of a request `finish`.
 *
 * What members become: the first of message, msg, log that is no object: the body. A message or log that is the text of a JSON object is read
 * once more, its members win. timestamp, time, @timestamp, date: the time. level, severity: the severity. trace_id…, span_id…: the ids.
 * service.name, service: besides, `service.name` of the resource. All others, and those that are not what their name says: attributes, objects
 * flattened with dots by one level, deeper ones and lists as JSON text. null is absent. Of equal names the last wins.
 */
export class RecordDoor {
  /** Attributes of the next records, such as `fluent.tag`. */
  given: GivenAttributes = NOTHING_GIVEN;
  /** Time of the next record where it has none of its own, as halves of an int64 of nanoseconds; 0 is none: that of the arrival. */
  timeLow = 0;
  timeHigh = 0;
  /** The next records have no other time than that, whatever their members say. */
  isTimeGiven = false;
  /** What is given as JSON, lines and attributes next is UTF-8, as their giver has seen: a whole body is looked through many times faster than text by text. */
  isKnownUtf8 = false;
  /** `service.name` of the next records; one of no length is looked for in their members. */
  service: TextSpan | undefined;
  /** Why the last record was not taken. */
  problem = "";
  readonly #out = new DoorOutput();
  readonly #groups = new DoorGroups(this.#out);
  readonly #members = new Members();
  readonly #json = new JsonMembers(this.#members);
  readonly #msgpack = new MsgpackMembers(this.#members);
  readonly #attributes = new RecordAttributes(this.#members, this.#out);
  readonly #ids = new RecordIds(this.#members, this.#out);
  readonly #level = new RecordLevel(this.#members, this.#out);
  readonly #time = new RecordTime(this.#members);
  readonly #arrival: ArrivalTime;
  readonly #constants: Constants;
  /** `service.name` of records that do not name one. */
  readonly #service: { readonly at: number; readonly length: number };
  #resourceBytes = 0;
  #items = 0;
  #replacedTimes = 0;
  #replacedTexts = 0;
  /** The present record has text that was replaced. */
  #isReplaced = false;

  /** `arrival`: the time of records that have none at all. Where it rises they get one each, in their order, and doors that share it never the same. */
  constructor(options: { readonly serviceName?: string; readonly arrival?: ArrivalTime } = {}) {
    const { serviceName = "", arrival = new ArrivalTime(false) } = options;
    this.#arrival = arrival;
    this.#constants = new Constants(3 * serviceName.length + 2 * SLACK);
    this.#service = this.#constants.add(serviceName);
  }

  /** Bytes of the request so far. */
  get length(): number {
    return this.#out.length;
  }

  /** Log records in the request so far. */
  get items(): number {
    return this.#items;
  }

  /** When the next records arrived: their observed time. */
  arrive(ms: number): void {
    this.#arrival.setMillis(ms);
  }

  /** Attributes of the next records' resources beside `service.name`: encoded fields of a Resource, then SLACK. */
  setResource(bytes: Uint8Array, length: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#groups.setResource(view, length);
    this.#resourceBytes = length;
  }

  /**
   * Takes the JSON object at the first position of `bytes[from, to)` that is no white space; the memory needs SLACK behind `to`. Returns the
   * position behind the object, or -1 for a record that cannot be taken, see `problem`.
   */
  json(bytes: Uint8Array, view: DataView, from: number, to: number): number {
    this.#begin();
    const end = this.#json.read(bytes, view, from, to, RECORD_MAX);
    if (end < 0) this.problem = this.#json.problem(from);
    else this.#settle(this.isKnownUtf8);
    return end;
  }

  /** The same for the MessagePack map at `from`. `metadataAt`: a whole map besides, which becomes the attribute `fluent.metadata`. */
  msgpack(
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
    metadataAt: number = -1,
  ): number {
    this.#begin();
    if (metadataAt >= 0 && !this.#msgpack.readMetadata(bytes, view, metadataAt, to))
      return this.#fail();
    const end = this.#msgpack.read(bytes, view, from, to, RECORD_MAX);
    if (end < 0) return this.#fail();
    // Its strings may hold any bytes, and bytes may be text.
    this.#settle(false);
    return end;
  }

  /** Takes `view[from, to)` as the body of a record, as it is; the memory needs SLACK behind `to`. */
  text(view: DataView, from: number, to: number): void {
    this.#begin();
    this.line(view, from, to);
  }

  /** Begins a record of attributes and a line: call `attribute` for each, then `line`. One that is begun anew was never there. */
  begin(): void {
    this.#begin();
  }

  /** Adds an attribute with a text; false when there are too many. The memory needs SLACK behind it. `values`: the text is in other memory. */
  attribute(
    view: DataView,
    nameAt: number,
    nameLength: number,
    textAt: number,
    length: number,
    values: DataView = view,
  ): boolean {
    const members = this.#members;
    if (members.count === MEMBERS_MAX) return false;
    members.texts.ensure(nameLength + length);
    const name = members.put(view, nameAt, nameLength);
    const text = members.put(values, textAt, length);
    members.add(name, nameLength, MemberKind.text, text, length, Layer.record);
    return true;
  }

  /** Ends the record that was begun, with `view[from, to)` as its body. */
  line(view: DataView, from: number, to: number): void {
    const members = this.#members;
    const length = to - from;
    members.texts.ensure(length);
    const at = members.put(view, from, length);
    const isFine = this.isKnownUtf8 || members.isAscii;
    if (!isFine) this.#repair(0);
    members.settle();
    members.add(at, 0, MemberKind.text, at, length, Layer.record);
    if (!isFine) this.#repair(members.count - 1);
    this.#write(members.count - 1);
  }

  /** Ends the request and starts an empty one. */
  finish(): RecordRequest {
    this.#groups.close();
    const { length } = this.#out;
    const request: RecordRequest = {
      bytes: this.#out.take(),
      length,
      items: this.#items,
      replacedTimes: this.#replacedTimes,
      replacedTexts: this.#replacedTexts,
    };
    this.#items = this.#replacedTimes = this.#replacedTexts = 0;
    return request;
  }

  #fail(): -1 {
    this.problem = this.#msgpack.problem;
    return -1;
  }

  #begin(): void {
    const members = this.#members;
    members.clear();
    this.#isReplaced = false;
    const { count, view, length, lengths } = this.given;
    if (count === 0) return;
    members.texts.ensure(length);
    let at = members.put(view, 0, length);
    for (let n = 0; n < 2 * count; n += 2) {
      const nameLength = lengths[n]!;
      const valueLength = lengths[n + 1]!;
      members.add(at, nameLength, MemberKind.text, at + nameLength, valueLength, Layer.given);
      at += nameLength + valueLength;
    }
  }

  /** Whatever the sender's encoding is: what leaves this door is UTF-8. */
  #repair(first: number): void {
    if (this.#members.repair(first)) this.#isReplaced = true;
  }

  /** All members of the record are there. */
  #settle(isKnownUtf8: boolean): void {
    const members = this.#members;
    if (!isKnownUtf8 && !members.isAscii) this.#repair(0);
    members.settle();
    if (this.#readsInner(MESSAGE) || this.#readsInner(LOG)) members.settle();
    this.#write(this.#findBody());
  }

  /** Whether the member of that name is the text of a JSON object: its members are the record's then, and it is gone. */
  #readsInner(name: number): boolean {
    const members = this.#members;
    const index = members.own(name);
    if (index < 0) return false;
    const i = index * MEMBER;
    if (members.table[i + Member.kind] !== MemberKind.text) return false;
    const at = members.table[i + Member.at]!;
    const length = members.table[i + Member.length]!;
    if (length < 2 || !this.#json.readInner(at, length)) return false;
    members.drop(index);
    return true;
  }

  /** Index of the member that is the body, or -1. */
  #findBody(): number {
    const members = this.#members;
    let place = members.seek(NAMES.body, 0);
    for (; place >= 0; place = members.seek(NAMES.body, place + 1)) {
      const index = members.at(place);
      const i = index * MEMBER;
      const isObject =
        members.table[i + Member.kind] === MemberKind.json &&
        members.texts.bytes[members.table[i + Member.at]!] === OPEN_OBJECT;
      if (!isObject) return index;
    }
    return -1;
  }

  #write(body: number): void {
    const members = this.#members;
    const out = this.#out;
    const time = this.isTimeGiven ? TimeKind.none : this.#time.find();
    const bound = members.texts.length + members.count * MEMBER_BYTES + RECORD_BYTES;
    const named = this.#service.length + REPLACED_GROWTH * (this.service?.length ?? 0);
    out.ensure(bound + GROUP_BYTES + members.texts.length + named + this.#resourceBytes);
    this.#openGroup();
    out.byte(ScopeLogs.log_records);
    const record = out.open(bound);
    this.#writeTimes(time);
    this.#level.write();
    if (body >= 0) {
      out.byte(LogRecord.body);
      out.varint(this.#attributes.valueSize(body));
      this.#attributes.value(body);
      members.drop(body);
    }
    this.#ids.write();
    for (let index = 0; index < members.count; index++)
      if (members.table[index * MEMBER + Member.kind] !== MemberKind.none)
        this.#attributes.write(index);
    out.close(record, bound);
    this.#items++;
    if (this.#isReplaced) this.#replacedTexts++;
    this.timeLow = this.timeHigh = 0;
  }

  #openGroup(): void {
    const members = this.#members;
    const { service } = this;
    if (service !== undefined && service.length > 0) {
      this.#openNamed(service);
      return;
    }
    let place = members.seek(NAMES.service, 0);
    for (; place >= 0; place = members.seek(NAMES.service, place + 1)) {
      const i = members.at(place) * MEMBER;
      const length = members.table[i + Member.length]!;
      if (members.table[i + Member.kind] !== MemberKind.text || length === 0) continue;
      this.#groups.open(members.texts.view, members.table[i + Member.at]!, length);
      return;
    }
    this.#groups.open(this.#constants.view, this.#service.at, this.#service.length);
  }

  /** The service that the receiver knows, whose name is looked at as a text of the record. */
  #openNamed({ view, at, length }: TextSpan): void {
    if (this.isKnownUtf8 || isAscii(view, at, at + length)) {
      this.#groups.open(view, at, length);
      return;
    }
    const { texts } = this.#members;
    texts.ensure((1 + REPLACED_GROWTH) * length);
    const raw = this.#members.put(view, at, length);
    const from = texts.length;
    if (!isUtf8(texts.bytes, raw, from)) this.#isReplaced = true;
    texts.length = copyReplaced(texts.bytes, from, texts.bytes, raw, from);
    this.#groups.open(texts.view, from, texts.length - from);
  }

  #writeTimes(time: ImportedTimeKind): void {
    const out = this.#out;
    const arrival = this.#arrival;
    out.byte(LogRecord.time_unix_nano);
    if (time === TimeKind.time) out.fixed64(this.#time.low, this.#time.high);
    else if ((this.timeLow | this.timeHigh) !== 0) out.fixed64(this.timeLow, this.timeHigh);
    else out.fixed64(arrival.advance(), arrival.high);
    if (time === TimeKind.outOfRange) this.#replacedTimes++;
    out.byte(LogRecord.observed_time_unix_nano);
    out.fixed64(arrival.low, arrival.high);
  }
}
