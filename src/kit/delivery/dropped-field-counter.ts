import { getOrMake } from "../../lib/get-or-make.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { ExporterContext } from "./backend.ts";
import type { BodyCounts } from "./body-counts.ts";

/** Counts what is left out of rows, for the `onFieldDropped` of a writer that `counts` watches. */
export function droppedFieldCounter(
  { id: exporter, signal, meter }: Pick<ExporterContext, "id" | "signal" | "meter">,
  counts: BodyCounts,
): (table: string, column: string, reason: string, n: number) => void {
  const counters = new Map<string, Counter>();
  return (table, column, reason, n) => {
    const labels = { table, column, reason };
    const counter = getOrMake(counters, Object.values(labels).join("\0"), () =>
      meter.counter(
        "weir_fields_dropped_total",
        "Values that do not fit their column, without which the row was written; with the reason characters, bytes that names and tags lost.",
        { exporter, signal, ...labels },
      ),
    );
    counts.add(counter, n);
  };
}
