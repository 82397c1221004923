import { lineSpanIntake } from "../../kit/doors/line-span-intake.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { lineShapes } from "../../series/doors/line-shapes.ts";
import { lacksSpans, needsOfSpans, spanTables } from "../../series/tables/span-tables.ts";
import { TableChoice } from "../../series/tables/table-choice.ts";
import type { Table } from "../../series/tables/tables.ts";
import { type Config, influxdbConfig } from "./config.ts";
import { createInfluxdbServer } from "./server.ts";

/** The receiver for lines of these tables; lines of other measurements are taken as they are. */
export function createInfluxdbReceiver(tables: readonly Table[]) {
  const choice = new TableChoice(tables);
  return {
    kind: "receiver",
    type: "influxdb",
    summary: "InfluxDB's write APIs, versions 1, 2 and 3; queries go to a database behind it.",
    stability: { logs: "beta", traces: "beta" },
    schema: influxdbConfig(choice),
    fileOptions: ["tables"],
    unsupported: (options, signal) => lacksSpans(choice, options, signal),
    needs: (options) => needsOfSpans(choice, options),
    example: { endpoint: "127.0.0.1:8086" },
    create: (options: Config, context: Context, intake: Intake) =>
      createInfluxdbServer(
        lineShapes(choice.choose(options.tables).declared),
        options,
        context,
        lineSpanIntake(intake, spanTables(choice, options), context),
      ) satisfies Component,
  } satisfies ReceiverFactory<Config>;
}
