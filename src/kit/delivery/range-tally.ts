import type { Tally } from "../../journal/journal.ts";
import type { Written } from "../../series/writer.ts";

/** What became of the items of a range so far. */
export class RangeTally {
  deadLettered = 0;
  #delivered = 0;
  #unconfirmed = 0;
  readonly #dropped = new Map<string, number>();

  /**
   * Items of a taken request: what the writer left out and what the destination left out are drops, the rest is delivered, and its
   * number returned.
   */
  take(
    items: number,
    written: Written,
    unconfirmed: boolean,
    left?: ReadonlyMap<string, number>,
  ): number {
    let rest = items;
    for (const [reason, n] of [...written.dropped, ...(left ?? [])]) {
      const dropped = Math.max(0, Math.min(n, rest));
      this.drop(reason, dropped);
      rest -= dropped;
    }
    if (unconfirmed) this.#unconfirmed += rest;
    else this.#delivered += rest;
    return rest;
  }

  drop(reason: string, items: number): void {
    if (items > 0) this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + items);
  }

  result(): Tally {
    return {
      delivered: this.#delivered,
      unconfirmed: this.#unconfirmed,
      deadLettered: this.deadLettered,
      dropped: this.#dropped,
    };
  }
}
