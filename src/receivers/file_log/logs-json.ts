import { isUtf8 } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { JsonScan } from "../../wire/json-scan.ts";
import { withSlack } from "../../wire/slack.ts";
import { Turn } from "./chunk.ts";
import type { Given } from "./given.ts";

/** The lists of the file, and the levels of their entries. */
const SECTIONS = ["error", "warning", "warn", "info", "debug", "trace"];
/** Where they are in the record of an invocation. */
const INNER = "function_logs";
/** Bytes that are looked at in one turn. */
const STEP_BYTES = 1 << 18;
/** A turn begins no record behind so many bytes of its request. */
const REQUEST_BYTES = 1 << 20;
/** A time is no longer than this. */
const TIME_BYTES = 64;
const QUOTE = 34;
const COMMA = 44;
const OPEN_LIST = 91;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** The bytes of a list that were taken, from its first entry on. When they still begin it, what is behind them is new. */
interface Seen {
  readonly length: number;
  readonly hash: string;
}

/** What was taken of a file so far, by section. */
export type LogsJsonMark = Readonly<Record<string, Seen>>;

interface Entry {
  readonly from: number;
  readonly to: number;
  /** As it is written, "" where there is none. */
  readonly timestamp: string;
}

/** A list of entries, of which those before `at` are taken. */
interface Section {
  readonly level: string;
  readonly from: number;
  /** Of the bracket that closes it. */
  readonly end: number;
  at: number;
  /** Undefined behind the last one. */
  next: Entry | undefined;
  /** Of the bytes up to `hashedTo`. */
  hash: Hash;
  hashedTo: number;
}

/**
 * The file of the Dart Cloud logger, `{"error":[…],"debug":[…],"info":[…]}`, which is written anew as a whole with each flush: entries that were
 * not there before, in the order of their times. It is looked at in steps, and taken in parts; `mark` says after each of them what is taken.
 */
export class LogsJson {
  /** What is wrong with it: it may be half-written. "" when nothing is, after the last step. */
  problem = "";
  /** Records in which bytes that are no UTF-8 were replaced, in the last part. */
  replaced = 0;
  readonly #scan = new JsonScan();
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #length: number;
  readonly #mark: LogsJsonMark;
  readonly #steps: Iterator<void, number>;
  /** Looking goes on in another turn from here on. */
  #pauseAt = STEP_BYTES;
  #sections: Section[] = [];

  /** The memory needs SLACK behind `length`. */
  constructor(bytes: Uint8Array, length: number, mark: LogsJsonMark) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#length = length;
    this.#mark = mark;
    this.#scan.begin(bytes, this.#view, length);
    this.#steps = this.#look();
  }

  /** One more step. False after the last one: then either there is a `problem`, or the entries can be taken. */
  step(): boolean {
    const { done, value } = this.#steps.next();
    if (done !== true) return true;
    const { failedAt, expected } = this.#scan;
    if (value < 0) this.problem = `expected ${expected} at byte ${failedAt + 1}`;
    return false;
  }

  /** Takes what fits into a turn, at most `most` entries, and moves the mark. False when nothing is left. */
  take(door: RecordDoor, given: Given, most: number): boolean {
    const turn = new Turn();
    door.given = given.plain;
    this.replaced = 0;
    for (let taken = 1; ; taken++) {
      const section = this.#earliest();
      if (section?.next === undefined) return false;
      this.#put(section.level, section.next, door);
      section.at = section.next.to;
      section.next = this.#entryBehind(section.at);
      if (taken >= most || door.length > REQUEST_BYTES || turn.isOver()) break;
    }
    return this.#earliest() !== undefined;
  }

  /** Everything counts as taken. */
  skip(): void {
    for (const section of this.#sections) {
      let at = section.end;
      while (at > section.from && (this.#bytes[at - 1] ?? 0) <= 32) at--;
      section.at = Math.max(section.from, at);
      section.next = undefined;
    }
  }

  mark(): LogsJsonMark {
    const marks: Record<string, Seen> = {};
    for (const section of this.#sections) {
      const { level, from, at, hash } = section;
      if (at === from) continue;
      hash.update(this.#bytes.subarray(section.hashedTo, at));
      section.hashedTo = at;
      marks[level] = { length: at - from, hash: digestOf(hash) };
    }
    return marks;
  }

  /** Entries from the present place on are taken again. */
  rewind(mark: LogsJsonMark): void {
    for (const section of this.#sections) {
      section.at = section.from + (mark[section.level]?.length ?? 0);
      section.hash = createHash("sha1").update(this.#bytes.subarray(section.from, section.at));
      section.hashedTo = section.at;
      section.next = this.#entryBehind(section.at);
    }
  }

  /** Checks the grammar of the whole and finds the lists. Returns the end of the file, or -1. */
  *#look(): Generator<void, number> {
    const scan = this.#scan;
    const begin = scan.space(this.#length > 2 && this.#bytes[0] === 0xef ? 3 : 0);
    if (this.#bytes[begin] !== OPEN_OBJECT)
      return scan.fail(begin, 'an object: {"error":[],"debug":[],"info":[]}');
    const end = yield* this.#members(begin, true);
    if (end < 0) return -1;
    const behind = scan.space(end);
    return behind === this.#length ? behind : scan.fail(behind, "the end of the file");
  }

  /** The members of the object at `p`: its lists become the sections. */
  *#members(p: number, isOuter: boolean): Generator<void, number> {
    const scan = this.#scan;
    let hasInner = false;
    if (!isOuter) this.#sections = [];
    p = scan.space(p + 1);
    if (this.#bytes[p] === CLOSE_OBJECT) return p + 1;
    for (;;) {
      const value = scan.nameEnd(p);
      if (value < 0) return -1;
      const c = this.#bytes[value];
      const level = SECTIONS.find((name) => this.#isName(p, name));
      const isInner = isOuter && c === OPEN_OBJECT && this.#isName(p, INNER);
      p = isInner ? yield* this.#members(value, false) : yield* this.#skip(value);
      if (p < 0) return -1;
      hasInner ||= isInner;
      if (!hasInner && c === OPEN_LIST && level !== undefined) yield* this.#found(level, value, p);
      if (p >= this.#pauseAt) {
        yield;
        this.#pauseAt = p + STEP_BYTES;
      }
      p = scan.space(p);
      if (this.#bytes[p] === CLOSE_OBJECT) return p + 1;
      if (this.#bytes[p] !== COMMA) return scan.fail(p, '"," or "}"');
      p = scan.space(p + 1);
    }
  }

  *#skip(p: number): Generator<void, number> {
    const scan = this.#scan;
    scan.openBrackets = 0;
    let end = scan.skipSome(p, p + STEP_BYTES);
    while (end >= 0 && scan.openBrackets > 0) {
      yield;
      end = scan.skipSome(end, end + STEP_BYTES);
    }
    return end;
  }

  /** The list at `list` is that of a level. Of two the last one counts. */
  *#found(level: string, list: number, behind: number): Generator<void, void> {
    const from = this.#scan.space(list + 1);
    const end = behind - 1;
    const seen = this.#mark[level];
    let at = from;
    let hash = createHash("sha1");
    if (seen !== undefined && from + seen.length <= end && this.#isBoundary(from + seen.length)) {
      const to = from + seen.length;
      for (let p = from; p < to; p += STEP_BYTES) {
        hash.update(this.#bytes.subarray(p, Math.min(to, p + STEP_BYTES)));
        yield;
      }
      if (digestOf(hash) === seen.hash) at = to;
      else hash = createHash("sha1");
    }
    this.#sections = this.#sections.filter((other) => other.level !== level);
    this.#sections.push({
      ...{ level, from, end, at, hash },
      ...{ next: this.#entryBehind(at), hashedTo: at },
    });
    this.#sections.sort((a, b) => SECTIONS.indexOf(a.level) - SECTIONS.indexOf(b.level));
  }

  /** Whether an entry can end there, and none goes on. */
  #isBoundary(p: number): boolean {
    const c = this.#bytes[p] ?? 0;
    return c === COMMA || c === OPEN_LIST + 2 || c <= 32;
  }

  /** The entry behind a place between entries of a list. */
  #entryBehind(p: number): Entry | undefined {
    const scan = this.#scan;
    let from = scan.space(p);
    if (this.#bytes[from] === COMMA) from = scan.space(from + 1);
    if (this.#bytes[from] === OPEN_LIST + 2) return undefined;
    return { from, to: scan.skip(from), timestamp: this.#timestamp(from) };
  }

  /** The member `timestamp` of an entry, as it is written. */
  #timestamp(entry: number): string {
    const scan = this.#scan;
    const bytes = this.#bytes;
    if (bytes[entry] !== OPEN_OBJECT) return "";
    let timestamp = "";
    for (let p = scan.space(entry + 1); bytes[p] === QUOTE; ) {
      const value = scan.nameEnd(p);
      const end = scan.skip(value);
      if (this.#isName(p, "timestamp"))
        timestamp = latin1(bytes.subarray(value, Math.min(end, value + TIME_BYTES)));
      p = scan.space(end);
      if (bytes[p] === COMMA) p = scan.space(p + 1);
    }
    return timestamp;
  }

  /** The section whose next entry has the earliest time. */
  #earliest(): Section | undefined {
    let earliest: Section | undefined;
    for (const section of this.#sections) {
      const { next } = section;
      if (next === undefined) continue;
      const before = earliest?.next?.timestamp;
      if (before === undefined || next.timestamp < before) earliest = section;
    }
    return earliest;
  }

  /** An entry as a record that has the level of its list, where it names none itself. */
  #put(level: string, { from, to }: Entry, door: RecordDoor): void {
    const isObject = this.#bytes[from] === OPEN_OBJECT;
    const begin = isObject ? this.#scan.space(from + 1) : from;
    const isEmpty = isObject && this.#bytes[begin] === CLOSE_OBJECT;
    const head = `{"level":"${level}"${isEmpty ? "" : isObject ? "," : ',"message":'}`;
    const entry = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + begin, to - begin);
    const line = Buffer.concat([Buffer.from(head), entry, Buffer.from(isObject ? "" : "}")]);
    const isClean = isUtf8(line);
    if (!isClean) this.replaced++;
    const clean = isClean ? line : Buffer.from(line.toString());
    const bytes = withSlack(clean);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (door.json(bytes, view, 0, clean.length) < 0) door.text(view, 0, clean.length);
  }

  /** Whether the name whose quote is at `p` is this one. */
  #isName(p: number, name: string): boolean {
    const end = p + 1 + name.length;
    return this.#bytes[end] === QUOTE && latin1(this.#bytes.subarray(p + 1, end)) === name;
  }
}

/** The mark in a memo. */
export function readMark(value: unknown): LogsJsonMark {
  if (typeof value !== "object" || value === null) return {};
  const sections = Object.entries(value as Record<string, Partial<Seen> | null>);
  const good = sections.flatMap(([level, seen]) =>
    typeof seen?.length === "number" && seen.length > 0 && typeof seen.hash === "string"
      ? [[level, { length: seen.length, hash: seen.hash }] as const]
      : [],
  );
  return Object.fromEntries(good);
}

function digestOf(hash: Hash): string {
  return hash.copy().digest("base64").slice(0, 16);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
