import { main } from "../../src/commands/dispatch.ts";
import type { HttpSink } from "../support/http-sink.ts";
import type { Law } from "../support/service.ts";
import { Stand } from "./stand.ts";

/** Delivery blocks of exporters in tests: durable, and quick to try again. */
export const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
export const RETRY = "retry_on_failure: { initial_interval: 50ms, max_interval: 200ms }";

export const isEmpty = (laws: readonly Law[]) => laws.every(({ queued }) => queued === 0);

/** The service in front of one InfluxDB. */
export function standWith(sink: HttpSink): Promise<Stand> {
  return Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
}

/** What a command wrote, and its exit code. */
export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command on the stand's storage. */
export async function weir(stand: Stand, ...args: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const status = await main([...args, "--directory", stand.path("queue")], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

/** Execution ids that the sink took, in order of their names; one that came twice stands there twice. */
export function taken(sink: HttpSink): string[] {
  return sink.requests
    .flatMap(({ body }) => [...body.toString().matchAll(/execution_id=([^, ]+)/g)])
    .map(([, id = ""]) => id)
    .sort();
}
