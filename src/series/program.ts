import type { KeyId } from "../otlp/keys.ts";
import { BITS, Code, type Plan, type PlanColumn } from "./compile.ts";

/** Ints per column of `ops`: its index, place and length of its head (`,name=`), 1 where it has rules. */
export const OP = 4;
/** Ints per slot of a Gather: kind, start and end of the value, tape index of its entry on the record. */
export const SLOT = 4;

/** What is done with a source, beside the codes of column kinds: a text with `words`, an id in some form, everything that is rare. */
const Action = { ...Code, word: 7, id: 8, general: 9 } as const;

/**
 * Ints per key of `keys`: `declaredBy`, place of its slot on the record less `noSlot`, first and last + 1 of its uses (at least two),
 * place and length of its name as JSON inside a string. All 0 for keys that no table knows.
 */
export const KEY = 8;

/** A plan as flat memory for the loop over columns. */
export interface Program {
  /** By table: tags from `start[3 * t]`, fields from `start[3 * t + 1]` to `start[3 * t + 2]`. */
  readonly start: Int32Array;
  readonly ops: Int32Array;
  /** By column << 5 | bit: place of the slot << 4 | action. */
  readonly sources: Int32Array;
  readonly keys: Int32Array;
  /** What a key on the record feeds: column and bit in turn. Column `columns.length` is none. */
  readonly uses: Int32Array;
  /** By part: the first of its uses; one more at the end. */
  readonly partUses: Int32Array;
  /** By table: the columns of its match that must have a source; undefined where no record matches by its attributes. */
  readonly needs: readonly (Int32Array | undefined)[];
  /** Slots of keys that have none, of `weir.tags` and of `weir.uint`, as places. */
  readonly noSlot: number;
  readonly tagsSlot: number;
  readonly uintSlot: number;
  /** Ints of all slots. */
  readonly slots: number;
}

export function compileProgram(plan: Plan, nameOf: (key: KeyId) => string): Program {
  const { columns, tables, recordSlot, declaredBy } = plan;
  const sources = new Int32Array(columns.length * BITS);
  for (const column of columns)
    for (let bit = 0; bit < BITS; bit++)
      sources[column.index * BITS + bit] =
        (column.slots[bit] ?? 0) * SLOT * 16 + actionOf(column, bit);
  const ops: number[] = [];
  const start: number[] = [];
  const add = (list: readonly PlanColumn[]) => {
    start.push(ops.length);
    for (const { index, head, otherwise } of list)
      ops.push(index, head.at, head.length, otherwise.length > 0 ? 1 : 0);
  };
  for (const { tags, fields } of tables) {
    add(tags);
    add(fields);
    start.push(ops.length);
  }
  const { start: usesStart, column, bit } = plan.recordUses;
  const noSlot = plan.slots * SLOT;
  const tagsSlot = noSlot + SLOT;
  const uintSlot = tagsSlot + SLOT;
  const none = [columns.length, 0];
  const uses = [...none, ...none];
  const keys = new Int32Array(recordSlot.length * KEY);
  for (let key = 1; key < recordSlot.length; key++) {
    if (declaredBy[key] === 0 && recordSlot[key]! < 0) continue;
    const from = uses.length;
    for (let u = usesStart[key]!; u < usesStart[key + 1]!; u++) uses.push(column[u]!, bit[u]!);
    while (uses.length < from + 4) uses.push(...none);
    const text = JSON.stringify(nameOf(key as KeyId)).replace(/["\\]/g, "\\$&");
    const name = plan.constants.add(`${text}:`);
    let slot = recordSlot[key]! < 0 ? noSlot : recordSlot[key]! * SLOT;
    if (key === plan.lineTags) slot = tagsSlot;
    else if (key === plan.lineUint) slot = uintSlot;
    keys.set([declaredBy[key]!, slot - noSlot, from, uses.length, name.at, name.length], key * KEY);
  }
  const partUses: number[] = [];
  for (let part = 0; part < plan.partUses.start.length; part++) {
    partUses.push(uses.length);
    const { start: first, column: ofPart, bit: bitOfPart } = plan.partUses;
    for (let u = first[part]!; u < (first[part + 1] ?? 0); u++)
      uses.push(ofPart[u]!, bitOfPart[u]!);
  }
  const needs = tables.map(({ isChosen, groups, required }) =>
    groups === undefined || !isChosen
      ? undefined
      : Int32Array.from([...groups, ...required], ({ index }) => index),
  );
  return {
    start: Int32Array.from(start),
    ops: Int32Array.from(ops),
    sources,
    keys,
    uses: Int32Array.from(uses),
    partUses: Int32Array.from(partUses),
    needs,
    noSlot,
    tagsSlot,
    uintSlot,
    slots: uintSlot + SLOT,
  };
}

function actionOf(column: PlanColumn, bit: number): number {
  if ((column.formMask >>> bit) & 1) return Action.id;
  if (column.hasWords) return column.code === Code.tag ? Action.word : Action.general;
  return column.divideBy[bit] === 1 ? column.code : Action.general;
}
