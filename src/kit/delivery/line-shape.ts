import type { Batch } from "../../otlp/batch.ts";
import type { ItemCursor } from "../../otlp/draft.ts";
import type { KeyId, Keys } from "../../otlp/keys.ts";
import { ENTRY, ITEM_HEADER, Item, Kind, NodeType, type Signal } from "../../otlp/tape.ts";
import { LINE_MARKS } from "../../series/doors/door-marks.ts";

/** Removes the line shape, for which other backends have no use, from batches that have one; all others are returned as they are. */
export function lineShapeRemover(keys: Keys): <S extends Signal>(batch: Batch<S>) => Batch<S> {
  const shape = LINE_MARKS.map((name) => keys.seek(name));
  const unsigned = keys.seek("weir.uint");
  return (batch) => {
    // Where no line has come in yet, batches are not looked at.
    if (batch.signal === "metrics" || !shape.some((key) => keys.mayOccur(key))) return batch;
    if (!holdsAny(batch.tape, shape)) return batch;
    const draft = batch.draft();
    const { items } = draft;
    for (let more = items.first(); more; more = items.next()) {
      const names = items.attribute(unsigned);
      if (names >= 0 && items.kind(names) === Kind.array) spellUnsigned(items, items.text(names));
      for (const key of shape)
        for (let slot = items.attribute(key); slot >= 0; slot = items.attribute(key))
          items.delete(slot);
    }
    return draft.seal();
  };
}

/** Unsigned values above int64, which without their mark would be negative, become text. `json`: the names of the unsigned fields, as an array. */
function spellUnsigned(items: ItemCursor, json: string): void {
  const names: readonly unknown[] = JSON.parse(json);
  for (let i = 0; i < items.count; i++) {
    const slot = items.slotAt(i);
    const value = items.value(slot);
    if (typeof value === "bigint" && value < 0n && names.includes(items.name(slot)))
      items.replace(slot, String(BigInt.asUintN(64, value)));
  }
}

/** Whether an item has one of the keys; a walk over the tape's ints. An item that has another of them has the first two's too. */
function holdsAny(tape: Int32Array, [one, other]: readonly KeyId[]): boolean {
  let size = 0;
  for (let at = 0; at < tape.length; at += size) {
    const head = tape[at + Item.size] ?? 0;
    size = head >>> 2;
    if (size <= 0) return false;
    if ((head & 3) !== NodeType.item) continue;
    const end = at + size;
    for (let entry = at + ITEM_HEADER; entry < end; entry += ENTRY) {
      const key = (tape[entry] ?? 0) >>> 4;
      if (key === one || key === other) return true;
    }
  }
  return false;
}
