import { JsonNumbers } from "../../wire/json-numbers.ts";
import { JsonScan } from "../../wire/json-scan.ts";
import { SLACK } from "../../wire/slack.ts";
import {
  Layer as ImportedLayer,
  MemberKind as ImportedMemberKind,
  MEMBERS_MAX as ImportedMembersMax,
  type Members,
} from "./members.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Layer = ImportedLayer;
const MemberKind = ImportedMemberKind;
const MEMBERS_MAX = ImportedMembersMax;

/** Objects whose name is longer, or that have more members, are not flattened: else a small body could become a large request. */
export const PREFIX_MAX = 64;
export const FLATTENED_MAX = 128;

/** More members than may be. */
const OVER = -2;
/** Up to here room is made for all that stands behind the beginning of a record. */
const ROOM = 1 << 16;

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LETTER_E = 0x65;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;

/** JSON objects → members: objects in them flattened by one level, what is below and lists as JSON text (mapping §5). */
export class JsonMembers {
  readonly #scan = new JsonScan();
  readonly #numbers = new JsonNumbers(this.#scan);
  readonly #members: Members;
  #layer: number = Layer.record;
  /** End of the object that is being read. */
  #end = 0;
  // Name of the object that is being flattened; its length is -1 at the top.
  #prefixAt = 0;
  #prefixLength = -1;
  /** Count of members at which reading ends. */
  #most = MEMBERS_MAX;

  constructor(members: Members) {
    this.#members = members;
  }

  /** What was wrong, after -1: a place, counted from `from`, and what should be there. */
  problem(from: number): string {
    const { failedAt, expected } = this.#scan;
    return `expected ${expected} at byte ${failedAt - from + 1}`;
  }

  /**
   * Adds the members of the object at the first position of `bytes[from, to)` that is no white space. Returns the position behind it, or
   * -1 when there is none that can be taken. The memory needs SLACK behind `to`.
   */
  read(bytes: Uint8Array, view: DataView, from: number, to: number, most: number): number {
    const scan = this.#scan;
    scan.begin(bytes, view, to);
    const end = this.#record(scan.space(from), to, most);
    scan.release();
    return end;
  }

  #record(p: number, to: number, most: number): number {
    const scan = this.#scan;
    if (scan.bytes[p] !== OPEN_OBJECT) return scan.fail(p, 'an object: {"message":"…"}');
    // Room for all that there is, where that is little; else the end of the object is looked for first.
    const until = to - p > ROOM ? scan.skip(p) : to;
    if (until < 0) return -1;
    if (to - p > ROOM && until - p > most) return scan.fail(p, `a record of at most ${most} bytes`);
    this.#members.texts.ensure(until - p + SLACK);
    this.#layer = Layer.record;
    this.#end = until;
    const end = this.#object(p);
    return end === OVER ? scan.fail(p, `at most ${MEMBERS_MAX} members`) : end;
  }

  /**
   * Reads the text at `at` in the members' own memory: when it is an object and nothing else, its members are added, as of the inner layer.
   */
  readInner(at: number, length: number): boolean {
    const { texts } = this.#members;
    if (!mayBeObject(texts.bytes, at, at + length)) return false;
    texts.ensure(2 * (length + SLACK));
    // A copy, because the scan needs free memory behind the text.
    const from = this.#members.put(texts.view, at, length);
    texts.length += SLACK;
    const scan = this.#scan;
    scan.begin(texts.bytes, texts.view, from + length);
    const { count } = this.#members;
    this.#layer = Layer.inner;
    this.#end = from + length;
    const end = this.#object(scan.space(from));
    const isRead = end >= 0 && scan.space(end) === from + length && this.#members.count > count;
    if (!isRead) this.#members.count = count;
    scan.release();
    return isRead;
  }

  #isEmpty(p: number): boolean {
    return this.#scan.bytes[this.#scan.space(p + 1)] === CLOSE_OBJECT;
  }

  /** The members of the object at `p`. Returns its end, -1 where it is no JSON, or OVER when there are more than may be. */
  #object(p: number): number {
    const scan = this.#scan;
    p = scan.space(p + 1);
    if (scan.bytes[p] === CLOSE_OBJECT) return p + 1;
    for (;;) {
      if (scan.bytes[p] !== QUOTE) return scan.fail(p, "a name in quotes");
      const nameAt = this.#prefix(p);
      const { texts } = this.#members;
      const behind = scan.text(p + 1, texts.view, texts.length);
      if (behind < 0) return -1;
      texts.length = scan.written;
      p = scan.colon(behind);
      if (p >= 0) p = this.#value(p, nameAt, texts.length - nameAt);
      if (p < 0) return p;
      p = scan.space(p);
      if (scan.bytes[p] === CLOSE_OBJECT) return p + 1;
      if (scan.bytes[p] !== COMMA) return scan.fail(p, '"," or "}"');
      if (this.#members.count >= this.#most) return OVER;
      p = scan.space(p + 1);
    }
  }

  /** Begins a name: with that of the object around and a dot, inside one. */
  #prefix(p: number): number {
    const { texts } = this.#members;
    const at = texts.length;
    if (this.#prefixLength < 0) return at;
    texts.ensure(this.#prefixLength + this.#end - p + 2 * SLACK);
    texts.copy(texts.view, this.#prefixAt, this.#prefixLength);
    texts.byte(DOT);
    return at;
  }

  #value(p: number, nameAt: number, nameLength: number): number {
    const scan = this.#scan;
    const c = scan.bytes[p]!;
    if (c === QUOTE) {
      const { texts } = this.#members;
      const at = texts.length;
      const end = scan.text(p + 1, texts.view, at);
      if (end < 0) return -1;
      texts.length = scan.written;
      this.#add(nameAt, nameLength, MemberKind.text, at, scan.written - at);
      return end;
    }
    if (c === MINUS || (c >= ZERO && c <= NINE)) return this.#number(p, nameAt, nameLength);
    if (c === OPEN_OBJECT) return this.#flattened(p, nameAt, nameLength);
    if (c === OPEN_LIST) return this.#asText(MemberKind.json, p, scan.skip(p), nameAt, nameLength);
    const kind = c === LETTER_N ? MemberKind.none : MemberKind.boolean;
    this.#add(nameAt, nameLength, kind, c === LETTER_T ? 1 : 0, 0);
    return scan.literalEnd(p);
  }

  /** An object at the top becomes members of its own; one below, and one that is empty, has an endless name or too many members, a text. */
  #flattened(p: number, nameAt: number, nameLength: number): number {
    const members = this.#members;
    const { count } = members;
    const { length } = members.texts;
    if (this.#prefixLength < 0 && nameLength <= PREFIX_MAX && !this.#isEmpty(p)) {
      this.#prefixAt = nameAt;
      this.#prefixLength = nameLength;
      this.#most = Math.min(count + FLATTENED_MAX, MEMBERS_MAX);
      const end = this.#object(p);
      this.#most = MEMBERS_MAX;
      this.#prefixLength = -1;
      if (end !== OVER) return end;
      members.count = count;
      members.texts.length = length;
    }
    return this.#asText(MemberKind.json, p, this.#scan.skip(p), nameAt, nameLength);
  }

  /** The bytes of [p, end) as they are; `end` is -1 where they are no JSON. */
  #asText(
    kind: ImportedMemberKind,
    p: number,
    end: number,
    nameAt: number,
    nameLength: number,
  ): number {
    if (end < 0) return -1;
    const at = this.#members.put(this.#scan.view, p, end - p);
    this.#add(nameAt, nameLength, kind, at, end - p);
    return end;
  }

  /** Whole numbers without point and exponent are integers; beyond 64 bits their digits become a text, so that none is lost. */
  #number(p: number, nameAt: number, nameLength: number): number {
    const { bytes } = this.#scan;
    const numbers = this.#numbers;
    let q = bytes[p] === MINUS ? p + 1 : p;
    while (bytes[q]! >= ZERO && bytes[q]! <= NINE) q++;
    if (bytes[q] === DOT || (bytes[q]! | 0x20) === LETTER_E) {
      // A number with a thousand digits is not read, and stays the text that it is.
      const isRead = numbers.float(p) >= 0;
      const kind = isRead ? MemberKind.double : MemberKind.text;
      const end = this.#asText(kind, p, this.#scan.numberEnd(p), nameAt, nameLength);
      if (isRead && end >= 0) this.#members.setDouble(numbers.double[0]!);
      return end;
    }
    const end = numbers.integer(p);
    if (end < 0) return -1;
    const { low, high, isNegative, isOver } = numbers;
    const isLowest = isNegative && high === -0x80000000 && low === 0;
    if (isOver || (high < 0 && !isLowest))
      return this.#asText(MemberKind.text, p, end, nameAt, nameLength);
    const isNegated = isNegative && !isLowest;
    this.#add(
      nameAt,
      nameLength,
      MemberKind.integer,
      isNegated ? -low | 0 : low,
      isNegated ? (low === 0 ? -high : ~high) : high,
    );
    return end;
  }

  #add(
    nameAt: number,
    nameLength: number,
    kind: ImportedMemberKind,
    low: number,
    high: number,
  ): void {
    this.#members.add(nameAt, nameLength, kind, low, high, this.#layer);
  }
}

/** Whether the first byte of [at, end) that is no white space opens an object. */
function mayBeObject(bytes: Uint8Array, at: number, end: number): boolean {
  let p = at;
  while (p < end && (bytes[p] === 0x20 || (bytes[p]! >= 0x09 && bytes[p]! <= 0x0d))) p++;
  return p < end && bytes[p] === OPEN_OBJECT;
}
