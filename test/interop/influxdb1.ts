import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeRequest } from "../support/otlp.ts";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import type { Check, Peer } from "./peer.ts";

/** Debian's InfluxDB 1.6: rows arrive over `/write`, types are right, a type conflict ends as one dead letter with its reason. */
export const influxdb1: Peer = {
  name: "influxdb1",
  what: "Debian's influxdb 1.6 as a destination, api: v1",
  install,
  run,
};

async function install(): Promise<string | undefined> {
  if (isThere()) return undefined;
  if (process.getuid?.() !== 0)
    return "influxd is not installed, and only root can: apt-get install influxdb";
  spawnSync("apt-get", ["update"], { stdio: "ignore" });
  const { status } = spawnSync("apt-get", ["install", "-y", "influxdb"], {
    stdio: "ignore",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return status === 0 && isThere() ? undefined : "apt-get cannot install influxdb here";
}

function isThere(): boolean {
  return spawnSync("influxd", ["version"]).status === 0;
}

async function run(check: Check): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "weir-influxdb1-"));
  const [database = 0, backup = 0, http = 0, health = 0, metrics = 0, udp = 0] = await freePorts(6);
  await writeFile(join(directory, "influxdb.conf"), influxConfig(directory, database, backup));
  const influx = spawn("influxd", ["-config", join(directory, "influxdb.conf")], {
    stdio: "ignore",
  });
  const config = join(directory, "weir.yaml");
  await writeFile(config, weirConfig(directory, { database, http, health, metrics, udp }));
  const service = new Service(config, health, metrics);
  try {
    await ask(database, "CREATE DATABASE weir");
    await write(database, "conflict value=1i 1705314600000000000");
    await service.start();
    await rowsAndTypes(check, service, http, database);
    await conflict(check, service, udp, database, join(directory, "queue"));
    const laws = await service.law();
    check("the law balances", laws.length === 1 && laws.every(isBalanced), JSON.stringify(laws));
    check("SIGTERM ends it with exit code 0", (await service.kill("SIGTERM")) === 0);
  } finally {
    await service.kill("SIGKILL");
    influx.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}

async function rowsAndTypes(
  check: Check,
  service: Service,
  http: number,
  database: number,
): Promise<void> {
  const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
  const logRecords = Array.from({ length: 100 }, (_, i) => ({
    timeUnixNano: String(1_705_314_600_000_000_000n + BigInt(i)),
    body: { stringValue: `run "${i}" said\nhello, back\\slash` },
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    attributes: [
      text("function.id", "f"),
      text("execution.id", `e-${i}`),
      { key: "duration_ms", value: { intValue: "12" } },
      { key: "exit_code", value: { intValue: "0" } },
      { key: "cold_start", value: { boolValue: i === 0 } },
    ],
  }));
  const body = encodeRequest("logs", {
    resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords }] }],
  });
  const answer = await fetch(`http://127.0.0.1:${http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body,
  });
  check("a request of 100 records is acknowledged", answer.status === 200, String(answer.status));
  await drained(service);
  const [count] = await ask(database, "SELECT count(duration_ms) FROM function_logs");
  check("100 rows arrived", count?.[1] === 100, JSON.stringify(count));
  const types = Object.fromEntries(await ask(database, "SHOW FIELD KEYS FROM function_logs"));
  const expected = {
    duration_ms: "float",
    exit_code: "integer",
    cold_start: "boolean",
    message: "string",
    trace_id: "string",
    span_id: "string",
  };
  check(
    "field types are right",
    JSON.stringify({ ...types, ...expected }) === JSON.stringify(types),
    JSON.stringify(types),
  );
  const [row] = await ask(
    database,
    "SELECT message, trace_id FROM function_logs WHERE execution_id = 'e-7'",
  );
  check(
    "text and trace id are whole",
    row?.[1] === 'run "7" said\nhello, back\\slash' &&
      row?.[2] === "0af7651916cd43dd8448eb211c80319c",
    JSON.stringify(row),
  );
}

async function conflict(
  check: Check,
  service: Service,
  udp: number,
  database: number,
  queue: string,
): Promise<void> {
  const socket = createSocket("udp4");
  const lines = [
    "conflict value=2i 1705314600000000002",
    'conflict value="text" 1705314600000000003',
    "conflict value=4i 1705314600000000004",
  ];
  await new Promise<void>((resolve) =>
    socket.send(lines.join("\n"), udp, "127.0.0.1", () => resolve()),
  );
  socket.close();
  await sleep(500);
  await drained(service);
  const rows = await ask(database, "SELECT value FROM conflict");
  check(
    "the rows beside the conflicting one arrived",
    JSON.stringify(rows.map(([, value]) => value)) === "[1,2,4]",
    JSON.stringify(rows),
  );
  const [law] = await service.law();
  check("the conflicting one is one dead letter", law?.dead_lettered === 1, JSON.stringify(law));
  const letters = join(queue, "dead-letters");
  let kept = "";
  for (const name of await readdir(letters)) kept += await readFile(join(letters, name), "latin1");
  check(
    "… and says why",
    /field type conflict/.test(kept),
    /partial write[^"]{0,160}/.exec(kept)?.[0] ?? "",
  );
}

async function drained(service: Service): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(100))
    if ((await service.law()).every(({ appended, queued }) => appended > 0 && queued === 0)) return;
}

/** Rows of the first series of an InfluxQL answer; waits for the server to be up. */
async function ask(port: number, q: string): Promise<unknown[][]> {
  const url = `http://127.0.0.1:${port}/query?${new URLSearchParams({ db: "weir", q })}`;
  for (const end = Date.now() + 20_000; ; await sleep(200)) {
    const answer = await fetch(url, { method: "POST" }).catch(() => undefined);
    if (answer === undefined && Date.now() < end) continue;
    if (answer === undefined) throw new Error("influxd does not answer");
    const { results } = (await answer.json()) as {
      results: { series?: { values: unknown[][] }[] }[];
    };
    return results[0]?.series?.[0]?.values ?? [];
  }
}

async function write(port: number, line: string): Promise<void> {
  await fetch(`http://127.0.0.1:${port}/write?db=weir`, { method: "POST", body: line });
}

function influxConfig(directory: string, port: number, backup: number): string {
  return `
reporting-disabled = true
bind-address = "127.0.0.1:${backup}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
`;
}

function weirConfig(
  directory: string,
  ports: Record<"database" | "http" | "health" | "metrics" | "udp", number>,
): string {
  return `
receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:${ports.http}" } } }
  line_protocol: { udp: { endpoint: "127.0.0.1:${ports.udp}" } }
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${directory}/queue" }
exporters:
  influxdb:
    endpoint: "http://127.0.0.1:${ports.database}"
    database: weir
    api: v1
    sending_queue: { storage: file_storage, batch: { flush_timeout: 50ms } }
    retry_on_failure: { initial_interval: 200ms, max_interval: 1s }
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${ports.metrics} } } } }] } }
  pipelines:
    logs: { receivers: [otlp, line_protocol], exporters: [influxdb] }
`;
}
