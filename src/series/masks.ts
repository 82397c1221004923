import type { Keys } from "../otlp/keys.ts";
import type { PlanColumn } from "./compile.ts";
import { Part } from "./slots.ts";
import type { Form, Source } from "./tables/tables.ts";

/** Sources of one column, each place counted (bits of a mask). */
export const BITS = 32;

/** What masks a key or a part feeds: `mask` and `bit` from `start[k]` to `start[k + 1]`. */
export interface Uses {
  readonly start: Int32Array;
  readonly mask: Int32Array;
  readonly bit: Int32Array;
}

export type Edge = { readonly key: number; readonly mask: number; readonly bit: number };

/** Sources in order, one bit each: the first is bit 0. */
export interface PlanMask {
  readonly index: number;
  /** Empty text counts as absent. */
  readonly wantsText: boolean;
  /** By bit. */
  readonly slots: Int32Array;
  readonly divideBy: Float64Array;
  readonly forms: readonly (Form | undefined)[];
  /** Bits of the sources that may turn out to be none: those with a form, and first elements of lists. */
  readonly careful: number;
  readonly listBits: number;
}

/** Gives every list of sources its mask, and every place its slot. */
export class MaskTable {
  readonly list: PlanMask[] = [];
  readonly record: Edge[] = [];
  readonly resource: Edge[] = [];
  readonly part: Edge[] = [];
  readonly event: Edge[] = [];
  readonly eventNames: string[] = [];
  readonly eventSlots: number[] = [];
  readonly recordSlot: Int16Array;
  readonly resourceSlot: Int16Array;
  slots: number;
  readonly #signal: "logs" | "traces";
  readonly #keys: Keys;
  readonly #known = new Map<string, PlanMask>();

  constructor(signal: "logs" | "traces", keys: Keys, parts: number, keyIds: number) {
    this.#signal = signal;
    this.#keys = keys;
    this.slots = parts;
    this.recordSlot = new Int16Array(keyIds).fill(-1);
    this.resourceSlot = new Int16Array(keyIds).fill(-1);
  }

  of(name: string, all: readonly Source[], wantsText: boolean): PlanMask {
    const sources = all.filter((source) => this.#isOfSignal(source));
    const known = JSON.stringify([wantsText, sources]);
    let mask = this.#known.get(known);
    if (mask === undefined) {
      mask = this.#add(name, sources, wantsText);
      this.#known.set(known, mask);
    }
    return mask;
  }

  /** How many of these columns one key or part feeds at most. */
  mostUses(columns: readonly PlanColumn[]): number {
    const own = new Map<number, number>();
    for (const { mask } of columns) own.set(mask.index, (own.get(mask.index) ?? 0) + 1);
    const counts = new Map<string, number>();
    let most = 1;
    for (const edges of [this.record, this.resource, this.part, this.event])
      for (const { key, mask } of edges) {
        const name = `${edges === this.part ? "p" : edges === this.event ? "e" : ""}${key}`;
        const count = (counts.get(name) ?? 0) + (own.get(mask) ?? 0);
        counts.set(name, count);
        most = Math.max(most, count);
      }
    return most;
  }

  #isOfSignal(source: Source): boolean {
    if (source.of === "log") return this.#signal === "logs";
    if (source.of === "span" || source.of === "exception_event") return this.#signal === "traces";
    return source.of !== "attribute" || !source.spansOnly || this.#signal === "traces";
  }

  #add(name: string, sources: readonly Source[], wantsText: boolean): PlanMask {
    const index = this.list.length;
    const slots = new Int32Array(BITS);
    const divideBy = new Float64Array(BITS).fill(1);
    const forms: (Form | undefined)[] = [];
    let careful = 0;
    let listBits = 0;
    for (const source of sources)
      for (const [edges, key, slot] of this.#places(source)) {
        const bit = forms.length;
        if (bit >= BITS - 1)
          throw new RangeError(`column "${name}" has more than ${BITS - 1} sources`);
        edges.push({ key, mask: index, bit: 1 << bit });
        slots[bit] = slot;
        forms.push(source.of === "attribute" ? source.form : undefined);
        if (source.of !== "attribute") continue;
        divideBy[bit] = source.divideBy ?? 1;
        if (source.firstOfList) listBits |= 1 << bit;
        if (source.firstOfList || source.form !== undefined) careful |= 1 << bit;
      }
    const mask = { index, wantsText, slots, divideBy, forms, careful, listBits };
    this.list.push(mask);
    return mask;
  }

  /** Where a source may stand, in order. */
  *#places(source: Source): Generator<[Edge[], number, number]> {
    if (source.of === "exception_event") {
      let at = this.eventNames.indexOf(source.name);
      if (at < 0) {
        at = this.eventNames.push(source.name) - 1;
        this.eventSlots.push(this.slots++);
      }
      yield [this.event, at, this.eventSlots[at]!];
      return;
    }
    if (source.of !== "attribute") {
      yield [this.part, Part[source.part], Part[source.part]];
      return;
    }
    const key = this.#keys.id(source.name);
    const record = () =>
      [this.record, key, this.#slot(this.recordSlot, key)] as [Edge[], number, number];
    const resource = () =>
      [this.resource, key, this.#slot(this.resourceSlot, key)] as [Edge[], number, number];
    if (source.place === "resource_first" || source.place === "resource") yield resource();
    if (source.place !== "resource") yield record();
    if (source.place === "both") yield resource();
  }

  #slot(of: Int16Array, key: number): number {
    if (of[key]! < 0) of[key] = this.slots++;
    return of[key]!;
  }
}

/** The edges by key. */
export function uses(edges: readonly Edge[], keys: number): Uses {
  const sorted = [...edges].sort((a, b) => a.key - b.key);
  const start = new Int32Array(keys + 1);
  for (const { key } of sorted) start[key + 1]!++;
  for (let key = 0; key < keys; key++) start[key + 1]! += start[key]!;
  return {
    start,
    mask: Int32Array.from(sorted, (edge) => edge.mask),
    bit: Int32Array.from(sorted, (edge) => edge.bit),
  };
}
