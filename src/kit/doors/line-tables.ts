import { z } from "zod";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { type LineShape, lineShapes } from "../../series/doors/line-shapes.ts";
import {
  lacksSpans,
  lineTableMistakes,
  needsOfSpans,
  SPANS_DOC,
  type SpanOptions,
  spanTables,
} from "../../series/tables/span-tables.ts";
import { TABLE_FILES_DOC, TableChoice } from "../../series/tables/table-choice.ts";
import type { Table } from "../../series/tables/tables.ts";
import { lineSpanIntake } from "./line-span-intake.ts";
import { serviceNameOption } from "./service-name-option.ts";

/** The options that say what becomes of lines: put these into the block of a receiver of them. */
export function lineOptions(noun: "lines" | "points") {
  return {
    service_name: serviceNameOption(`${noun} that have neither a tag service nor site_name`),
    tables: z
      .array(z.string())
      .min(1)
      .optional()
      .describe(
        `${TABLE_FILES_DOC} They say what of their ${noun} is a tag, the body and the severity.`,
      ),
    spans: z.array(z.string()).min(1).optional().describe(SPANS_DOC),
  };
}

/** What receivers of lines do with the tables that their options name. */
export class LineTables {
  readonly #choice: TableChoice;

  constructor(shipped: readonly Table[]) {
    this.#choice = new TableChoice(shipped);
  }

  /** Reports mistakes in the options `tables` and `spans`. */
  check(options: SpanOptions, context: z.RefinementCtx): void {
    for (const { path, message } of lineTableMistakes(this.#choice, options))
      context.addIssue({ code: "custom", path, message });
  }

  /** What the factory of such a receiver says of its options. */
  get factory() {
    return {
      fileOptions: ["tables"],
      unsupported: (options: SpanOptions, signal: Signal) =>
        lacksSpans(this.#choice, options, signal),
      needs: (options: SpanOptions) => needsOfSpans(this.#choice, options),
    };
  }

  /** What lines of each table look like. */
  shapes({ tables }: SpanOptions): LineShape[] {
    return lineShapes(this.#choice.choose(tables).declared);
  }

  /** Where lines go: those of the tables for spans as spans. */
  intake(options: SpanOptions, intake: Intake, context: Pick<Context, "indexer">): Intake {
    return lineSpanIntake(intake, spanTables(this.#choice, options), context);
  }
}
