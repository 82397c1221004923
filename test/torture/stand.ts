import { join } from "node:path";
import { createJournal } from "../../src/journal/open.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
import { readDeadLetterNote } from "../../src/kit/delivery/dead-letters.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { FAULTS, MOODS } from "./moods.ts";
import { ID, Sink } from "./sinks.ts";

/** Name of the sink that is dead until the end, with `--pinned`. */
export const DEAD = "otlp_http/dead";

/** The sinks of a run. With faults there is one without any: what the others do must not touch it. */
export function sinksOf(
  withFaults: boolean,
  isPinned: boolean,
  random: () => number,
): readonly Sink[] {
  const moods = withFaults ? FAULTS : MOODS;
  const common = { random, moods, share: 0.2, rejects: withFaults };
  const a = new Sink({ ...common, name: "influxdb/a", speaks: "influxdb" });
  const b = new Sink({ ...common, name: "otlp_http/b", speaks: "otlp" });
  const well = { ...common, share: 0, rejects: false };
  const sinks = [a, b];
  if (withFaults) sinks.push(new Sink({ ...well, name: "influxdb/c", speaks: "influxdb" }));
  if (!isPinned) return sinks;
  const dead = new Sink({ ...well, name: DEAD, speaks: "otlp" });
  dead.isDead = true;
  return [...sinks, dead];
}

interface Ports {
  readonly http: number;
  /** Where the dead sink's items arrive. */
  readonly slow: number;
  readonly grpc: number;
  readonly forward: number;
  readonly health: number;
  readonly metrics: number;
  /** Of the sinks, in their order. */
  readonly sinks: readonly number[];
}

/** The service's configuration: one pipeline for each sink, and a journal of many small segments. */
export function yaml(directory: string, sinks: readonly Sink[], ports: Ports): string {
  const { http, slow, grpc, forward, health, metrics } = ports;
  const exporters = sinks.map(({ name }, i) => {
    const tables = name.startsWith("influxdb") ? "database: weir, tables: [function_logs], " : "";
    return `  ${name}: { endpoint: "http://127.0.0.1:${ports.sinks[i]}", ${tables}${DELIVERY} }\n`;
  });
  const pipelines = sinks.map(
    ({ name }) =>
      `    logs/${name.replace("/", "_")}: { receivers: [${name === DEAD ? "otlp/slow" : "otlp, fluent_forward"}], exporters: [${name}] }\n`,
  );
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" }, http: { endpoint: "127.0.0.1:${http}" } } }
  fluent_forward: { endpoint: "127.0.0.1:${forward}" }
  otlp/slow: { protocols: { http: { endpoint: "127.0.0.1:${slow}" } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${join(directory, "queue")}", segment_bytes: ${SEGMENT_BYTES} }
exporters:
${exporters.join("")}
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines:
${pipelines.join("")}`;
}

/** Small enough for many of them in a run. */
export const SEGMENT_BYTES = 1 << 16;

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
