import type { Seq } from "../otlp/range.ts";

/** Between two marks (ms). */
const STEP_MS = 100;

/** Where the end of the journal was a while ago: by it frames are told old without a time for each. */
export class Tide {
  readonly #ageMs: number;
  /** Ascending; the first is the newest one that is old enough, as soon as there is one. */
  readonly #marks: { readonly atMs: number; readonly newest: Seq }[] = [];

  /** `ageMs`: from which on a frame is old. */
  constructor(ageMs: number) {
    this.#ageMs = ageMs;
  }

  /** Something was written; `newest` is the last frame now. */
  rose(newest: Seq): void {
    const atMs = performance.now();
    if (atMs - (this.#marks.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) < STEP_MS) return;
    this.#marks.push({ atMs, newest });
  }

  /** The last frame that is old; 0 when there is none. Up to 0.1 s late. */
  old(): Seq {
    const latestMs = performance.now() - this.#ageMs;
    let old = -1;
    while ((this.#marks[old + 1]?.atMs ?? Number.POSITIVE_INFINITY) <= latestMs) old++;
    if (old > 0) this.#marks.splice(0, old);
    return old < 0 ? 0 : (this.#marks[0]?.newest ?? 0);
  }
}
