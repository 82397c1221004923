import { hash } from "node:crypto";
import type { Given } from "./given.ts";
import { type LogsJsonMark, readMark } from "./logs-json.ts";
import type { Source } from "./source.ts";

/** Bytes before the position that must still be there when a file is read on. */
export const TAIL_BYTES = 64;

/** Some bytes, or only their hash where they were read by a process before. */
export interface Print {
  readonly length: number;
  readonly hash: string;
  readonly bytes?: Uint8Array;
}

export const NO_PRINT: Print = printOf(new Uint8Array(0));

export function printOf(bytes: Uint8Array): Print {
  const own = Uint8Array.from(bytes);
  return { length: own.length, hash: hashOf(own), bytes: own };
}

/** Whether `bytes` begins with what the print was made of. */
export function isPrintOf(print: Print, bytes: Uint8Array): boolean {
  return print.length <= bytes.length && hashOf(bytes.subarray(0, print.length)) === print.hash;
}

function hashOf(bytes: Uint8Array): string {
  return hash("sha1", bytes, "base64").slice(0, 16);
}

/** How far the content of a file was read. The file may be renamed or copied; its content is known by its first bytes and those before the position. */
export class Followed {
  /** Key of its memo. */
  readonly key: string;
  path: string;
  /** Device, inode and time of birth: systems use inodes again at once. Of files that are written anew as a whole: the path. */
  inode: string;
  head: Print = NO_PRINT;
  tail: Print = NO_PRINT;
  offset = 0;
  /** The position is inside of a long line whose rest is left out. */
  isInside = false;
  /** An archive that was read to its end. */
  isDone = false;
  mark: LogsJsonMark = {};
  /** Whether it is known that no other content that was read is the same. */
  isIdentified = false;
  isArchive = false;
  source: Source | undefined;
  given: Given | undefined;
  /** As it was seen last. */
  size = 0;
  changedMs = 0;
  /** Monotonic: when it was seen to have changed, or was found. */
  grewAtMs = 0;
  /** Of a file that is written anew as a whole: the size at which it was no whole one. */
  stuckAt = -1;
  isQueued = false;
  /** It was seen to have changed since its last turn began, so that turn may not have met all of it. */
  hasChanged = false;
  /** Nobody finds it any more. */
  isGone = false;
  /** Monotonic: when it was seen that the file has another content now. */
  replacedAtMs = Number.NEGATIVE_INFINITY;

  constructor(key: string, path: string, inode: string) {
    this.key = key;
    this.path = path;
    this.inode = inode;
  }

  /** What a later process needs. */
  memo(): string {
    const { path, inode, offset, head, tail, isInside, isDone, mark } = this;
    return JSON.stringify({
      ...{ path, inode, offset },
      head: [head.length, head.hash],
      tail: [tail.length, tail.hash],
      ...(isInside && { isInside }),
      ...(isDone && { isDone }),
      ...(Object.keys(mark).length > 0 && { mark }),
    });
  }
}

/** Undefined when the text is no memo of ours. */
export function readMemo(key: string, text: string): Followed | undefined {
  const value = parsed(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { path, inode, offset, head, tail, isInside, isDone, mark } = value as Record<
    string,
    unknown
  >;
  const [headPrint, tailPrint] = [readPrint(head), readPrint(tail)];
  if (typeof path !== "string" || typeof inode !== "string" || !isCount(offset)) return undefined;
  if (headPrint === undefined || tailPrint === undefined) return undefined;
  const file = new Followed(key, path, inode);
  file.head = headPrint;
  file.tail = tailPrint;
  file.offset = offset;
  file.isInside = isInside === true;
  file.isDone = isDone === true;
  file.mark = readMark(mark);
  return file;
}

function readPrint(value: unknown): Print | undefined {
  if (!Array.isArray(value)) return undefined;
  const [length, text] = value as unknown[];
  return isCount(length) && typeof text === "string" ? { length, hash: text } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
