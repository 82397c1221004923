import { crc32 } from "node:zlib";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import type { DiskFile, FileIo } from "./file-io.ts";

/** Who the journal is and what its route numbers mean. Also in every segment; the file is what survives the last segment. */
export interface Identity {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly routes: readonly NamedRoute[];
  /** Lowest seq that was not given out when this was written. */
  readonly nextSeq: number;
  /** Lowest segment id that was not given out. */
  readonly nextSegment: number;
  /** Written by a clean stop: the last segment and its length. Where they still fit, nothing was lost since. */
  readonly closed?: readonly [segment: number, length: number];
}

export interface NamedRoute {
  readonly number: number;
  readonly name: string;
  readonly signal: Signal;
}

export const IDENTITY_FILE = "journal.json";
const TEMPORARY = "journal.json.tmp";
const LONGEST = 1 << 20;

/** Undefined when the file is missing; "bad" when it is there and cannot be believed. */
export async function readIdentity(io: FileIo): Promise<Identity | "bad" | undefined> {
  if (!(await io.list()).includes(IDENTITY_FILE)) return undefined;
  let file: DiskFile | undefined;
  try {
    file = await io.open(IDENTITY_FILE, "read");
    const size = await file.size();
    if (size > LONGEST) return "bad";
    const bytes = new Uint8Array(size);
    const length = await file.read(bytes, 0);
    return parse(new TextDecoder().decode(bytes.subarray(0, length))) ?? "bad";
  } catch {
    return "bad";
  } finally {
    await file?.close().catch(() => {});
  }
}

/** Replaces the file as a whole: a crash leaves the old one or the new one. */
export async function writeIdentity(io: FileIo, identity: Identity, fsync: boolean): Promise<void> {
  if ((await io.list()).includes(TEMPORARY)) await io.remove(TEMPORARY);
  const file = await io.open(TEMPORARY, "append");
  try {
    const text = JSON.stringify(identity);
    await file.write([new TextEncoder().encode(`${text}\n${crc32(text)}\n`)], 0);
    if (fsync) await file.datasync();
  } finally {
    await file.close();
  }
  await io.rename(TEMPORARY, IDENTITY_FILE);
  if (fsync) await io.syncDirectory();
}

function parse(text: string): Identity | undefined {
  const [json = "", sum = ""] = text.split("\n");
  if (String(crc32(json)) !== sum) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return isIdentity(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== "object" || value === null) return false;
  if (!("id" in value && "routes" in value && "nextSeq" in value && "nextSegment" in value))
    return false;
  if (typeof value.id !== "string" || !/^[0-9a-f]{32}$/.test(value.id)) return false;
  if (!Number.isSafeInteger(value.nextSeq) || !Number.isSafeInteger(value.nextSegment))
    return false;
  if ("closed" in value && !(Array.isArray(value.closed) && value.closed.every(Number.isInteger)))
    return false;
  return Array.isArray(value.routes) && value.routes.every(isNamedRoute);
}

function isNamedRoute(value: unknown): value is NamedRoute {
  if (typeof value !== "object" || value === null) return false;
  if (!("number" in value && "name" in value && "signal" in value)) return false;
  return (
    Number.isInteger(value.number) &&
    typeof value.name === "string" &&
    SIGNALS.some((signal) => signal === value.signal)
  );
}
