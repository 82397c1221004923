import type { DiskFile, FileIo } from "../../journal/file-io.ts";
import { getOrMake } from "../../lib/get-or-make.ts";
import type { Logger } from "../../pipeline/telemetry.ts";
import { FIELD_TYPES, type FieldEntry, TypeRegistry } from "../../series/type-registry.ts";
import { errorText } from "../error-text.ts";

const FILE = "types.jsonl";
const NEXT = "types.jsonl.new";
/** How long new types may be in memory only. A crash loses them: then the destination names them again. */
const WRITE_AFTER_MS = 200;
/** A larger file is not of our making: registries are bounded. */
const READ_MAX = 256 << 20;
/** Lines that say nothing new: with more of them, the file is written anew at the start. */
const STALE_MAX = 1_000;

interface Note extends FieldEntry {
  /** Exporter and database. */
  readonly of: string;
}

/**
 * Type registries that outlive the process: a file of JSON lines beside the queue, one for each type that was learned, the last one of
 * a field holds. Without a directory they are as short-lived as the queue.
 */
export class TypeNotes {
  readonly #registries = new Map<string, TypeRegistry>();
  readonly #file: DiskFile | undefined;
  readonly #log: Logger;
  #at: number;
  #pending = "";
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isBroken = false;

  private constructor(file: DiskFile | undefined, at: number, log: Logger) {
    this.#file = file;
    this.#at = at;
    this.#log = log;
  }

  /** Reads what is there. What cannot be read is left out and said; it never stops the start. */
  static async open(io: FileIo | undefined, log: Logger): Promise<TypeNotes> {
    if (io === undefined) return new TypeNotes(undefined, 0, log);
    const { notes, lines, bad } = await readNotes(io, log);
    if (bad > 0)
      log.warn({ file: FILE, lines: bad }, "types of fields that cannot be read are forgotten");
    if (bad > 0 || lines - notes.size > STALE_MAX) await rewrite(io, notes.values());
    const file = await io.open(FILE, "append");
    const own = new TypeNotes(file, await file.size(), log);
    for (const note of notes.values()) own.registry(note.of).recall(note);
    return own;
  }

  /** The registry of an exporter's database, the same for all who ask. */
  registry(of: string): TypeRegistry {
    return getOrMake(this.#registries, of, () => {
      return new TypeRegistry((entry) => this.#note({ of, ...entry }));
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#write();
    await this.#writing;
    if (!this.#isBroken) await this.#file?.datasync().catch((error: unknown) => this.#fail(error));
    await this.#file?.close();
  }

  #note(note: Note): void {
    if (this.#file === undefined || this.#isBroken) return;
    this.#pending += lineOf(note);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_AFTER_MS).unref();
  }

  #write(): void {
    this.#timer = undefined;
    const file = this.#file;
    if (file === undefined || this.#pending === "") return;
    const bytes = new TextEncoder().encode(this.#pending);
    this.#pending = "";
    const at = this.#at;
    this.#at += bytes.length;
    this.#writing = this.#writing
      .then(() => file.write([bytes], at))
      .catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (!this.#isBroken)
      this.#log.warn(
        { file: FILE, why: errorText(error) },
        "types of fields cannot be kept for the next start: they are learned again then",
      );
    this.#isBroken = true;
  }
}

function lineOf({ of, table, field, type, adopted }: Note): string {
  return `${JSON.stringify({ of, table, field, type, adopted })}\n`;
}

interface Found {
  /** By registry, table and field. */
  readonly notes: ReadonlyMap<string, Note>;
  readonly lines: number;
  /** Lines that are no note. */
  readonly bad: number;
}

async function readNotes(io: FileIo, log: Logger): Promise<Found> {
  const notes = new Map<string, Note>();
  let lines = 0;
  let bad = 0;
  for (const line of (await readText(io, log)).split("\n")) {
    if (line === "") continue;
    lines++;
    const note = noteOf(line);
    if (note === undefined) bad++;
    else notes.set(JSON.stringify([note.of, note.table, note.field]), note);
  }
  return { notes, lines, bad };
}

async function readText(io: FileIo, log: Logger): Promise<string> {
  if (!(await io.list()).includes(FILE)) return "";
  const file = await io.open(FILE, "read");
  try {
    const bytes = new Uint8Array(Math.min(await file.size(), READ_MAX));
    return new TextDecoder().decode(bytes.subarray(0, await file.read(bytes, 0)));
  } catch (error) {
    log.warn({ file: FILE, why: errorText(error) }, "types of fields cannot be read");
    return "";
  } finally {
    await file.close();
  }
}

function noteOf(line: string): Note | undefined {
  try {
    const { of, table, field, type, adopted } = JSON.parse(line) as Record<keyof Note, unknown>;
    const known = FIELD_TYPES.find((word) => word === type);
    const isNote =
      typeof of === "string" &&
      typeof table === "string" &&
      typeof field === "string" &&
      typeof adopted === "boolean";
    return isNote && known !== undefined ? { of, table, field, type: known, adopted } : undefined;
  } catch {
    return undefined;
  }
}

/** All of it in a new file, which then takes the place of the old one. */
async function rewrite(io: FileIo, notes: Iterable<Note>): Promise<void> {
  if ((await io.list()).includes(NEXT)) await io.remove(NEXT);
  const file = await io.open(NEXT, "append");
  try {
    const text = [...notes].map(lineOf).join("");
    await file.write([new TextEncoder().encode(text)], 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await io.rename(NEXT, FILE);
  await io.syncDirectory();
}
