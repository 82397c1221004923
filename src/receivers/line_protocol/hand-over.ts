import type { JsonPoints } from "../../kit/doors/json-points.ts";
import { lostCharactersCounter, replacedTimesCounter } from "../../kit/doors/line-counts.ts";
import { RareLog } from "../../kit/doors/rare-log.ts";
import type { Refusal } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { DoorResult } from "../../series/doors/door.ts";

export type Transport = "udp" | "tcp";

const LOG_EVERY_MS = 10_000;

/** What both transports do with lines: admission, counts of what is bad or lost, the way into the pipelines. */
export class HandOver {
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #transport: Transport;
  readonly #bad = new RareLog(LOG_EVERY_MS);
  readonly #lost = new RareLog(LOG_EVERY_MS);
  readonly #replacedTimes: Counter;
  readonly #lostCharacters: Counter;

  constructor(context: Context, intake: Intake, transport: Transport) {
    this.#context = context;
    this.#intake = intake;
    this.#transport = transport;
    this.#replacedTimes = replacedTimesCounter(context, transport);
    this.#lostCharacters = lostCharactersCounter(context, transport);
  }

  /** Room for `bytes` of lines, or why not. */
  admit(bytes: number): Lease | Refusal {
    return this.#intake.admit("logs", bytes, this.#transport);
  }

  /** Counts lines that no resend could save: a mistake of the sender. */
  bad(lines: number, why: string): void {
    if (lines === 0) return;
    this.#intake.rejected("logs", lines, why, this.#transport);
    this.#bad.say(lines, why, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn(this.#fields(reasons), "lines were rejected"),
    );
  }

  /** Counts good lines that had no room. */
  lost(lines: number, why: string): void {
    if (lines === 0) return;
    this.#intake.rejected("logs", lines, why, this.#transport);
    this.sayLost(lines, why);
  }

  /** Lost lines that the intake has counted. */
  sayLost(lines: number, why: string): void {
    this.#lost.say(lines, why, this.#context.nowMs(), (reasons) =>
      this.#context.log.error(this.#fields(reasons), "lines were lost"),
    );
  }

  /** Counts lines that carry the time of their arrival, as their own does not fit. */
  replacedTimes(lines: number): void {
    if (lines > 0) this.#replacedTimes.add(lines);
  }

  /** Counts what is said of a run of JSON points. */
  json({ bad, firstBad, replacedTimes, lostCharacters }: JsonPoints): void {
    this.bad(bad, firstBad);
    this.replacedTimes(replacedTimes);
    if (lostCharacters > 0) this.#lostCharacters.add(lostCharacters);
  }

  #fields(lines: Record<string, number>) {
    return { receiver: this.#context.id, transport: this.#transport, lines };
  }

  /**
   * Indexes and submits one request. Resolves = durable, or counted as lost because it can never be accepted; rejects = written nowhere,
   * counted by the intake.
   */
  async submit(result: DoorResult, lease: Lease): Promise<void> {
    this.bad(result.badLines, result.firstBad);
    if (result.items === 0) return;
    const { bytes, length, items, replacedTimes } = result;
    this.replacedTimes(replacedTimes);
    const indexed = this.#context.indexer.index("logs", bytes, length);
    if ("refused" in indexed) return this.bad(items, indexed.why);
    this.bad(indexed.rejected, indexed.why);
    if (!lease.grow(length + indexed.batch.tape.byteLength))
      return this.lost(indexed.batch.items, "the memory budget for requests in flight is used up");
    await this.#intake.submit([indexed.batch], lease);
  }
}
