import type { Plan, PlanColumn } from "./compile.ts";
import { BITS } from "./masks.ts";
import { Code } from "./slots.ts";

/** Ints per column of `ops`: place of its sources, place and length of its head (`,name=`), its mask, 1 where it has rules, its class. */
export const OP = 6;
/** Ints per slot of a Gather: kind, start and end of the value, tape index of its entry on the record. */
export const SLOT = 4;

/** What is done with a source, beside the codes of column kinds: a text with `words`, what may turn out to be none, everything that is rare. */
export const Action = { ...Code, word: 7, careful: 8, general: 9 } as const;

/**
 * Ints per key of `keys`: the first word of `declaredBy`, place of its slot on the record less `noSlot`, first and last + 1 of its uses
 * (at least two). All 0 for keys that no table knows.
 */
export const KEY = 4;

/** A plan as flat memory for the loop over columns. */
export interface Program {
  /** By table: tags from `start[3 * t]`, fields from `start[3 * t + 1]` to `start[3 * t + 2]`. */
  readonly start: Int32Array;
  /** BITS sources of each column (place of the slot among the ints of a Gather << 4 | action), then the columns of the tables: one memory. */
  readonly ops: Int32Array;
  readonly keys: Int32Array;
  /** What a key on the record feeds: mask and bit in turn. Mask `masks` of the plan is none. */
  readonly uses: Int32Array;
  /** By part: the first of its uses; one more at the end. */
  readonly partUses: Int32Array;
  /** Slots of keys that have none, of `weir.tags` and of `weir.uint`, as places. */
  readonly noSlot: number;
  readonly tagsSlot: number;
  readonly uintSlot: number;
  /** Ints of all slots, and where the first stands behind the masks. */
  readonly slots: number;
  readonly slotsAt: number;
}

export function compileProgram(plan: Plan): Program {
  const { columns, tables, recordSlot, declaredBy, declaredWords } = plan;
  // One more than masks: what keys without a column set. Masks are copied by two.
  const slotsAt = (plan.masks + 2) & ~1;
  const ops: number[] = [];
  for (const column of columns)
    for (let bit = 0; bit < BITS; bit++)
      ops.push((slotsAt + column.mask.slots[bit]! * SLOT) * 16 + actionOf(column, bit));
  const start: number[] = [];
  const add = (list: readonly PlanColumn[]) => {
    start.push(ops.length);
    for (const { index, head, mask, otherwise, class: ofClass } of list) {
      const hasRules = otherwise.length > 0 ? 1 : 0;
      ops.push(index * BITS, head.at, head.length, mask.index, hasRules, ofClass);
    }
  };
  for (const { tags, fields } of tables) {
    add(tags);
    add(fields);
    start.push(ops.length);
  }
  const { start: usesStart, mask, bit } = plan.recordUses;
  const noSlot = plan.slots * SLOT;
  const tagsSlot = noSlot + SLOT;
  const uintSlot = tagsSlot + SLOT;
  const none = [plan.masks, 0];
  const uses = [...none, ...none];
  const keys = new Int32Array(recordSlot.length * KEY);
  for (let key = 1; key < recordSlot.length; key++) {
    if (!isKnown(plan, key)) continue;
    const from = uses.length;
    for (let u = usesStart[key]!; u < usesStart[key + 1]!; u++) uses.push(mask[u]!, bit[u]!);
    while (uses.length < from + 4) uses.push(...none);
    let slot = recordSlot[key]! < 0 ? noSlot : recordSlot[key]! * SLOT;
    if (key === plan.lineTags) slot = tagsSlot;
    else if (key === plan.lineUint) slot = uintSlot;
    const word = declaredBy[key * declaredWords]!;
    keys.set([word, slot - noSlot, from, uses.length], key * KEY);
  }
  const partUses: number[] = [];
  for (let part = 0; part < plan.partUses.start.length; part++) {
    partUses.push(uses.length);
    const { start: first, mask: ofPart, bit: bitOfPart } = plan.partUses;
    for (let u = first[part]!; u < (first[part + 1] ?? 0); u++)
      uses.push(ofPart[u]!, bitOfPart[u]!);
  }
  return {
    start: Int32Array.from(start),
    ops: Int32Array.from(ops),
    keys,
    uses: Int32Array.from(uses),
    partUses: Int32Array.from(partUses),
    noSlot,
    tagsSlot,
    uintSlot,
    slots: uintSlot + SLOT,
    slotsAt,
  };
}

/** Whether a table declares the key, or it has a slot. */
function isKnown({ recordSlot, declaredBy, declaredWords }: Plan, key: number): boolean {
  if (recordSlot[key]! >= 0) return true;
  for (let w = 0; w < declaredWords; w++)
    if (declaredBy[key * declaredWords + w] !== 0) return true;
  return false;
}

function actionOf(column: PlanColumn, bit: number): number {
  if ((column.mask.careful >>> bit) & 1) return Action.careful;
  if (column.hasWords) return column.code === Code.tag ? Action.word : Action.general;
  return column.mask.divideBy[bit] === 1 ? column.code : Action.general;
}
