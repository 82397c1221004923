import type { Batch } from "../../otlp/batch.ts";
import { isRefusal, PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { LineSpans, type LineSplit } from "../../series/doors/line-spans.ts";
import type { Table } from "../../series/tables/tables.ts";
import { outOfMemory } from "../budget.ts";

/** The intake of a receiver of lines, where those of some tables become spans; without such tables it is the intake itself. */
export function lineSpanIntake(
  intake: Intake,
  tables: readonly Table[],
  context: Pick<Context, "indexer">,
): Intake {
  return tables.length === 0 ? intake : new LineSpanIntake(intake, tables, context);
}

class LineSpanIntake implements Intake {
  readonly signals: ReadonlySet<Signal>;
  readonly #intake: Intake;
  readonly #indexer: Context["indexer"];
  readonly #spans: LineSpans;

  constructor(intake: Intake, tables: readonly Table[], { indexer }: Pick<Context, "indexer">) {
    this.signals = new Set([...intake.signals, "logs"]);
    this.#intake = intake;
    this.#indexer = indexer;
    this.#spans = new LineSpans(tables, indexer.keys);
  }

  /** Lines may become either, so there must be room for both. */
  admit(signal: Signal, bytes: number, transport?: string): Lease | Refusal {
    const place = this.#intake.admit("traces", 0, transport);
    if (isRefusal(place)) return place;
    place[Symbol.dispose]();
    return this.#intake.admit(signal, bytes, transport);
  }

  async submit(batches: readonly Batch[], lease: Lease): Promise<void> {
    const all: Batch[] = [];
    for (const batch of batches) {
      const split = isLogs(batch) ? this.#spans.split(batch) : undefined;
      if (split === undefined) all.push(batch);
      else all.push(...this.#parts(split, lease));
    }
    // Without a pipeline for logs, lines of other tables have no place to go.
    const taken = all.filter(({ signal }) => this.#intake.signals.has(signal));
    await this.#intake.submit(taken, lease);
    for (const { signal, items } of all)
      if (!this.#intake.signals.has(signal))
        this.#intake.rejected(signal, items, "no pipeline takes logs from this receiver");
  }

  rejected(signal: Signal, items: number, why: string, transport?: string): void {
    this.#intake.rejected(signal, items, why, transport);
  }

  #parts({ rest, bytes, length }: LineSplit, lease: Lease): Batch[] {
    const indexed = this.#indexer.index("traces", bytes, length);
    if ("refused" in indexed)
      throw new PipelineError({ kind: "internal", retryAfterMs: 0, why: indexed.why });
    const { batch } = indexed;
    if (!lease.grow(length + batch.tape.byteLength)) throw new PipelineError(outOfMemory(lease));
    return rest === undefined ? [batch] : [rest, batch];
  }
}

function isLogs(batch: Batch): batch is Batch<"logs"> {
  return batch.signal === "logs";
}
