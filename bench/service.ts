/** The whole service as a child process, pinned to one core, over real sockets; its CPU time per record from its own metrics. */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, Service } from "../test/support/service.ts";
import { functionLines, payloads } from "./cases.ts";
import { PINNED, rssMb } from "./delivery.ts";
import { type FILE_LINES, growFiles } from "./files.ts";
import { besideFloor, type Sink } from "./floor.ts";
import { packedMessage } from "./forward.ts";
import { jsonOf } from "./json.ts";
import type { ForwardLoad, GrpcLoad, HttpLoad, UdpLoad } from "./load.ts";
import { pushBody } from "./push.ts";
import { functionRecords } from "./records.ts";
import {
  BARE,
  type Destination,
  DOORS,
  LOG_EXPORTERS,
  type LogExporter,
  type Ports,
  serviceConfig,
} from "./service-config.ts";
import { give, measured, type Row, SPEED, settled, warmUp } from "./service-row.ts";
import { bareFiles } from "./span-cases.ts";

const MS = 4_000;
/** With the journal or without, lines in a datagram, datagrams per second. */
const UDP_JOBS = [
  [false, 1, 120_000],
  [false, 1, 150_000],
  [false, 20, 25_000],
  [true, 1, 120_000],
  [true, 20, 25_000],
] as const;
/** With the journal or without, payload, spans or points in a request. */
const OTHER_JOBS = [
  [false, "spans", 100],
  [false, "spans", 1000],
  [true, "spans", 100],
  [false, "metrics", 100],
  [false, "metrics", 1000],
  [false, "mixedMetrics", 100],
  [true, "metrics", 100],
] as const;
/** Of these: with the journal or without, records in a request. */
const OTLP_JOBS = [
  [false, 100],
  [false, 1000],
  [true, 100],
] as const;
/** Rows beside which a server stands that only reads and sends. */
const FLOOR_JOBS = [
  ["plain", 100],
  ["plain", 1000],
  ["spans", 100],
  ["spans", 1000],
] as const;
/** What lines are, with the journal or without, where they go. */
const FILE_JOBS = [
  ["json", false],
  ["text", false, "loki"],
  ["json", true],
] as const;
const FILE_RECORDS = 600_000;
const HTTP_KINDS = {
  plain: { path: "/v1/logs", what: "plain logs → function_logs lines" },
  mixed: { path: "/v1/logs", what: "mixed logs → function_logs lines" },
  json: { path: "/v1/logs", what: "plain JSON logs → function_logs lines" },
  spans: { path: "/v1/traces", what: "spans → requests and errors lines" },
  metrics: { path: "/v1/metrics", what: "data points → lines" },
  mixedMetrics: { path: "/v1/metrics", what: "mixed data points → lines" },
} as const;
const JSON_TYPE = "application/json";
const PROTOBUF = "application/x-protobuf";
/** Receivers that take lines, records or whole bodies over HTTP, by what `--only` finds: where, what, and how many in a request. */
const LINE_DOORS = {
  influxdb_in: ["influxdb", "/api/v2/write?org=o&bucket=b", functionLines, [100, 5_000]],
  datakit: ["datakit", "/v1/write/logging", functionLines, [100, 1_000]],
  http_logs: ["httpLogs", "/logs/ingest", functionRecords, [100, 1_000]],
  loki_in: ["loki", "/loki/api/v1/push", pushBody, [100, 1_000]],
} as const;
const MOST_PAYLOADS = 16;
/** Records a second at which the memory of a service under load is judged (DESIGN §12); the other rows say what it takes at its limit. */
const PACE = 400_000;

/** Runs the rows whose `what` holds `only`. */
export async function serviceBench(only = ""): Promise<void> {
  const sink = fork(new URL("./sink.ts", import.meta.url), { stdio: "inherit" });
  const [{ port: sinkPort }] = (await once(sink, "message")) as [{ port: number }];
  const grpcSink = fork(new URL("./grpc-sink.ts", import.meta.url), { stdio: "inherit" });
  const [{ port: grpcSinkPort }] = (await once(grpcSink, "message")) as [{ port: number }];
  const load = fork(new URL("./load.ts", import.meta.url), { stdio: "inherit" });
  for (const { pid } of [sink, grpcSink, load])
    if (process.platform === "linux") execFileSync("taskset", ["-cp", "0", String(pid)]);
  const rows: Row[] = [];
  for (const job of jobs(load, { sink, sinkPort }))
    if (job.what.includes(only)) rows.push(...(await withService(sinkPort, grpcSinkPort, job)));
  console.table(rows);
  sink.disconnect();
  grpcSink.disconnect();
  load.disconnect();
}

interface ServiceJob {
  readonly what: string;
  readonly isDurable: boolean;
  /** Where logs or spans go; default: influxdb. */
  readonly to?: Destination;
  readonly run: (
    service: Service,
    ports: Ports,
    directory: string,
  ) => Promise<Row | readonly Row[]>;
}

function* jobs(load: ChildProcess, sink: Sink): Generator<ServiceJob> {
  yield { what: "idle", isDurable: false, run: idleRow };
  for (const isDurable of [false, true])
    for (const kind of ["plain", "mixed"] as const)
      for (const n of [10, 100, 1000])
        yield {
          what: "http_lines",
          isDurable,
          run: (service, { http: port }) => httpRow(service, load, { port, kind, n, isDurable }),
        };
  yield {
    what: "paced",
    isDurable: false,
    run: (service, { http: port }) =>
      httpRow(service, load, { port, kind: "plain", n: 100, isDurable: false, perSecond: PACE }),
  };
  yield {
    what: "large",
    isDurable: false,
    run: (service, { http: port }) =>
      httpRow(service, load, { port, kind: "plain", n: 5_000, isDurable: false }),
  };
  for (const to of Object.keys(LOG_EXPORTERS) as LogExporter[])
    for (const [isDurable, n] of OTLP_JOBS)
      yield {
        what: to,
        isDurable,
        to,
        run: (service, { http: port }) =>
          httpRow(service, load, { port, kind: "plain", n, isDurable, to }),
      };
  for (const [isDurable, kind, n] of OTHER_JOBS)
    yield {
      what: kind === "spans" ? "spans" : "metrics",
      isDurable,
      run: (service, { http: port }) => httpRow(service, load, { port, kind, n, isDurable }),
    };
  for (const n of [100, 1000])
    yield {
      what: "spans",
      isDurable: false,
      to: BARE,
      run: (service, { http: port }) =>
        httpRow(service, load, { port, kind: "spans", n, isDurable: false, to: BARE }),
    };
  for (const [kind, n] of FLOOR_JOBS)
    yield {
      what: "floor",
      isDurable: false,
      run: (service, { http: port }) =>
        besideFloor({
          row: () => httpRow(service, load, { port, kind, n, isDurable: false }),
          service,
          sink,
          load,
          http: httpLoad({ port, kind, n }),
          records: n,
        }),
    };
  for (const n of [100, 1000])
    yield {
      what: "json",
      isDurable: false,
      run: (service, { http: port }) =>
        httpRow(service, load, { port, kind: "json", n, isDurable: false }),
    };
  for (const [what, [port, path, make, sizes]] of Object.entries(LINE_DOORS))
    for (const [isDurable, n] of [
      ...sizes.map((size) => [false, size] as const),
      [true, 5_000] as const,
    ])
      yield {
        what,
        isDurable,
        run: (service, ports) =>
          lineRow(service, load, { what, port: ports[port], path, make, n, isDurable }),
      };
  for (const [isDurable, n] of OTLP_JOBS)
    yield {
      what: "forward",
      isDurable,
      run: (service, { forward }) => forwardRow(service, load, forward, { n, isDurable }),
    };
  for (const [kind, isDurable, to] of FILE_JOBS)
    yield {
      what: "file_log",
      isDurable,
      ...(to !== undefined && { to }),
      run: (service, _ports, directory) => fileRow(service, directory, { kind, isDurable }),
    };
  for (const n of [100, 1000])
    yield {
      what: "grpc",
      isDurable: false,
      run: (service, { grpc }) => grpcRow(service, load, grpc, n),
    };
  for (const [isDurable, lines, perSecond] of UDP_JOBS)
    yield {
      what: "udp",
      isDurable,
      run: (service, { udp }) => udpRow(service, load, udp, { isDurable, lines, perSecond }),
    };
}

async function withService(
  sinkPort: number,
  grpcSinkPort: number,
  { isDurable, to = "influxdb", run }: ServiceJob,
): Promise<readonly Row[]> {
  const [health = 0, metrics = 0, ...free] = await freePorts(2 + DOORS.length);
  const ports = Object.fromEntries(DOORS.map((door, i) => [door, free[i]])) as Ports;
  const directory = await mkdtemp(join(tmpdir(), "weir-bench-"));
  const config = join(directory, "config.yaml");
  for (const { name, text } of bareFiles()) await writeFile(join(directory, name), text);
  const sinks = { http: sinkPort, grpc: grpcSinkPort };
  const telemetry = { health, metrics };
  await writeFile(config, serviceConfig({ ports, telemetry, sinks, directory, isDurable, to }));
  const service = new Service(config, health, metrics, PINNED);
  try {
    await service.start();
    return [await run(service, ports, directory)].flat();
  } finally {
    await service.kill("SIGTERM");
    await rm(directory, { recursive: true, force: true });
  }
}

interface HttpJob {
  readonly port: number;
  readonly kind: keyof typeof HTTP_KINDS;
  readonly n: number;
  readonly isDurable: boolean;
  readonly to?: LogExporter | typeof BARE;
  /** Records; absent: as many as it takes. */
  readonly perSecond?: number;
}

function httpLoad({ port, kind, n }: Pick<HttpJob, "port" | "kind" | "n">): HttpLoad {
  const isJson = kind === "json";
  const requests = payloads[isJson ? "plain" : kind](n)
    .slice(0, MOST_PAYLOADS)
    .map((body) =>
      requestOf(
        HTTP_KINDS[kind].path,
        isJson ? jsonOf("logs", body) : body,
        isJson ? JSON_TYPE : PROTOBUF,
      ),
    );
  return { kind: "http", port, requests, connections: 8, ms: MS };
}

async function httpRow(
  service: Service,
  load: ChildProcess,
  { port, kind, n, isDurable, to, perSecond }: HttpJob,
): Promise<Row> {
  const what =
    to === undefined
      ? HTTP_KINDS[kind].what
      : to === BARE
        ? "spans → the same without attributes"
        : `plain logs → ${LOG_EXPORTERS[to]}`;
  const pace = perSecond === undefined ? {} : { perSecond: perSecond / n };
  const job = { ...httpLoad({ port, kind, n }), ...pace };
  await warmUp(load, job, () => settled(service));
  const asked = perSecond === undefined ? "" : `, ${perSecond / 1_000}k/s asked`;
  const name = `${what}, ${n} a request${isDurable ? ", journal before the ack" : ""}${asked}`;
  return measured(service, name, async () => {
    const { ok, other } = await give(load, job);
    return { sent: ok * n, note: other > 0 ? ` (${other} requests refused)` : "" };
  });
}

interface LineJob {
  readonly what: string;
  readonly port: number;
  readonly path: string;
  readonly make: (n: number) => string[] | Uint8Array;
  readonly n: number;
  readonly isDurable: boolean;
}

async function lineRow(
  service: Service,
  load: ChildProcess,
  { what, port, path, make, n, isDurable }: LineJob,
): Promise<Row> {
  const made = make(n);
  const isText = Array.isArray(made);
  const body = isText ? Buffer.from(made.join("\n")) : made;
  const requests = [requestOf(path, body, isText ? "text/plain; charset=utf-8" : PROTOBUF)];
  const job: HttpLoad = { kind: "http", port, requests, connections: 8, ms: MS };
  await warmUp(load, job, () => settled(service));
  const name = `${what} → function_logs lines, ${n} a request${isDurable ? ", journal before the ack" : ""}`;
  return measured(service, name, async () => {
    const { ok, other } = await give(load, job);
    return { sent: ok * n, note: other > 0 ? ` (${other} requests refused)` : "" };
  });
}

async function forwardRow(
  service: Service,
  load: ChildProcess,
  port: number,
  { n, isDurable }: { readonly n: number; readonly isDurable: boolean },
): Promise<Row> {
  const message = Buffer.from(packedMessage(n)).toString("base64");
  const job: ForwardLoad = { kind: "forward", port, message, connections: 8, ms: MS };
  await warmUp(load, job, () => settled(service));
  const name = `fluent_forward → function_logs lines, ${n} in a packed message${isDurable ? ", journal before the ack" : ""}`;
  return measured(service, name, async () => {
    const { ok } = await give(load, job);
    return { sent: ok * n, note: "" };
  });
}

async function fileRow(
  service: Service,
  directory: string,
  { kind, isDurable }: { readonly kind: keyof typeof FILE_LINES; readonly isDurable: boolean },
): Promise<Row> {
  const taken = async () => service.metric("otelcol_receiver_accepted_log_records");
  const grown = async () => {
    const before = await taken();
    const sent = await growFiles(directory, kind, FILE_RECORDS);
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50))
      if ((await taken()) - before >= sent) break;
    return { sent, note: "" };
  };
  await grown();
  await grown();
  await settled(service);
  const what = kind === "json" ? "JSON lines → function_logs lines" : "text lines → Loki";
  return measured(service, `file_log, ${what}${isDurable ? ", journal" : ""}`, grown);
}

async function grpcRow(
  service: Service,
  load: ChildProcess,
  port: number,
  n: number,
): Promise<Row> {
  const messages = payloads.plain(n).slice(0, MOST_PAYLOADS).map(messageOf);
  const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  const job: GrpcLoad = { kind: "grpc", port, path, messages, connections: 4, streams: 4, ms: MS };
  await warmUp(load, job, () => settled(service));
  return measured(service, `gRPC logs → function_logs lines, ${n} a request`, async () => {
    const { ok, other } = await give(load, job);
    return { sent: ok * n, note: other > 0 ? ` (${other} calls refused)` : "" };
  });
}

/** Behind its prefix. */
function messageOf(body: Uint8Array): string {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]).toString("base64");
}

/** The whole HTTP request, as the load wants it. */
function requestOf(path: string, body: Uint8Array, type: string): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]).toString("base64");
}

async function idleRow(service: Service): Promise<Row> {
  await service.kill("SIGTERM");
  await service.start(); // the second start finds its code in the cache
  await sleep(2_000);
  const none = {
    [SPEED]: "",
    "µs CPU per record": "",
    "records/s seen": "",
    delivered: "",
  };
  return { job: "idle, second start", ...none, "RSS MB": (await rssMb(service)).toFixed(0) };
}

interface UdpJob {
  readonly isDurable: boolean;
  readonly lines: number;
  readonly perSecond: number;
}

async function udpRow(
  service: Service,
  load: ChildProcess,
  port: number,
  { isDurable, lines, perSecond }: UdpJob,
): Promise<Row> {
  const line =
    'function_logs,function_id=550e8400-e29b-41d4-a716-446655440000,execution_id=660e8400-e29b-41d4-a716-446655440000,status=success,version=1 duration_ms=1234i,memory_used_mb=45i,exit_code=0i,cpu_time_ms=800i,message="Function executed successfully" 1705314600000000000';
  const datagram = Array.from({ length: lines }, () => line).join("\n");
  const job: UdpLoad = { kind: "udp", port, datagram, perSecond, ms: MS };
  await give(load, { ...job, perSecond: perSecond / 2, ms: 1_500 }); // warm-up
  await settled(service);
  const dropsBefore = await service.metric("weir_udp_kernel_drops_total");
  const what = `UDP lines, ${lines} a datagram, ${perSecond / 1_000}k datagrams/s asked${isDurable ? ", journal" : ""}`;
  return measured(service, what, async () => {
    const { ok } = await give(load, job);
    await sleep(500);
    const drops = (await service.metric("weir_udp_kernel_drops_total")) - dropsBefore;
    return {
      sent: (ok - drops) * lines,
      note: ` (${drops} of ${ok} datagrams dropped by the kernel)`,
    };
  });
}
