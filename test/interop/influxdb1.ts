import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeRequest } from "../support/otlp.ts";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import type { Check, Peer } from "./peer.ts";

/** Values of one tag that the server takes, its default; what comes in first, and the runs that fill it up. */
const DISTINCT_MAX = 100_000;
const FIRST_ROWS = 100;
const RUNS = DISTINCT_MAX - FIRST_ROWS;

/**
 * Debian's InfluxDB 1.6: rows arrive over `/write`, types are right, a value of another type goes beside its field, and one line too many
 * among 100,000 is one dead letter with its reason, which is stored once its cause is mended.
 */
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
  const startInflux = () =>
    spawn("influxd", ["-config", join(directory, "influxdb.conf")], { stdio: "ignore" });
  let influx = startInflux();
  const config = join(directory, "weir.yaml");
  await writeFile(config, weirConfig(directory, { database, http, health, metrics, udp }));
  const service = new Service(config, health, metrics);
  try {
    await ask(database, "CREATE DATABASE weir");
    await write(database, "conflict value=1i 1705314600000000000");
    await service.start();
    await rowsAndTypes(check, service, http, database);
    await conflict(check, service, udp, database);
    await poisoned(check, service, http, database, join(directory, "queue"));
    const ended = once(influx, "exit");
    influx.kill("SIGTERM");
    await ended;
    await writeFile(join(directory, "influxdb.conf"), influxConfig(directory, database, backup, 0));
    influx = startInflux();
    await replayed(check, service, config, database);
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
  const logRecords = Array.from({ length: FIRST_ROWS }, (_, i) => ({
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
  const answer = await sendLogs(http, logRecords);
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

/** What the server says of types is learned: the row is stored beside the field that it cannot go to. */
async function conflict(
  check: Check,
  service: Service,
  udp: number,
  database: number,
): Promise<void> {
  await sendLines(udp, [
    "conflict value=2i 1705314600000000002",
    'conflict value="text" 1705314600000000003',
    "conflict value=4i 1705314600000000004",
  ]);
  await drained(service);
  const rows = await ask(database, "SELECT value, value_text FROM conflict");
  check(
    "a value of another type stands beside its field, the rows around it are whole",
    JSON.stringify(rows.map(([, ...values]) => values)) ===
      '[[1,null],[2,null],[null,"text"],[4,null]]',
    JSON.stringify(rows),
  );
  const laws = await service.law();
  const dead = laws.reduce((sum, { dead_lettered: n }) => sum + n, 0);
  check("and nothing became a dead letter", dead === 0, JSON.stringify(laws));
}

/** One line more than the server has room for values of its tag: one dead letter, and stored once the limit is gone. */
async function poisoned(
  check: Check,
  service: Service,
  http: number,
  database: number,
  queue: string,
): Promise<void> {
  for (let from = 0; from < RUNS; from += 900) await sendRuns(http, from, 900);
  await drained(service);
  await sendRuns(http, RUNS, 1);
  await drained(service);
  const [stored] = await ask(database, "SELECT count(duration_ms) FROM function_logs");
  check(`${DISTINCT_MAX} rows are stored`, stored?.[1] === DISTINCT_MAX, JSON.stringify(stored));
  const [law] = await service.law();
  check("the one too many is one dead letter", law?.dead_lettered === 1, JSON.stringify(law));
  const letters = join(queue, "dead-letters");
  let kept = "";
  for (const name of await readdir(letters))
    if (name.includes(".")) kept += await readFile(join(letters, name), "latin1").catch(() => "");
  const said = /max-values-per-tag limit exceeded/.exec(kept)?.[0];
  check("… and says why", said !== undefined, said ?? "");
}

async function replayed(
  check: Check,
  service: Service,
  config: string,
  database: number,
): Promise<void> {
  await ask(database, "SHOW DATABASES");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["src/main.ts", "dead-letter", "replay", "--all", "--config", config],
    { encoding: "utf8" },
  );
  check("the dead letter is replayed", status === 0, (stdout + stderr).trim().slice(0, 200));
  await drained(service);
  const [stored] = await ask(database, "SELECT count(duration_ms) FROM function_logs");
  check("and is stored now", stored?.[1] === DISTINCT_MAX + 1, JSON.stringify(stored));
}

/** `count` runs of a function, each with an execution id of its own. */
async function sendRuns(http: number, from: number, count: number): Promise<void> {
  const logRecords = Array.from({ length: count }, (_, i) => ({
    timeUnixNano: String(1_705_315_000_000_000_000n + BigInt(from + i)),
    attributes: [
      { key: "function.id", value: { stringValue: "f" } },
      { key: "execution.id", value: { stringValue: `run-${from + i}` } },
      { key: "duration_ms", value: { intValue: "1" } },
    ],
  }));
  const answer = await sendLogs(http, logRecords);
  if (answer.status !== 200) throw new Error(`the service answered ${answer.status}`);
}

async function sendLogs(http: number, logRecords: readonly object[]): Promise<Response> {
  return await fetch(`http://127.0.0.1:${http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: encodeRequest("logs", { resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords }] }] }),
  });
}

async function sendLines(udp: number, lines: readonly string[]): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) =>
    socket.send(lines.join("\n"), udp, "127.0.0.1", () => resolve()),
  );
  socket.close();
  await sleep(500);
}

/** Waits until everything that was sent is out of the queue. */
async function drained(service: Service): Promise<void> {
  await sleep(300);
  for (const end = Date.now() + 90_000; Date.now() < end; await sleep(100))
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

function influxConfig(
  directory: string,
  port: number,
  backup: number,
  valuesPerTag = DISTINCT_MAX,
): string {
  return `
reporting-disabled = true
bind-address = "127.0.0.1:${backup}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
  max-values-per-tag = ${valuesPerTag}
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
