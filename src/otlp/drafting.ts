import type { Batch } from "./batch.ts";
import type { Draft } from "./draft.ts";
import type { KeyTable } from "./key-table.ts";
import type { Signal } from "./tape.ts";
export class TapeDraft<S extends Signal> implements Draft<S> {
  readonly signal: S;
  readonly #batch: Batch<S>;
  constructor(_keys: KeyTable, batch: Batch<S>, _create: unknown) {
    this.signal = batch.signal;
    this.#batch = batch;
  }
  get items(): never {
    throw new Error("not yet");
  }
  get resources(): never {
    throw new Error("not yet");
  }
  readonly dropped: ReadonlyMap<string, number> = new Map();
  seal(): Batch<S> {
    return this.#batch;
  }
}
