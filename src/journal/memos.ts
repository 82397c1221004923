import { PipelineError } from "../otlp/status.ts";
import type { Memo } from "./journal.ts";

/** All memos of a journal together, as text: they stand in the first checkpoint of each segment. */
export const MEMO_BYTES_MAX: number = 8 << 20;

type Entry = readonly [key: string, text: string | null];

/** The latest memo of each key. */
export class Memos {
  readonly #texts = new Map<string, string>();
  #bytes = 0;

  /** Of all keys and texts, in UTF-16 units. */
  get bytes(): number {
    return this.#bytes;
  }

  get entries(): readonly Entry[] {
    return [...this.#texts];
  }

  put(memos: readonly Memo[]): void {
    for (const { key, text } of memos) {
      const before = this.#texts.get(key);
      if (before !== undefined) this.#bytes -= key.length + before.length;
      if (text === undefined) {
        this.#texts.delete(key);
        continue;
      }
      this.#texts.set(key, text);
      this.#bytes += key.length + text.length;
    }
  }

  /** What a full checkpoint says: all there are. */
  restore(entries: readonly Entry[]): void {
    this.#texts.clear();
    this.#bytes = 0;
    this.put(entries.map(memoOf));
  }

  /** Throws when there would be too much. */
  check(memos: readonly Memo[]): void {
    let more = 0;
    for (const { key, text = "" } of memos) more += key.length + text.length;
    if (more === 0 || this.#bytes + more <= MEMO_BYTES_MAX) return;
    throw new PipelineError({
      kind: "refused",
      retryAfterMs: 60_000,
      why: `the journal keeps at most ${MEMO_BYTES_MAX} bytes of positions and other memos: have receivers follow fewer files, or give them storages of their own`,
    });
  }

  startingWith(prefix: string): ReadonlyMap<string, string> {
    return new Map([...this.#texts].filter(([key]) => key.startsWith(prefix)));
  }
}

/** The text of a record of memos. */
export function memoEntries(memos: readonly Memo[]): readonly Entry[] {
  return memos.map(({ key, text }) => [key, text ?? null]);
}

/** What `memoEntries` made, from JSON; undefined when it is anything else. */
export function readMemoEntries(value: unknown): readonly Entry[] | undefined {
  return Array.isArray(value) && value.every(isEntry) ? value : undefined;
}

export function memoOf([key, text]: Entry): Memo {
  return { key, text: text ?? undefined };
}

function isEntry(value: unknown): value is Entry {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [key, text] = value;
  return typeof key === "string" && (typeof text === "string" || text === null);
}
