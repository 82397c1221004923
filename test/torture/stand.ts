import { join } from "node:path";
import { createJournal } from "../../src/journal/open.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
import { readDeadLetterNote } from "../../src/kit/dead-letters.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { FAULTS, MOODS } from "./moods.ts";
import { ID, Sink } from "./sinks.ts";

/** The sinks of a run. With faults there is a third, without any: what the others do must not touch it. */
export function sinksOf(withFaults: boolean, random: () => number): readonly Sink[] {
  const moods = withFaults ? FAULTS : MOODS;
  const common = { random, moods, share: 0.2, rejects: withFaults };
  const a = new Sink({ ...common, name: "influxdb/a", speaks: "influxdb" });
  const b = new Sink({ ...common, name: "otlp_http/b", speaks: "otlp" });
  if (!withFaults) return [a, b];
  const well = { ...common, share: 0, rejects: false };
  return [a, b, new Sink({ ...well, name: "influxdb/c", speaks: "influxdb" })];
}

interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly health: number;
  readonly metrics: number;
  /** Of the sinks, in their order. */
  readonly sinks: readonly number[];
}

/** The service's configuration: one pipeline for each sink. */
export function yaml(directory: string, sinks: readonly Sink[], ports: Ports): string {
  const { http, grpc, health, metrics } = ports;
  const exporters = sinks.map(({ name }, i) => {
    const tables = name.startsWith("influxdb") ? "database: weir, tables: [function_logs], " : "";
    return `  ${name}: { endpoint: "http://127.0.0.1:${ports.sinks[i]}", ${tables}${DELIVERY} }\n`;
  });
  const pipelines = sinks.map(
    ({ name }) =>
      `    logs/${name.replace("/", "_")}: { receivers: [otlp], exporters: [${name}] }\n`,
  );
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" }, http: { endpoint: "127.0.0.1:${http}" } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${join(directory, "queue")}" }
exporters:
${exporters.join("")}
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines:
${pipelines.join("")}`;
}

/** Ranges are small, so that some of them are through between two kills even where rejects are searched for half by half. */
const DELIVERY =
  "sending_queue: { storage: file_storage, batch: { flush_timeout: 20ms, max_size: 500 } }, retry_on_failure: { initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s }, timeout: 1s";

/** A dead letter: the item's id, and what the destination said. */
export interface Letter {
  readonly id: string;
  readonly answer: string;
}

/** Ids of the dead letters in the directory of a service that has stopped, by exporter. An id may stand there twice: that is a finding. */
export async function deadLetters(
  directory: string,
): Promise<ReadonlyMap<string, readonly Letter[]>> {
  const found = new Map<string, Letter[]>();
  await using io = await openDirectory(join(directory, "queue", "dead-letters"), { create: false });
  const journal = createJournal({
    io,
    indexer: createIndexer(),
    maxBytes: 2 ** 30,
    nowMs: Date.now,
    log: { info() {}, warn() {}, error() {} },
  });
  await journal.start();
  for await (const { note, batch } of journal.frames()) {
    const { route = "?", answer = "" } = readDeadLetterNote(note) ?? {};
    const exporter = route.replace(/\/logs$/, "");
    const text = Buffer.from(batch.bytes.subarray(0, batch.length)).toString("latin1");
    const ids = [...text.matchAll(ID)].map(([id]) => ({ id, answer }));
    found.set(exporter, [...(found.get(exporter) ?? []), ...ids]);
  }
  return found;
}
