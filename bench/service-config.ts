/** The configuration of the service that is measured. */
import { join } from "node:path";
import { RENAMES } from "./cases.ts";
import { LOGS } from "./files.ts";
import { bareFiles } from "./span-cases.ts";

/** What listens, beside health and metrics. */
export const DOORS = [
  "http",
  "grpc",
  "udp",
  "influxdb",
  "datakit",
  "httpLogs",
  "loki",
  "forward",
] as const;
export type Ports = Readonly<Record<(typeof DOORS)[number], number>>;

/** Where logs go that do not become lines. */
export const LOG_EXPORTERS = {
  otlp_http: "otlp_http, untouched",
  otlp_grpc: "otlp_grpc, untouched",
  "otlp_http/renames": "otlp_http, four renames",
  loki: "Loki with structured metadata",
} as const;
export type LogExporter = keyof typeof LOG_EXPORTERS;
/** Tables of spans without the field `attributes`. */
export const BARE = "influxdb/bare";
/** Default: influxdb. */
export type Destination = "influxdb" | typeof BARE | LogExporter;

interface Setting {
  readonly ports: Ports;
  readonly telemetry: { readonly health: number; readonly metrics: number };
  readonly sinks: { readonly http: number; readonly grpc: number };
  readonly directory: string;
  readonly isDurable: boolean;
  readonly to: Destination;
}

/** YAML. */
export function serviceConfig({
  ports,
  telemetry,
  sinks,
  directory,
  isDurable,
  to,
}: Setting): string {
  const storage = isDurable ? "storage: file_storage, " : "";
  const renames = RENAMES.map(([key, to]) => `{ action: rename, key: ${key}, new_key: ${to} }`);
  const bare = bareFiles().map(({ name }) => `"${join(directory, name)}"`);
  const spansTo = to === BARE ? to : "influxdb";
  const logsTo = to === BARE ? "influxdb" : to;
  const processors = to === "otlp_http/renames" ? "attributes/renames" : "";
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${ports.grpc}" }, http: { endpoint: "127.0.0.1:${ports.http}" } } }
  line_protocol: { udp: { endpoint: "127.0.0.1:${ports.udp}" } }
  influxdb: { endpoint: "127.0.0.1:${ports.influxdb}" }
  datakit: { endpoint: "127.0.0.1:${ports.datakit}" }
  http_logs: { endpoint: "127.0.0.1:${ports.httpLogs}" }
  loki: { endpoint: "127.0.0.1:${ports.loki}", limits: { reject_old_samples: false } }
  fluent_forward: { endpoint: "127.0.0.1:${ports.forward}" }
  file_log: { include: ["${join(directory, LOGS)}/*.log"], start_at: beginning }
extensions:
  health_check: { endpoint: "127.0.0.1:${telemetry.health}" }
  file_storage: { directory: "${join(directory, "queue")}" }
processors:
  attributes/renames:
    actions: [${renames.join(", ")}]
exporters:
  influxdb:
    endpoint: "http://127.0.0.1:${sinks.http}"
    database: weir
    tables: [function_logs, requests, errors, metrics]
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
  ${BARE}:
    endpoint: "http://127.0.0.1:${sinks.http}"
    database: weir
    tables: [${bare.join(", ")}, bare_requests, bare_errors]
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
  loki:
    endpoint: "http://127.0.0.1:${sinks.http}"
    max_age: 0s
    max_body_size: ${8 << 20} # as influxdb: with small requests intake runs ahead on one core, and the queue is read cold
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
  otlp_http:
    endpoint: "http://127.0.0.1:${sinks.http}"
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
  otlp_grpc:
    endpoint: "http://127.0.0.1:${sinks.grpc}"
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
  otlp_http/renames:
    endpoint: "http://127.0.0.1:${sinks.http}"
    sending_queue: { ${storage}batch: { flush_timeout: 20ms } }
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${telemetry.metrics} } } } }] } }
  pipelines:
    logs: { receivers: [otlp, line_protocol, influxdb, datakit, http_logs, loki, fluent_forward, file_log], processors: [${processors}], exporters: [${logsTo}] }
    traces: { receivers: [otlp], exporters: [${spansTo}] }
    metrics: { receivers: [otlp], exporters: [influxdb] }
`;
}
