import { LineTables } from "../../kit/doors/line-tables.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import type { Table } from "../../series/tables/tables.ts";
import { type Config, influxdbConfig } from "./config.ts";
import { createInfluxdbServer } from "./server.ts";

/** The receiver for lines of these tables; lines of other measurements are taken as they are. */
export function createInfluxdbReceiver(tables: readonly Table[]) {
  const lines = new LineTables(tables);
  return {
    kind: "receiver",
    type: "influxdb",
    summary: "InfluxDB's write APIs, versions 1, 2 and 3; queries go to a database behind it.",
    stability: { logs: "beta", traces: "beta" },
    schema: influxdbConfig(lines),
    ...lines.factory,
    example: { endpoint: "127.0.0.1:8086" },
    create: (options: Config, context: Context, intake: Intake) =>
      createInfluxdbServer(
        lines.shapes(options),
        options,
        context,
        lines.intake(options, intake, context),
      ) satisfies Component,
  } satisfies ReceiverFactory<Config>;
}
