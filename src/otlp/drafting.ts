import type { Batch } from "./batch.ts";
import { Items, Resources } from "./cursors.ts";
import type { Draft } from "./draft.ts";
import { Edits } from "./edits.ts";
import type { KeyTable } from "./key-table.ts";
import { Splice } from "./splice.ts";
import type { Signal } from "./tape.ts";

/** Makes a batch of its parts; given by the indexer, so that drafts and batches need not know each other's files. */
export type Create = <S extends Signal>(keys: KeyTable, parts: Omit<Batch<S>, "draft">) => Batch<S>;

/** The Draft of an indexed batch. */
export class TapeDraft<S extends Signal> implements Draft<S> {
  readonly signal: S;
  readonly items: Items;
  readonly resources: Resources;
  readonly #batch: Batch<S>;
  readonly #edits: Edits;
  readonly #create: Create;

  constructor(keys: KeyTable, batch: Batch<S>, create: Create) {
    this.signal = batch.signal;
    this.#batch = batch;
    this.#create = create;
    this.#edits = new Edits(keys, batch);
    this.items = new Items(this.#edits);
    this.resources = new Resources(this.#edits);
  }

  get dropped(): ReadonlyMap<string, number> {
    return this.#edits.dropped;
  }

  keepOnly(from: number, to: number, reason: string): void {
    this.#edits.keepOnly(from, to, reason);
  }

  seal(): Batch<S> {
    if (!this.#edits.isEdited) return this.#batch;
    const { signal } = this;
    return this.#create(this.#edits.keys, { signal, ...new Splice(this.#edits).run() });
  }
}
