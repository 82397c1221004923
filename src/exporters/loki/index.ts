import { createRequire } from "node:module";
import type * as snappy from "snappy";
import { HttpClient } from "../../kit/client/http-client.ts";
import type { ExporterContext, ExporterFactory } from "../../kit/delivery/backend.ts";
import type { BatchText, Pick } from "../../kit/delivery/request-writer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Table } from "../../series/tables/tables.ts";
import { createLokiBackend, type LokiParts } from "./backend.ts";
import { type Config, config, oldConfigWarning } from "./config.ts";

/** The loki exporter; records that name one of the tables are written as its rows. */
export function createLoki(
  tables: readonly Table[],
  pick: Pick,
  writeJson: BatchText,
  snappy: LokiParts["snappy"] = nativeSnappy,
): ExporterFactory<Config> {
  const connect: LokiParts["connect"] = (options) => new HttpClient(options);
  const parts = { tables, pick, writeJson, connect, snappy };
  return {
    kind: "exporter",
    type: "loki",
    summary: "Sends log records to Grafana Loki, with labels and structured metadata.",
    stability: { logs: "beta" },
    schema: config,
    warning: oldConfigWarning,
    example: { endpoint: "http://127.0.0.1:3100" },
    create: <S extends Signal>(config: Config, context: ExporterContext<S>) =>
      createLokiBackend(parts, config, context),
  };
}

/** Native code, which only who uses it should have in memory. */
function nativeSnappy(): (body: Uint8Array) => Uint8Array {
  const { compressSync } = createRequire(import.meta.url)("snappy") as typeof snappy;
  // Memory that V8 makes is collected with the rest; the library's own costs eight times the compression to free.
  return (body) =>
    compressSync(Buffer.from(body.buffer, body.byteOffset, body.length), { copyOutputData: true });
}
