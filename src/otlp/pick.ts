import type { Batch } from "./batch.ts";
import type { Indexer } from "./indexer.ts";
import type { Signal } from "./tape.ts";

/**
 * Items [from, to) of a batch, with their resource, scope and metric, as a batch of their own (dead letters, splits). All of
 * them: the same batch. Copies what it keeps, and passes over the rest node by node.
 */
export function pickItems<S extends Signal>(
  _indexer: Indexer,
  batch: Batch<S>,
  from: number,
  to: number,
): Batch<S> {
  const draft = batch.draft();
  draft.keepOnly(from, to, "not picked");
  return draft.seal();
}
