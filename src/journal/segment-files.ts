import type { FileIo } from "./file-io.ts";
import {
  decodeSegmentHeader,
  SEGMENT_HEADER,
  type SegmentHeader,
  segmentIdOf,
  segmentSeed,
} from "./layout.ts";
import { FileWindow, findGroup } from "./scan.ts";

/** A segment file worth reading. Without header: that is damaged, but groups behind it are intact. */
export interface Found {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly header?: SegmentHeader;
}

export interface Refused {
  readonly id: number;
  readonly name: string;
  readonly reason: "newer_version" | "foreign" | "segment" | "unreadable";
}

export interface Directory {
  /** As most segments say; undefined when none does. */
  readonly journalId: string | undefined;
  /** Ascending by id. */
  readonly segments: readonly Found[];
  readonly refused: readonly Refused[];
  /** Highest id of any file, set aside or not; 0 when there is none. */
  readonly lastId: number;
}

interface Seen {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly header: SegmentHeader | "newer" | "bad" | "unreadable";
  readonly isBlank: boolean;
}

/** Ending of a copy that is not complete. */
export const COPY_SUFFIX = ".copying";

/** Sorts the directory's files: segments, empty ones and incomplete copies (removed), strangers (set aside), newer versions (left alone). */
export async function inspect(io: FileIo, knownId: string | undefined): Promise<Directory> {
  const names = await io.list();
  for (const name of names) if (name.endsWith(COPY_SUFFIX)) await io.remove(name).catch(() => {});
  let lastId = 0;
  for (const name of names) lastId = Math.max(lastId, idInside(name));
  const seen: Seen[] = [];
  for (const name of names) {
    const id = segmentIdOf(name);
    if (id !== undefined) seen.push(await look(io, name, id));
  }
  seen.sort((a, b) => a.id - b.id);
  const journalId = knownId ?? commonId(seen);
  const segments: Found[] = [];
  const refused: Refused[] = [];
  for (const file of seen) {
    const isLast = file === seen.at(-1);
    const answer = await judge(io, file, journalId, isLast);
    if (answer === undefined) continue;
    if ("reason" in answer) refused.push(answer);
    else segments.push(answer);
  }
  return { journalId, segments, refused, lastId };
}

/** Renames a file out of the way, without overwriting an earlier one. */
export async function setAside(io: FileIo, name: string): Promise<void> {
  const names = new Set(await io.list());
  let to = `${name}.quarantine`;
  for (let copy = 2; names.has(to); copy++) to = `${name}.quarantine.${copy}`;
  await io.rename(name, to).catch(() => {});
}

async function look(io: FileIo, name: string, id: number): Promise<Seen> {
  try {
    const file = await io.open(name, "read");
    try {
      const size = await file.size();
      const bytes = new Uint8Array(SEGMENT_HEADER);
      const got = await file.read(bytes, 0);
      const header = decodeSegmentHeader(bytes.subarray(0, got));
      return { id, name, size, header, isBlank: bytes.every((byte) => byte === 0) };
    } finally {
      await file.close();
    }
  } catch {
    return { id, name, size: 0, header: "unreadable", isBlank: false };
  }
}

async function judge(
  io: FileIo,
  file: Seen,
  journalId: string | undefined,
  isLast: boolean,
): Promise<Found | Refused | undefined> {
  const { id, name, size, header } = file;
  // Left in place: another day the disk may read it.
  if (header === "unreadable") return { id, name, reason: "unreadable" };
  if (size === 0) {
    await io.remove(name).catch(() => {});
    return undefined;
  }
  if (typeof header === "object") {
    if (header.id === id && header.journalId === journalId) return { id, name, size, header };
    await setAside(io, name);
    return { id, name, reason: "foreign" };
  }
  if (journalId !== undefined && (await hasGroups(io, file, journalId))) return { id, name, size };
  if (header === "newer") return { id, name, reason: "newer_version" };
  await setAside(io, name);
  // The first write of the newest segment did not reach the disk: never acknowledged.
  return isLast && file.isBlank ? undefined : { id, name, reason: "segment" };
}

async function hasGroups(
  io: FileIo,
  { id, name, size }: Seen,
  journalId: string,
): Promise<boolean> {
  const file = await io.open(name, "read");
  try {
    const window = new FileWindow(file, size);
    const seed = segmentSeed(journalId, id);
    return (await findGroup(window, seed, SEGMENT_HEADER, size, 0)) < size;
  } finally {
    await file.close().catch(() => {});
  }
}

/** The journal id that most headers carry. */
function commonId(seen: readonly Seen[]): string | undefined {
  const votes = new Map<string, number>();
  for (const { header } of seen)
    if (typeof header === "object")
      votes.set(header.journalId, (votes.get(header.journalId) ?? 0) + 1);
  let best: string | undefined;
  for (const [id, count] of votes) if (count > (votes.get(best ?? "") ?? 0)) best = id;
  return best;
}

function idInside(name: string): number {
  return /^\d{8,10}\.segment/.test(name) ? Number.parseInt(name, 10) : 0;
}
