import type { RecordDoor } from "../../series/records/record-door.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import { type Chunk, type Parter, type Taken, Turn } from "./chunk.ts";
import type { Config } from "./config.ts";
import type { Given } from "./given.ts";
import { Scratch } from "./scratch.ts";
import { Texts } from "./texts.ts";

const NEWLINE = 10;
const SPACE = 32;
const QUOTE = 34;
const COLON = 58;
const LETTER_P = 80;
const BACKSLASH = 92;
const LETTER_N = 110;
const OPEN_OBJECT = 123;
const DOCKER_BEGIN = Buffer.from('{"log":"');
const STDERR = Buffer.from('"stream":"stderr"');

const Kind = { plain: 0, docker: 1, cri: 2 } as const;

/** What the head of a line says. */
interface Head {
  readonly kind: (typeof Kind)[keyof typeof Kind];
  readonly isError: boolean;
  /** More of the same record comes with a later line of the same stream. */
  readonly isPartial: boolean;
  /** Of the text in it: in Docker's lines as it is escaped there. */
  readonly from: number;
  readonly to: number;
}

/** What is there of a record whose next part is awaited. */
interface Waiting {
  readonly kind: Head["kind"];
  /** Bytes in the scratch. */
  readonly length: number;
}
const NOTHING: Waiting = { kind: Kind.plain, length: 0 };
/** What a record of each kind begins with in the scratch. */
const HEAD_BYTES = { [Kind.plain]: 0, [Kind.docker]: DOCKER_BEGIN.length, [Kind.cri]: 0 } as const;

/** A record that comes in parts, by its stream. */
class Parts {
  readonly scratch = new Scratch();
  isOpen = false;
  /** By which runtime's rules. */
  kind: Head["kind"] = Kind.plain;
  timeLow = 0;
  timeHigh = 0;
}

/**
 * The files of container runtimes: Docker's `{"log":…,"stream":…,"time":…}` and CRI's `time stream P|F text`, told by line. Records that the
 * runtime parted are put together again; each stream has its own. Other lines are taken as they are.
 */
export class Container implements Parter {
  readonly #most: number;
  readonly #texts: Texts;
  readonly #time = new TimeText();
  readonly #parts = [new Parts(), new Parts()] as const;

  constructor(config: Config) {
    this.#most = config.max_log_size;
    this.#texts = new Texts(config);
  }

  part(chunk: Chunk, door: RecordDoor, given: Given): Taken {
    const { bytes, from, to } = chunk;
    const turn = new Turn();
    this.#texts.begin(chunk);
    for (const parts of this.#parts) parts.isOpen = false;
    const safe = this.#safe(chunk);
    const isForced = safe === from && chunk.isFull;
    const limit = chunk.isEnd || isForced ? to : safe;
    let p = from;
    let used = from;
    while (p < limit) {
      const at = bytes.indexOf(NEWLINE, p);
      const end = at < 0 || at >= limit ? limit : at;
      this.#line(chunk, p, end, door, given);
      p = Math.min(limit, end + 1);
      const isOver = turn.isOver();
      if (this.#parts.some(({ isOpen }) => isOpen)) continue;
      used = p;
      if (isOver) break;
    }
    if (p >= limit && limit > used) {
      // What is left waits for parts that will not come.
      for (const parts of this.#parts) if (parts.isOpen) this.#close(parts, door, given);
      used = limit;
    }
    return { used, isInside: false, skipped: 0, replaced: this.#texts.replaced };
  }

  /** Position behind the last line up to which no record waits for a part. */
  #safe({ bytes, from, to }: Chunk): number {
    let safe = from;
    const open: Waiting[] = [NOTHING, NOTHING];
    for (let p = from; p < to; ) {
      const at = bytes.indexOf(NEWLINE, p);
      if (at < 0 || at >= to) break;
      const { kind, isPartial, isError, to: end, from: begin } = this.#head(bytes, p, at);
      p = at + 1;
      // A line of nobody's ends no record.
      if (kind !== Kind.plain) {
        const stream = isError ? 1 : 0;
        const before = open[stream]?.kind === kind ? open[stream].length : HEAD_BYTES[kind];
        const length = before + end - begin;
        open[stream] = isPartial && length < this.#most ? { kind, length } : NOTHING;
      }
      if (open.every((one) => one === NOTHING)) safe = p;
    }
    return safe;
  }

  #line(chunk: Chunk, from: number, to: number, door: RecordDoor, given: Given): void {
    const { bytes } = chunk;
    const head = this.#head(bytes, from, to);
    const attributes = head.isError ? given.stderr : given.stdout;
    if (head.kind === Kind.plain) {
      door.given = given.plain;
      this.#texts.take(chunk, from, to, door);
      return;
    }
    const parts = this.#parts[head.isError ? 1 : 0];
    const isCri = head.kind === Kind.cri;
    if (parts.isOpen && parts.kind !== head.kind) this.#close(parts, door, given);
    if (isCri && !parts.isOpen) this.#readTime(bytes, from, parts);
    if (isCri && !parts.isOpen && !head.isPartial) {
      door.given = attributes;
      door.timeLow = parts.timeLow;
      door.timeHigh = parts.timeHigh;
      this.#texts.take(chunk, head.from, head.to, door);
      door.timeLow = door.timeHigh = 0;
      return;
    }
    const { scratch } = parts;
    if (!parts.isOpen) {
      scratch.length = 0;
      if (!isCri) scratch.put(DOCKER_BEGIN);
    }
    parts.isOpen = true;
    parts.kind = head.kind;
    scratch.put(bytes.subarray(head.from, head.to));
    const isLong = scratch.length >= this.#most;
    if (head.isPartial && !isLong) return;
    if (isCri) {
      this.#close(parts, door, given);
      return;
    }
    parts.isOpen = false;
    // What stands behind the text, without the escaped newline at its end.
    const behind = head.to + (head.isPartial ? 0 : 2);
    scratch.put(bytes.subarray(behind, to));
    door.given = given.plain;
    this.#put(scratch, door);
  }

  /** Takes what is there of a record. */
  #close(parts: Parts, door: RecordDoor, given: Given): void {
    const { scratch, timeLow, timeHigh } = parts;
    parts.isOpen = false;
    door.given = parts === this.#parts[1] ? given.stderr : given.stdout;
    door.timeLow = timeLow;
    door.timeHigh = timeHigh;
    if (parts.kind === Kind.docker) scratch.put(Buffer.from('"}'));
    this.#put(scratch, door);
    door.timeLow = door.timeHigh = 0;
  }

  #put({ bytes, view, length }: Scratch, door: RecordDoor): void {
    this.#texts.joined(bytes, view, length, door);
  }

  #readTime(bytes: Uint8Array, from: number, parts: Parts): void {
    const end = bytes.indexOf(SPACE, from);
    const isTime = this.#time.read(bytes, from, end) === TimeKind.time;
    parts.timeLow = isTime ? this.#time.low : 0;
    parts.timeHigh = isTime ? this.#time.high : 0;
  }

  #head(bytes: Uint8Array, from: number, to: number): Head {
    if (bytes[from] === OPEN_OBJECT) return dockerHead(bytes, from, to);
    const stream = bytes.indexOf(SPACE, from) + 1;
    const tag = stream > 0 ? bytes.indexOf(SPACE, stream) + 1 : 0;
    // stdout, stderr: the stream is the word before the tag.
    if (tag === 0 || tag >= to || tag - stream !== 7) return plainHead(from, to);
    const isError = bytes[stream + 3] === 101;
    const isOut = bytes[stream + 3] === 111;
    const space = bytes.indexOf(SPACE, tag);
    const tagEnd = space < 0 || space > to ? to : space;
    const isTag = tagEnd === tag + 1 || bytes[tag + 1] === COLON;
    if ((!isError && !isOut) || !isTag) return plainHead(from, to);
    const isPartial = bytes[tag] === LETTER_P;
    return { kind: Kind.cri, isError, isPartial, from: Math.min(to, tagEnd + 1), to };
  }
}

function plainHead(from: number, to: number): Head {
  return { kind: Kind.plain, isError: false, isPartial: false, from, to };
}

/** A line of Docker's json-file driver: the text comes first, and ends with a newline where the record does. */
function dockerHead(bytes: Uint8Array, from: number, to: number): Head {
  if (!startsWith(bytes, from, DOCKER_BEGIN)) return plainHead(from, to);
  const begin = from + DOCKER_BEGIN.length;
  let end = bytes.indexOf(QUOTE, begin);
  while (end >= 0 && end < to && isEscaped(bytes, begin, end)) end = bytes.indexOf(QUOTE, end + 1);
  if (end < 0 || end >= to) return plainHead(from, to);
  const isError = Buffer.from(bytes.buffer, bytes.byteOffset + end, to - end).includes(STDERR);
  const hasNewline =
    end - begin >= 2 && bytes[end - 1] === LETTER_N && isEscaped(bytes, begin, end - 1);
  const textTo = hasNewline ? end - 2 : end;
  return { kind: Kind.docker, isError, isPartial: !hasNewline, from: begin, to: textTo };
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(bytes: Uint8Array, from: number, at: number): boolean {
  let p = at;
  while (p > from && bytes[p - 1] === BACKSLASH) p--;
  return ((at - p) & 1) === 1;
}

function startsWith(bytes: Uint8Array, from: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return false;
  return true;
}
