import type { Journal, Memo } from "../journal/journal.ts";
import type { Memory } from "../pipeline/contracts.ts";
import type { Storage } from "./storage.ts";

/** The memos of one receiver in the journal of a storage. Its keys begin with its id: other receivers have theirs there, too. */
export class MemoKeeper implements Memory {
  readonly storage: string;
  readonly isAtomic: boolean;
  readonly #journal: Journal;
  readonly #prefix: string;

  /** `journals`: where the items of the receiver go. */
  constructor(receiver: string, { id, journal }: Storage, journals: ReadonlySet<Journal>) {
    this.storage = id;
    this.isAtomic = journals.size === 1 && journals.has(journal);
    this.#journal = journal;
    // No id has a space in it: "file_log" does not find what "file_log/app" wrote.
    this.#prefix = `${receiver} `;
  }

  read(): ReadonlyMap<string, string> {
    const found = this.#journal.memos(this.#prefix);
    return new Map([...found].map(([key, text]) => [key.slice(this.#prefix.length), text]));
  }

  /** As the journal keeps them. */
  own(memos: readonly Memo[]): readonly Memo[] {
    return memos.map(({ key, text }) => ({ key: this.#prefix + key, text }));
  }

  /** Without any item, or behind them. */
  append(memos: readonly Memo[]): Promise<void> {
    return this.#journal.append([], [], [], this.own(memos));
  }
}
