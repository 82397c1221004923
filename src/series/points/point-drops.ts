/** Why a data point makes no row, as a number; `DROP_REASONS` has its text. */
export const DROPPED = {
  none: 0,
  no_recorded_value: 1,
  no_value: 2,
  no_name: 3,
  no_table: 4,
  over_limit: 5,
  /** Not dropped: its value stands in the row of another. */
  shared: 6,
} as const;
const DROP_REASONS = [
  "",
  "no_recorded_value",
  "no_value",
  "no_name",
  "no_table",
  "over_limit",
  "",
] as const;
const NOTHING: ReadonlyMap<string, number> = new Map();

/** Data points without a row, by reason. */
export class PointDrops {
  readonly #counts = new Int32Array(DROP_REASONS.length);

  add(reason: number): void {
    if (reason !== DROPPED.shared) this.#counts[reason]!++;
  }

  /** What was counted since the last call. */
  take(): ReadonlyMap<string, number> {
    const counts = this.#counts;
    let dropped: Map<string, number> | undefined;
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] === 0) continue;
      dropped ??= new Map();
      dropped.set(DROP_REASONS[i]!, counts[i]!);
      counts[i] = 0;
    }
    return dropped ?? NOTHING;
  }
}
