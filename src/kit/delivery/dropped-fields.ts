import { getOrMake } from "../../lib/get-or-make.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { Writer } from "../../series/writer.ts";
import type { ExporterContext } from "./backend.ts";
import { BodyNotes } from "./body-notes.ts";

interface Drop {
  readonly labels: { readonly table: string; readonly column: string; readonly reason: string };
  readonly n: number;
}

/** Counts what was left out of rows once the destination has them: a row that is sent again is written, and told about, again. */
export class DroppedFields {
  readonly #context: Pick<ExporterContext, "id" | "signal" | "meter">;
  readonly #counters = new Map<string, Counter>();
  readonly #notes = new BodyNotes<Drop>();

  constructor(context: Pick<ExporterContext, "id" | "signal" | "meter">) {
    this.#context = context;
  }

  /** The writer tells so when it has written rows of a body. */
  tell(table: string, column: string, reason: string, n: number): void {
    this.#notes.add({ labels: { table, column, reason }, n });
  }

  /** The writer that tells; its bodies are to be written through this one. */
  watch<S extends Signal>(writer: Writer<S>): Writer<S> {
    return this.#notes.watch(writer);
  }

  /** The destination has this body; before its post is over. */
  count(body: Uint8Array): void {
    const { id: exporter, signal, meter } = this.#context;
    for (const { labels, n } of this.#notes.of(body))
      getOrMake(this.#counters, Object.values(labels).join("\0"), () =>
        meter.counter(
          "weir_fields_dropped_total",
          "Values that do not fit their column, without which the row was written; with the reason characters, bytes that names and tags lost.",
          { exporter, signal, ...labels },
        ),
      ).add(n);
  }
}
