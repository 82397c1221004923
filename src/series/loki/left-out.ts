/** Why something of a record is not in its entry; the record is. */
export const LeftOut = { repeated: 0, size: 1, pairs: 2, noName: 3, time: 4 } as const;
export type LeftOut = (typeof LeftOut)[keyof typeof LeftOut];

/** The same as text, for metrics. */
export const LEFT_OUT = [
  "repeated",
  "metadata_too_large",
  "metadata_too_many",
  "no_name",
  "time_out_of_range",
] as const;

/** Counts what was left out: aside while a record is written, and for good once it has its place. */
export class LeftOuts {
  readonly pending = new Int32Array(LEFT_OUT.length);
  readonly #totals = new Float64Array(LEFT_OUT.length);
  #isPending = false;
  #isAny = false;

  add(reason: LeftOut): void {
    this.pending[reason]!++;
    this.#isPending = true;
  }

  /** What was counted elsewhere. */
  addAll(other: LeftOuts): void {
    if (!other.#isPending) return;
    for (let i = 0; i < this.pending.length; i++) this.pending[i]! += other.pending[i]!;
    this.#isPending = true;
  }

  keep(): void {
    if (!this.#isPending) return;
    for (let i = 0; i < this.pending.length; i++) this.#totals[i]! += this.pending[i]!;
    this.#isAny = true;
    this.forget();
  }

  forget(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.pending.fill(0);
  }

  report(tell: (reason: string, n: number) => void): void {
    if (!this.#isAny) return;
    this.#isAny = false;
    for (const [i, n] of this.#totals.entries()) if (n > 0) tell(LEFT_OUT[i]!, n);
    this.#totals.fill(0);
  }
}
