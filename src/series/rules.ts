import { ENTRY, Kind } from "../otlp/tape.ts";
import type { PlanColumn, PlanRule, Text } from "./compile.ts";
import type { Gather } from "./gather.ts";
import type { KeyOrder } from "./order.ts";
import { SLOT } from "./program.ts";
import type { Values } from "./values.ts";

/** Longer texts are searched in their first bytes only. */
const SEARCHED = 4096;

/** Evaluates `otherwise`: the text of the first rule that holds. Not on the hot path: only where a column has no source. */
export class Rules {
  readonly #gather: Gather;
  readonly #values: Values;
  readonly #order: KeyOrder;
  constructor(gather: Gather, values: Values, order: KeyOrder) {
    this.#gather = gather;
    this.#values = values;
    this.#order = order;
  }

  first(rules: readonly PlanRule[]): Text | undefined {
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]!;
      if (this.#holds(rule)) return rule.value;
    }
    return undefined;
  }

  #holds({ when, column }: PlanRule): boolean {
    switch (when.test) {
      case "always":
        return true;
      case "severity_at_least":
        return this.#gather.severity >= when.number;
      case "is":
      case "is_not":
        return this.#compares(column!, when.number, when.test === "is");
      case "contains":
        return this.#contains(column!, when.words);
      case "has_attribute_prefix":
        return this.#hasPrefix(when.prefix);
      default:
        return false;
    }
  }

  /** The column's value as it would be written; false when it has none. */
  #compares(column: PlanColumn, number: number, isWanted: boolean): boolean {
    const gather = this.#gather;
    const mask = gather.masks[column.index]!;
    if (mask === 0) return false;
    const slot = column.slots[31 - Math.clz32(mask & -mask)]!;
    if (
      !this.#values.int64(
        gather.slots[slot * SLOT]!,
        gather.slots[slot * SLOT + 1]!,
        gather.slots[slot * SLOT + 2]!,
      )
    )
      return false;
    const { low, high } = this.#values.json;
    const value = high * 4_294_967_296 + (low >>> 0);
    return (value === number) === isWanted;
  }

  /** Whether one of the attributes that are present holds one of the words, in any case. */
  #contains(column: PlanColumn, words: readonly string[]): boolean {
    const gather = this.#gather;
    let mask = gather.masks[column.index]!;
    for (; mask !== 0; mask &= mask - 1) {
      const slot = column.slots[31 - Math.clz32(mask & -mask)]!;
      if (gather.slots[slot * SLOT] !== Kind.text) continue;
      const from = gather.slots[slot * SLOT + 1]!;
      const end = Math.min(gather.slots[slot * SLOT + 2]!, from + SEARCHED);
      const text = new TextDecoder().decode(gather.bytes.subarray(from, end)).toLowerCase();
      if (words.some((word) => text.includes(word))) return true;
    }
    return false;
  }

  #hasPrefix(prefix: string): boolean {
    const gather = this.#gather;
    const order = this.#order;
    for (let e = gather.entries; e < gather.entriesEnd; e += ENTRY) {
      if ((gather.tape[e]! & 15) === Kind.none) continue;
      const from = order.keyFrom(e);
      if (order.keyEnd(e) - from < prefix.length) continue;
      let i = 0;
      while (i < prefix.length && gather.bytes[from + i] === prefix.charCodeAt(i)) i++;
      if (i === prefix.length) return true;
    }
    return false;
  }
}
