import { Seldom } from "../lib/seldom.ts";
import type { Batch } from "../otlp/batch.ts";
import { Item, NodeType } from "../otlp/tape.ts";
import type { Logger } from "../pipeline/telemetry.ts";

const DAY_MS = 86_400_000;
/** Loki refuses what is older by default, so it is the first age that a destination with a limit is likely to have. */
const OLD_DAYS = 7;
/** So many items of a receiver are looked at in a second, and the requests that they come in: who sends more old items than that sends them again. */
const LOOKS_PER_SECOND = 20_000;
const SAY_EVERY_MS = 3_600_000;
/** Nanoseconds of the high half of a time, in milliseconds. */
const HIGH_MS = 2 ** 32 / 1e6;

/**
 * Says in the log that a receiver takes items that are older than some destinations keep (mapping §1.6): people who send an example from a
 * document look for it in the last hour. At most one line an hour.
 */
export class OldItems {
  readonly #receiver: string;
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #seldom: Seldom;
  #looks = 0;
  #secondMs = Number.NEGATIVE_INFINITY;

  constructor(receiver: string, log: Logger, nowMs: () => number) {
    this.#receiver = receiver;
    this.#log = log;
    this.#nowMs = nowMs;
    this.#seldom = new Seldom(SAY_EVERY_MS, nowMs);
  }

  /** Looks at what was accepted. */
  look(batches: readonly Batch[]): void {
    const now = this.#nowMs();
    // A clock that was set back must not end the looking.
    if (Math.abs(now - this.#secondMs) >= 1_000) {
      this.#secondMs = now;
      this.#looks = 0;
    }
    if (this.#looks >= LOOKS_PER_SECOND) return;
    for (const { items } of batches) this.#looks += items;
    const limit = now - OLD_DAYS * DAY_MS;
    let items = 0;
    let oldest = limit;
    for (const batch of batches) {
      const { tape, view } = batch;
      for (let at = 0; at < tape.length; at += (tape[at] ?? 0) >>> 2) {
        if (((tape[at] ?? 0) & 3) !== NodeType.item) continue;
        const time = tape[at + Item.time] ?? -1;
        if (time < 0) continue;
        const ms = view.getInt32(time + 4, true) * HIGH_MS + view.getUint32(time, true) / 1e6;
        if (ms >= limit) continue;
        items++;
        if (ms < oldest) oldest = ms;
      }
    }
    const count = items === 0 ? undefined : this.#seldom.count("", items);
    if (count === undefined) return;
    const days = Math.floor((now - oldest) / DAY_MS);
    this.#log.warn(
      { receiver: this.#receiver, items: count, days },
      `items are up to ${days} days old: the embedded store keeps them, so look there with a range of time that reaches back so far; destinations with an age limit (Loki, Dash0) do not take them, and count them as dropped with the reason too_old`,
    );
  }
}
