import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Journal, Reader, Removal, Routes, Tally } from "../../journal/journal.ts";
import { routesOf, UNLIMITED, unionRoutes } from "../../journal/routes.ts";
import type { Batch } from "../../otlp/batch.ts";
import type { Seq, Stored } from "../../otlp/range.ts";
import { isRefusal, PipelineError } from "../../otlp/status.ts";
import { SIGNALS, type Signal } from "../../otlp/tape.ts";

/** An item that its destination will never take, and why. */
export interface DeadLetter {
  /** Id of the journal that `seq` belongs to. */
  readonly journal: string;
  /** `<exporter id>/<signal>`. */
  readonly route: string;
  readonly seq: number;
  /** Number of the item within its frame. */
  readonly item: number;
  /** One item. */
  readonly batch: Batch;
  /** One word: rejected, row_rejected, too_large, does_not_fit, poison, writer_failed. */
  readonly reason: string;
  /** What the destination said, cut to a readable length. */
  readonly answer: string;
  /** When it became one. */
  readonly atMs: number;
  /** When the item was received. */
  readonly arrivalMs: number;
}

/** Where items go that no destination takes. */
export interface DeadLetters {
  /** Durable when it resolves. A letter that is there already (same journal, route, seq, item) is ignored. */
  add(letter: DeadLetter): Promise<void>;
}

/** The `note` of a dead letter's frame, as JSON. */
export interface DeadLetterNote {
  readonly journal: string;
  readonly route: string;
  readonly seq: number;
  readonly item: number;
  readonly reason: string;
  readonly answer: string;
  readonly atMs: number;
  readonly arrivalMs: number;
}

/** A letter that is kept. */
export interface KeptLetter {
  /** 16 hexadecimal digits, the same for as long as the letter is kept. */
  readonly id: string;
  /** Where it stands in the dead letters' journal; another one after a compaction. */
  readonly place: Seq;
  readonly note: DeadLetterNote;
  readonly batch: Batch;
}

/** Totals of the letters of one signal, in items. All but `kept` only grow, also across restarts. */
export interface LetterCounts {
  readonly kept: number;
  readonly replayed: number;
  /** By the operator, or because the budget was full. */
  readonly dropped: Readonly<Record<"operator" | "budget", number>>;
}

/** Dead letters as those see them who look after them. */
export interface LetterBox extends DeadLetters {
  /** On disk, with what is removed but not given back yet. */
  readonly bytes: number;
  readonly maxBytes: number;
  counts(signal: Signal): LetterCounts;
  /** Letters that are there when it is called, from `from` on, oldest first. */
  kept(from?: Seq): AsyncIterable<KeptLetter>;
  /** Durable when it resolves. Only within `exclusive`, with letters that are kept. */
  remove(letters: readonly KeptLetter[], as: "replayed" | "operator"): Promise<void>;
  /** Runs `work` while nobody else removes letters; then gives room back where much was removed. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
}

/** What happens to a new letter when there is no room: the oldest go, or it waits, and its route with it. */
export type WhenFull = "drop_oldest" | "refuse";

export interface LetterBudget {
  /** Of the letters' journal. */
  readonly maxBytes: number;
  readonly onFull: WhenFull;
  /** Told about each loss. */
  readonly onDropped?: (items: number) => void;
}

/** Keys remembered: repeats come only from ranges that were in flight at a crash, so from the newest letters. */
const REMEMBERED = 65_536;
const NO_BUDGET: LetterBudget = { maxBytes: Number.POSITIVE_INFINITY, onFull: "refuse" };
/** Bytes of a letter on disk beside its item, roughly: headers and note. */
const BESIDE = 400;
/** Bytes copied in one group when room is given back. */
const COPY_BYTES = 1 << 20;
/** Garbage below which letters are not copied, also a part of the budget: segments of this journal are about as large. */
const GARBAGE_BYTES = 16 << 20;
const GARBAGE_SHARE = 1 / 4;
/** Part of the budget that is emptied at once: two of the journal's segments, so that at least one goes. */
const EMPTIED = 1 / 4;
const MAKE_ROOM =
  "; weir dead-letter replay or drop makes room, dead_letters.max_bytes of the storage allows more";
/** How often and how long to wait for the journal to give removed segments back, and after how many tries to remove more. */
const FREE_TRIES = 100;
const FREE_MS = 20;
const TRIES_PER_DROP = 20;

/** Name of the dead letters' route of a signal in their journal. */
export function deadLetterRoute(signal: Signal): string {
  return `dead_letters/${signal}`;
}

/** Reads a frame's note; undefined when it is not a dead letter's. */
export function readDeadLetterNote(note: Uint8Array): DeadLetterNote | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(note));
    return isNote(value) ? { arrivalMs: value.atMs, ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Notes of the first versions do not say when the item was received. */
function isNote(value: unknown): value is Omit<DeadLetterNote, "arrivalMs"> {
  if (typeof value !== "object" || value === null) return false;
  const { journal, route, seq, item, reason, answer, atMs } = value as Partial<DeadLetterNote>;
  return (
    [journal, route, reason, answer].every((text) => typeof text === "string") &&
    [seq, item, atMs].every((number) => typeof number === "number")
  );
}

/**
 * Dead letters over a journal of their own, started but not yet appended to. One route per signal that nobody reads, so the letters
 * stay until an operator replays or drops them, or the budget is spent. Meanwhile it reads the letters that are there, to know them again.
 */
export function openDeadLetters(journal: Journal, budget = NO_BUDGET): LetterBox {
  const readers = SIGNALS.map((signal) =>
    journal.route(deadLetterRoute(signal), signal, "oldest", UNLIMITED),
  );
  return new JournalDeadLetters(journal, readers, budget);
}

class JournalDeadLetters implements LetterBox {
  readonly #journal: Journal;
  readonly #readers = new Map<Signal, Reader>();
  readonly #budget: LetterBudget;
  /** Key → the append that makes it durable; insertion order is age. */
  readonly #known = new Map<string, Promise<void>>();
  readonly #recalled: Promise<void>;
  /** The end of the queue of those who remove. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(journal: Journal, readers: readonly Reader[], budget: LetterBudget) {
    this.#journal = journal;
    this.#budget = budget;
    for (const reader of readers) this.#readers.set(reader.signal, reader);
    // A letter that cannot be read is not known again: at worst it comes twice.
    this.#recalled = this.#recall().catch(() => {});
  }

  get bytes(): number {
    return this.#journal.stats().bytes;
  }
  get maxBytes(): number {
    return this.#budget.maxBytes;
  }

  async #recall(): Promise<void> {
    for await (const { note } of this.#journal.frames()) {
      const known = readDeadLetterNote(note);
      if (known !== undefined) this.#remember(keyOf(known), Promise.resolve());
    }
  }

  counts(signal: Signal): LetterCounts {
    const { queuedItems, delivered, dropped } = this.#reader(signal).counts();
    const of = (reason: Loss) => dropped.get(reason) ?? 0;
    return {
      kept: queuedItems,
      replayed: delivered,
      dropped: { operator: of("operator"), budget: of("budget") },
    };
  }

  async add(letter: DeadLetter): Promise<void> {
    await this.#recalled;
    const key = keyOf(letter);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const durable = this.#append(letter).catch((reason: unknown) => {
      this.#known.delete(key);
      throw PipelineError.from(reason);
    });
    this.#remember(key, durable);
    return durable;
  }

  async #append(letter: DeadLetter): Promise<void> {
    const { batch, ...note } = letter;
    const routes = this.#routes(batch.signal);
    const text = new TextEncoder().encode(JSON.stringify(note satisfies DeadLetterNote));
    using _space = await this.#room(routes, batch.length + text.length, batch.items);
    await this.#journal.append([{ batch, routes, arrivalMs: letter.atMs, note: text }]);
  }

  async #room(routes: Routes, bytes: number, items: number): Promise<Disposable> {
    for (let tries = 0; ; tries++) {
      const reserved = this.#journal.reserve(routes, bytes, items);
      if (!isRefusal(reserved)) return reserved;
      if (this.#budget.onFull === "refuse" || tries === FREE_TRIES)
        throw new PipelineError({ ...reserved, why: `dead letters: ${reserved.why}${MAKE_ROOM}` });
      if (tries % TRIES_PER_DROP === 0) await this.#inTurn(() => this.#dropOldest());
      await sleep(FREE_MS);
    }
  }

  /** Removes the oldest letters that fill a part of the budget. */
  async #dropOldest(): Promise<void> {
    let left = this.#budget.maxBytes * EMPTIED;
    const oldest: KeptLetter[] = [];
    for await (const letter of this.kept()) {
      if (left <= 0) break;
      left -= letter.batch.length + BESIDE;
      oldest.push(letter);
    }
    await this.#removeAs(oldest, droppedAs("budget"));
    this.#budget.onDropped?.(oldest.length);
  }

  async *kept(from: Seq = 1): AsyncGenerator<KeptLetter> {
    for await (const { seq, note, batch } of this.#waiting(from)) {
      const known = readDeadLetterNote(note);
      if (known !== undefined) yield { id: letterId(known), place: seq, note: known, batch };
    }
  }

  /** Frames of all signals that are there now, in the order of the journal. */
  async *#waiting(from: Seq): AsyncGenerator<Stored> {
    const { newest } = this.#journal.stats();
    for await (const frame of this.#journal.frames(from, [...this.#readers.values()])) {
      if (frame.seq > newest) return;
      yield frame;
    }
  }

  remove(letters: readonly KeptLetter[], as: "replayed" | "operator"): Promise<void> {
    return this.#removeAs(letters, as === "replayed" ? replayed : droppedAs(as));
  }

  async #removeAs(letters: readonly Leaver[], tally: (items: number) => Tally): Promise<void> {
    await this.#journal.append([], [], this.#removals(letters, tally));
  }

  #removals(letters: readonly Leaver[], tally: (items: number) => Tally): Removal[] {
    const removals: Removal[] = [];
    for (const [signal, reader] of this.#readers) {
      const own = letters.filter(({ batch }) => batch.signal === signal);
      if (own.length === 0) continue;
      const items = own.reduce((sum, { batch }) => sum + batch.items, 0);
      removals.push({ reader, seqs: own.map(({ place }) => place), tally: tally(items) });
    }
    return removals;
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const done = await work();
      // Without room for copies nothing is lost; the next one who removes tries again.
      await this.#compact().catch(() => {});
      return done;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** One old letter keeps its whole segment: when most of the journal is garbage, the letters are copied to its end, in their order. */
  async #compact(): Promise<void> {
    let live = 0;
    for (const reader of this.#readers.values()) {
      const { queuedBytes, queuedFrames } = reader.counts();
      live += queuedBytes + queuedFrames * BESIDE;
    }
    if (this.bytes < 2 * live + Math.min(GARBAGE_BYTES, this.maxBytes * GARBAGE_SHARE)) return;
    let group: Stored[] = [];
    let bytes = 0;
    for await (const frame of this.#waiting(1)) {
      group.push(frame);
      bytes += frame.batch.length + frame.note.length;
      if (bytes < COPY_BYTES) continue;
      await this.#moveToEnd(group);
      group = [];
      bytes = 0;
    }
    await this.#moveToEnd(group);
  }

  async #moveToEnd(frames: readonly Stored[]): Promise<void> {
    const copies = frames.map(({ batch, arrivalMs, note }) => ({
      ...{ batch, arrivalMs, note },
      routes: this.#routes(batch.signal),
    }));
    const old = frames.map(({ seq: place, batch }) => ({ place, batch }));
    const routes = copies.reduce((all, copy) => unionRoutes(all, copy.routes), routesOf([]));
    const bytes = frames.reduce((sum, { batch, note }) => sum + batch.length + note.length, 0);
    const space = this.#journal.reserve(routes, bytes, frames.length);
    if (isRefusal(space)) throw new PipelineError(space);
    using _space = space;
    await this.#journal.append(copies, [], this.#removals(old, droppedAs("moved")));
  }

  #reader(signal: Signal): Reader {
    const reader = this.#readers.get(signal);
    if (reader === undefined) throw new Error(`dead letters carry no ${signal}`);
    return reader;
  }

  #routes(signal: Signal): Routes {
    return routesOf([this.#reader(signal).route]);
  }

  #remember(key: string, durable: Promise<void>): void {
    this.#known.set(key, durable);
    if (this.#known.size <= REMEMBERED) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

type Leaver = Pick<KeptLetter, "place" | "batch">;

/** `moved`: the letter is there again, behind: it counts as appended twice and as removed once. */
type Loss = "operator" | "budget" | "moved";

function replayed(items: number): Tally {
  return { delivered: items, unconfirmed: 0, deadLettered: 0, dropped: new Map() };
}

function droppedAs(reason: Loss): (items: number) => Tally {
  return (items) => ({ ...replayed(0), dropped: new Map([[reason, items]]) });
}

type Origin = Pick<DeadLetterNote, "journal" | "route" | "seq" | "item">;

function keyOf(letter: Origin): string {
  return `${letter.seq}.${letter.item} ${letter.journal} ${letter.route}`;
}

/** The name of a letter for people: 64 bits of a hash of where it came from. */
function letterId(origin: Origin): string {
  return createHash("sha256").update(keyOf(origin)).digest("hex").slice(0, 16);
}
