import type { ExtensionFactory } from "../../pipeline/factory.ts";
import { TableChoice } from "../../series/tables/table-choice.ts";
import type { Table } from "../../series/tables/tables.ts";
import { type Config, embeddedStoreConfig } from "./config.ts";
import { StoreSupervisor } from "./supervisor.ts";

/** Runs the embedded store as a process of its own and starts it again when it dies or hangs. */
export function createEmbeddedStore(tables: readonly Table[]): ExtensionFactory<Config> {
  return {
    kind: "extension",
    type: "embedded_store",
    summary:
      "A database beside the service: an InfluxDB 3 to exporters and readers, with nothing to install.",
    stability: {},
    schema: embeddedStoreConfig(new TableChoice(tables)),
    fileOptions: ["tables"],
    example: { endpoint: "127.0.0.1:8181", directory: "./data/store" },
    create(options, context) {
      const restarts = context.meter.counter(
        "weir_store_restarts_total",
        "Starts of the embedded store after it died or hung.",
        { extension: context.id },
      );
      return new StoreSupervisor({
        command: [...context.self, "store", ...argumentsOf(options)],
        endpoint: options.endpoint,
        token: options.token.reveal(),
        log: context.log,
        onRestart: () => restarts.add(1),
      });
    },
  };
}

function argumentsOf(options: Config): string[] {
  return [
    "--exit-with-parent",
    ...["--directory", options.directory],
    ...options.databases.flatMap((name) => ["--database", name]),
    ...options.tables.flatMap((path) => ["--tables", path]),
    ...["--create-directory", String(options.create_directory)],
    ...["--memory-limit", options.memory_limit],
    ...["--query-timeout", `${options.query_timeout}ms`],
  ];
}
