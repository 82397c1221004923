import type { Batch } from "./batch.ts";
import type { Indexer } from "./indexer.ts";
import type { Signal } from "./tape.ts";

/**
 * Items [from, to) of a batch, with their resource, scope and metric, as a batch of their own (dead letters, splits). All of
 * them: the same batch. Costs a walk over the whole batch.
 */
export function pickItems<S extends Signal>(
  _indexer: Indexer,
  batch: Batch<S>,
  from: number,
  to: number,
): Batch<S> {
  const draft = batch.draft();
  let ordinal = 0;
  for (let isItem = draft.items.first(); isItem; isItem = draft.items.next()) {
    if (ordinal < from || ordinal >= to) draft.items.drop("not picked");
    ordinal++;
  }
  return draft.seal();
}
