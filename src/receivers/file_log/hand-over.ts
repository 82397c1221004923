import type { Memo } from "../../journal/journal.ts";
import { outOfMemory } from "../../kit/budget.ts";
import { RareLog } from "../../kit/doors/rare-log.ts";
import { isRefusal, PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Config } from "./config.ts";
import type { Followed } from "./followed.ts";

const LOG_EVERY_MS = 60_000;

/** Hands records to the pipelines together with the position behind them: both are kept, or none. */
export class HandOver {
  readonly #config: Config;
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #skipped = new RareLog(LOG_EVERY_MS);

  constructor(config: Config, context: Context, intake: Intake) {
    this.#config = config;
    this.#context = context;
    this.#intake = intake;
  }

  /** What a file held, with its position; undefined when both are kept. */
  async hand(
    file: Followed,
    { request, length, items }: { request: Uint8Array; length: number; items: number },
    lease: Lease,
  ): Promise<Refusal | undefined> {
    const memos = [{ key: file.key, text: file.memo() }];
    if (items === 0) return this.#tried(() => this.#intake.submit([], lease, memos));
    const indexed = this.#context.indexer.index("logs", request, length);
    if ("refused" in indexed)
      throw new PipelineError({ kind: "internal", retryAfterMs: 0, why: indexed.why });
    const { batch, rejected, why } = indexed;
    if (!lease.grow(length + batch.tape.byteLength)) return outOfMemory(lease);
    const refusal = await this.#tried(() => this.#intake.submit([batch], lease, memos));
    if (refusal === undefined && rejected > 0) this.#intake.rejected("logs", rejected, why, "file");
    return refusal;
  }

  /** Keeps memos without any record. */
  async keep(memos: readonly Memo[]): Promise<Refusal | undefined> {
    const admitted = this.#intake.admit("logs", 0, "file");
    if (isRefusal(admitted)) return admitted;
    using lease = admitted;
    return this.#tried(() => this.#intake.submit([], lease, memos));
  }

  async #tried(submit: () => Promise<void>): Promise<Refusal | undefined> {
    try {
      await submit();
      return undefined;
    } catch (reason) {
      return PipelineError.from(reason);
    }
  }

  /** Says and counts lines that are longer than may be. */
  leftOut(file: Followed, lines: number): void {
    const why = `lines longer than max_log_size (${this.#config.max_log_size} bytes)`;
    this.#intake.rejected("logs", lines, why, "file");
    this.#skipped.say(lines, why, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn({ path: file.path, lines: reasons }, "lines were left out"),
    );
  }
}
