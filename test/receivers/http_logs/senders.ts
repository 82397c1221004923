import { gzipSync } from "node:zlib";
import { ExtData, encode } from "@msgpack/msgpack";

/** Requests as senders write them: heads and bodies byte for byte, of records that are invented. */
export interface Sent {
  readonly sender: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly records: number;
}

const LOGS = [
  '{"timestamp":"2024-01-15T10:30:00.000Z","level":"info","message":"Job completed successfully","job_id":"job-12345","trace_id":"5b8efff798038103d269b633813fc60c"}',
  'plain text line with "quotes" and \\backslashes\\ and\ttab',
  "unicode é 漢字 🚀",
  "ERROR Traceback (most recent call last):",
  '  File "x.py", line 1, in <module>',
  "",
  "after long line",
];
const MACHINE = {
  machine_id: "machine-prod-01",
  worker_id: "worker-gpu-01",
  deployment_env: "production",
  region: "us-west1",
};
const tail = (log: string) => ({
  file_path: "/var/log/containers/worker-a/app.log",
  log,
  ...MACHINE,
});

/** Fluent Bit escapes all that is not ASCII. */
function fluentJson(value: object): string {
  return JSON.stringify(value).replace(
    /[^\0-~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const lines = LOGS.map(
  (log, i) => `${fluentJson({ timestamp: `2026-11-21T06:16:44.56844${i}Z`, ...tail(log) })}\n`,
).join("");
const array = fluentJson(
  LOGS.map((log, i) => ({ date: 1_795_241_804.568441 + i / 1e6, ...tail(log) })),
);
const stream = LOGS.map((log, i) => fluentJson({ date: 1_795_241_804_568 + i, ...tail(log) })).join(
  "",
);
const eventTime = new ExtData(0, Uint8Array.of(0x6b, 1, 0x37, 0x4c, 0x21, 0xe1, 0xb9, 0xca));
const msgpack = Buffer.concat(LOGS.map((log) => encode([[eventTime, {}], tail(log)])));
const oldMsgpack = Buffer.concat(LOGS.map((log) => encode([1_795_241_804, tail(log)])));

const AGENT = { "User-Agent": "Fluent-Bit" };
const NDJSON = { "Content-Type": "application/x-ndjson", ...AGENT };
const JSON_TYPE = { "Content-Type": "application/json", ...AGENT };
const records = LOGS.length;
const winston = {
  timestamp: "2024-01-15T10:30:00.000Z",
  level: "info",
  message: "Job completed successfully",
  machine_id: "machine-prod-01",
  worker_id: "worker-gpu-01",
  service_type: "comfyui",
  source: "winston-logger",
  logger_name: "redis-worker",
};

export const SENT: readonly Sent[] = [
  {
    sender: "Fluent Bit 3 json_lines",
    path: "/logs/ingest",
    headers: NDJSON,
    body: Buffer.from(lines),
    records,
  },
  {
    sender: "Fluent Bit 3.0.2 json_lines",
    path: "/logs/ingest",
    headers: JSON_TYPE,
    body: Buffer.from(lines),
    records,
  },
  {
    sender: "Fluent Bit json_lines, gzip",
    path: "/logs/ingest",
    headers: { ...NDJSON, "Content-Encoding": "gzip" },
    body: gzipSync(lines),
    records,
  },
  {
    sender: "Fluent Bit json",
    path: "/logs/json",
    headers: { ...JSON_TYPE, "X-Tag": "machine.logs" },
    body: Buffer.from(array),
    records,
  },
  {
    sender: "Fluent Bit json_stream",
    path: "/worker-logs",
    headers: JSON_TYPE,
    body: Buffer.from(stream),
    records,
  },
  {
    sender: "Fluent Bit msgpack",
    path: "/logs/msgpack",
    headers: { "Content-Type": "application/msgpack", ...AGENT },
    body: msgpack,
    records,
  },
  {
    sender: "Fluent Bit 2.0 msgpack",
    path: "/logs/msgpack",
    headers: { "Content-Type": "application/msgpack", ...AGENT },
    body: oldMsgpack,
    records,
  },
  {
    sender: "Fluentd out_http",
    path: "/worker-logs",
    headers: { "Content-Type": "application/x-ndjson" },
    body: Buffer.from(lines),
    records,
  },
  {
    sender: "Fluentd out_http json_array",
    path: "/api-logs",
    headers: { "Content-Type": "application/json" },
    body: Buffer.from(array),
    records,
  },
  {
    sender: "FluentBitTransport",
    path: "/",
    headers: { "Content-Type": "application/json" },
    body: Buffer.from(JSON.stringify(winston)),
    records: 1,
  },
  {
    sender: "curl -d",
    path: "/logs/ingest",
    headers: { "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "curl/8.5.0" },
    body: Buffer.from('{"test": "message"}'),
    records: 1,
  },
  {
    sender: "curl to in_http",
    path: "/debug.test",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: Buffer.from(`json=${encodeURIComponent('{"foo": "b+r"}').replaceAll("%20", "+")}`),
    records: 1,
  },
];
