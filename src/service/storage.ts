import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config as FileStorage } from "../extensions/file_storage/config.ts";
import { IDENTITY_FILE } from "../journal/identity.ts";
import type { Journal } from "../journal/journal.ts";
import { directoryLock } from "../journal/lock.ts";
import { createMemoryIo } from "../journal/memory-io.ts";
import { createJournal } from "../journal/open.ts";
import { openDirectory } from "../journal/real-io.ts";
import { type LetterBox, openDeadLetters } from "../kit/delivery/dead-letters.ts";
import { TypeNotes } from "../kit/delivery/type-notes.ts";
import type { Indexer } from "../otlp/indexer.ts";
import type { Logger } from "../pipeline/telemetry.ts";

/** A started journal and the dead letters beside it. */
export interface Storage {
  /** Id of the file_storage extension, or "memory". */
  readonly id: string;
  readonly journal: Journal;
  /** Undefined in memory. */
  readonly directory?: string;
  readonly deadLetters: LetterBox;
  /** What exporters with a queue here have learned of their destinations' types. */
  readonly types: TypeNotes;
  stop(deadline: AbortSignal): Promise<void>;
}

interface Needs {
  readonly indexer: Indexer;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Memory for frames that were just appended, shared by the readers of one journal. */
  readonly cacheBytes: number;
  /** Told how much memory frames take that are read back from the disk. */
  readonly took: (bytes: number) => void;
}

/** Id of the storage of queues that name none. */
export const MEMORY = "memory";

const GIB = 2 ** 30;
const JOURNAL_BYTES = 8 * GIB;
const FREE_DISK_SHARE = 0.2;
/** What is removed from the dead letters gives its room back soon. */
const LETTERS_FLUSH_MS = 20;
const MEMORY_BYTES = 256 << 20;

/** Whether something was ever written to a queue in this directory. */
export function holdsJournal(directory: string): boolean {
  return existsSync(join(directory, IDENTITY_FILE));
}

/** Opens the directory of a file_storage: the queue's journal, and the dead letters' in a directory below it. */
export async function openStorage(
  id: string,
  options: FileStorage,
  needs: Needs,
): Promise<Storage> {
  const { directory, create_directory: create, fsync } = options;
  if (!fsync)
    needs.log.warn(
      { storage: id, directory },
      "fsync is off: a power cut may lose what was acknowledged",
    );
  await using opened = new AsyncDisposableStack();
  const io = opened.use(await openDirectory(directory, { create }));
  const maxBytes = options.max_bytes ?? (await defaultBytes(directory));
  const common = {
    indexer: needs.indexer,
    log: needs.log,
    nowMs: needs.nowMs,
    took: needs.took,
    fsync,
    segmentBytes: options.segment_bytes,
  };
  const journal = createJournal({
    ...common,
    io,
    lock: directoryLock(directory),
    maxBytes,
    retainMs: options.retain,
    cacheBytes: needs.cacheBytes,
  });
  await journal.start();
  opened.defer(() => journal.stop(AbortSignal.abort()));
  const { dead_letters: budget } = options;
  const aside = join(directory, "dead-letters");
  const lettersIo = opened.use(await openDirectory(aside, { create: true }));
  const letters = createJournal({
    ...common,
    io: lettersIo,
    lock: directoryLock(aside),
    maxBytes: budget.max_bytes,
    cacheBytes: 0,
    flushMs: LETTERS_FLUSH_MS,
  });
  await letters.start();
  opened.defer(() => letters.stop(AbortSignal.abort()));
  const deadLetters = openDeadLetters(letters, {
    maxBytes: budget.max_bytes,
    onFull: budget.on_full,
    onDropped: sayDropped(id, needs.log),
  });
  const notes = opened.use(await openDirectory(join(directory, "types"), { create: true }));
  const types = await TypeNotes.open(notes, needs.log);
  const closing = opened.move();
  return {
    id,
    journal,
    directory,
    deadLetters,
    types,
    async stop(deadline) {
      await types.stop();
      await journal.stop(deadline);
      await letters.stop(deadline);
      await closing.disposeAsync();
    },
  };
}

/** Queues without storage: the same journal over memory, gone with the process. */
export async function openMemory(needs: Needs): Promise<Storage> {
  const make = (maxBytes: number) =>
    createJournal({
      io: createMemoryIo(),
      indexer: needs.indexer,
      log: needs.log,
      nowMs: needs.nowMs,
      fsync: false,
      isVolatile: true,
      segmentBytes: 1 << 20,
      flushMs: 5, // what is settled gives its memory back soon
      maxBytes,
      cacheBytes: needs.cacheBytes,
    });
  const journal = make(MEMORY_BYTES);
  const letters = make(MEMORY_BYTES >> 3);
  await journal.start();
  await letters.start();
  return {
    id: MEMORY,
    journal,
    deadLetters: openDeadLetters(letters, {
      maxBytes: MEMORY_BYTES >> 3,
      onFull: "drop_oldest",
      onDropped: sayDropped(MEMORY, needs.log),
    }),
    types: await TypeNotes.open(undefined, needs.log),
    async stop(deadline) {
      await journal.stop(deadline);
      await letters.stop(deadline);
    },
  };
}

function sayDropped(storage: string, log: Logger): (items: number) => void {
  return (items) =>
    log.error(
      { storage, items },
      "the budget of the dead letters is full: the oldest are lost; replay or drop them earlier, or raise dead_letters.max_bytes",
    );
}

/** 8 GiB or 20 % of the free disk, whichever is less (DESIGN §7). */
async function defaultBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return Math.min(JOURNAL_BYTES, Math.floor(bavail * bsize * FREE_DISK_SHARE));
}
