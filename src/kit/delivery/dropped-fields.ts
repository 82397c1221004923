import { getOrMake } from "../../lib/get-or-make.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { ExporterContext } from "./backend.ts";

interface Drop {
  readonly labels: { readonly table: string; readonly column: string; readonly reason: string };
  readonly n: number;
}

/** Counts what was left out of rows once the destination has them: a row that is sent again is written, and told about, again. */
export class DroppedFields {
  readonly #context: Pick<ExporterContext, "id" | "signal" | "meter">;
  readonly #counters = new Map<string, Counter>();
  #told: Drop[] = [];

  constructor(context: Pick<ExporterContext, "id" | "signal" | "meter">) {
    this.#context = context;
  }

  /** The writer tells so when it has written rows. */
  tell(table: string, column: string, reason: string, n: number): void {
    this.#told.push({ labels: { table, column, reason }, n });
  }

  /** What was told since the last call; a request is posted as soon as its rows are written. */
  take(): readonly Drop[] {
    const told = this.#told;
    // Also where there is nothing: what is told later belongs to another request, while this one is on its way.
    this.#told = [];
    return told;
  }

  count(drops: readonly Drop[]): void {
    const { id: exporter, signal, meter } = this.#context;
    for (const { labels, n } of drops)
      getOrMake(this.#counters, Object.values(labels).join("\0"), () =>
        meter.counter(
          "weir_fields_dropped_total",
          "Values that do not fit their column, without which the row was written; with the reason characters, bytes that names and tags lost.",
          { exporter, signal, ...labels },
        ),
      ).add(n);
  }
}
