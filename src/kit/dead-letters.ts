import type { Journal, Reader, RouteLimits } from "../journal/journal.ts";
import type { Batch } from "../otlp/batch.ts";
import { isRefusal, PipelineError } from "../otlp/status.ts";
import { SIGNALS, type Signal } from "../otlp/tape.ts";

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
  readonly atMs: number;
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
}

/** Keys remembered: repeats come only from ranges that were in flight at a crash, so from the newest letters. */
const REMEMBERED = 65_536;
const UNLIMITED: RouteLimits = {
  bytes: Number.POSITIVE_INFINITY,
  items: Number.POSITIVE_INFINITY,
  frames: Number.POSITIVE_INFINITY,
  onFull: "refuse",
};
const SCAN = { bytes: 8 << 20, items: 65_536 };

/** Name of the dead letters' route of a signal in their journal. */
export function deadLetterRoute(signal: Signal): string {
  return `dead_letters/${signal}`;
}

/** Reads a frame's note; undefined when it is not a dead letter's. */
export function readDeadLetterNote(note: Uint8Array): DeadLetterNote | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(note));
    return isNote(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isNote(value: unknown): value is DeadLetterNote {
  if (typeof value !== "object" || value === null) return false;
  const { journal, route, seq, item } = value as Partial<DeadLetterNote>;
  return (
    typeof journal === "string" &&
    typeof route === "string" &&
    typeof seq === "number" &&
    typeof item === "number"
  );
}

/**
 * Dead letters over a journal of their own, started but not yet appended to. One route per signal, never settled, so the letters
 * stay until an operator replays or drops them. Reads the letters that are there, to know them again.
 */
export async function openDeadLetters(
  journal: Journal,
  limits: RouteLimits = UNLIMITED,
): Promise<DeadLetters> {
  const readers = SIGNALS.map((signal) =>
    journal.route(deadLetterRoute(signal), signal, "oldest", limits),
  );
  const letters = new JournalDeadLetters(journal, readers);
  for (const reader of readers) await letters.recall(reader);
  return letters;
}

class JournalDeadLetters implements DeadLetters {
  readonly #journal: Journal;
  readonly #bits = new Map<Signal, Uint32Array>();
  /** Key → the append that makes it durable; insertion order is age. */
  readonly #known = new Map<string, Promise<void>>();

  constructor(journal: Journal, readers: readonly Reader[]) {
    this.#journal = journal;
    for (const { route, signal } of readers) {
      const bits = new Uint32Array((route >>> 5) + 1);
      bits[route >>> 5] = 2 ** (route & 31);
      this.#bits.set(signal, bits);
    }
  }

  async recall(reader: Reader): Promise<void> {
    const stop = new AbortController().signal;
    let left = reader.counts().queuedItems;
    while (left > 0) {
      const range = await reader.read(SCAN, stop);
      left -= range.items;
      for (const { note } of range.frames) {
        const known = readDeadLetterNote(note);
        if (known !== undefined) this.#remember(keyOf(known), Promise.resolve());
      }
    }
  }

  add(letter: DeadLetter): Promise<void> {
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
    const routes = this.#bits.get(batch.signal) ?? new Uint32Array(1);
    const text = new TextEncoder().encode(JSON.stringify(note satisfies DeadLetterNote));
    const reserved = this.#journal.reserve(routes, batch.length + text.length, batch.items);
    if (isRefusal(reserved)) throw new PipelineError(reserved);
    using _space = reserved;
    await this.#journal.append([{ batch, routes, arrivalMs: letter.atMs, note: text }]);
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

function keyOf(letter: Pick<DeadLetterNote, "journal" | "route" | "seq" | "item">): string {
  return `${letter.seq}.${letter.item} ${letter.journal} ${letter.route}`;
}
