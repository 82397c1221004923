import { TimeScale } from "../../line/time.ts";
import { NUMBER_MAX, writeDouble } from "../../wire/numbers.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import { MEMBER, Member, MemberKind, type Members, NAMES } from "./members.ts";

/** Numbers below are durations or counts, no times: seconds have nine digits since March 1973. */
const LEAST = 100_000_000;
const LEAST_DIGITS = 9;
const TWO_32 = 4_294_967_296;

/** The time of a record, from the members that are named for it (mapping §5, §1.6). */
export class RecordTime {
  low = 0;
  high = 0;
  readonly #members: Members;
  readonly #text = new TimeText();
  readonly #scale = new TimeScale("auto");

  constructor(members: Members) {
    this.#members = members;
  }

  /** Takes the first member that is a time; it is no attribute then. One that is out of range stays, and no other is looked for. */
  find(): TimeKind {
    const members = this.#members;
    let place = members.seek(NAMES.time, 0);
    for (; place >= 0; place = members.seek(NAMES.time, place + 1)) {
      const index = members.at(place);
      const kind = this.#read(index);
      if (kind === TimeKind.none) continue;
      if (kind === TimeKind.time) members.drop(index);
      return kind;
    }
    return TimeKind.none;
  }

  #read(index: number): TimeKind {
    const { table, numbers } = this.#members;
    const i = index * MEMBER;
    const at = table[i + Member.at]!;
    const length = table[i + Member.length]!;
    switch (table[i + Member.kind]) {
      case MemberKind.integer:
        return this.#integer(at, length);
      case MemberKind.text:
        return this.#ofText(at, length);
      case MemberKind.double: {
        const kind = this.#ofText(at, length);
        return kind === TimeKind.none ? this.#double(numbers[index]!) : kind;
      }
    }
    return TimeKind.none;
  }

  #integer(low: number, high: number): TimeKind {
    if (Math.abs(high * TWO_32 + (low >>> 0)) < LEAST) return TimeKind.none;
    if (!this.#scale.set(low, high)) return TimeKind.outOfRange;
    this.low = this.#scale.low;
    this.high = this.#scale.high;
    return TimeKind.time;
  }

  #ofText(at: number, length: number): TimeKind {
    const text = this.#text;
    const kind = text.read(this.#members.texts.bytes, at, at + length);
    if (text.digits > 0 && text.digits < LEAST_DIGITS) return TimeKind.none;
    this.low = text.low;
    this.high = text.high;
    return kind;
  }

  /** One that is not written as a plain decimal, or of MessagePack. */
  #double(value: number): TimeKind {
    if (!Number.isFinite(value)) return TimeKind.none;
    const { texts } = this.#members;
    texts.ensure(NUMBER_MAX);
    const end = writeDouble(texts.view, texts.length, value);
    return this.#ofText(texts.length, end - texts.length);
  }
}
