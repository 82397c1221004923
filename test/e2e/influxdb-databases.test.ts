import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts, isBalanced, Service } from "../support/service.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** The databases of the receiver's README: what is written to one is in one, queried on the same port. */
let directory: string;
let service: Service;
let port: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "weir-e2e-"));
  const [influxdb = 0, store = 0, health = 0, metrics = 0] = await freePorts(4);
  port = influxdb;
  const config = join(directory, "config.yaml");
  await writeFile(
    config,
    `
receivers:
  influxdb:
    endpoint: "127.0.0.1:${influxdb}"
    query_upstream: "http://127.0.0.1:${store}"
    tokens: [right]
    databases: { telegraf: {}, luna_monitoring: { database: luna } }
    database_attribute: influxdb.database
exporters:
  influxdb:
    endpoint: "http://127.0.0.1:${store}"
    database_attribute: influxdb.database
    databases: [telegraf, luna]
    sending_queue: { storage: file_storage, batch: { flush_timeout: 20ms } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${directory}/queue" }
  embedded_store: { endpoint: "127.0.0.1:${store}", directory: "${directory}/store" }
service:
  extensions: [health_check, file_storage, embedded_store]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines:
    logs: { receivers: [influxdb], exporters: [influxdb] }
`,
  );
  service = new Service(config, health, metrics);
  await service.start();
});
afterAll(async () => {
  await service.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

const headers = { authorization: "Token right" };
const write = async (target: string, body: string) =>
  (await fetch(`http://127.0.0.1:${port}${target}`, { method: "POST", headers, body })).status;

/** Rows of table `m` in a database, once there are as many. */
async function values(db: string, count: number): Promise<number[]> {
  const url = `http://127.0.0.1:${port}/api/v3/query_sql?${new URLSearchParams({ db, q: "SELECT v FROM m ORDER BY v" })}`;
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(100)) {
    const answer = await fetch(url, { headers });
    const rows = answer.ok ? ((await answer.json()) as { v: number }[]) : [];
    if (rows.length >= count || Date.now() > end) return rows.map(({ v }) => v);
  }
}

test("each database has what was written to it, under its name or another", async () => {
  const lines = (from: number) => `m v=${from}i 1\nm v=${from + 1}i 2\n`;
  expect(await write("/write?db=telegraf", lines(1))).toBe(204);
  expect(await write("/api/v2/write?org=luna&bucket=luna_monitoring", lines(3))).toBe(204);
  expect(await write("/api/v3/write_lp?db=telegraf", "m v=5i 3")).toBe(204);
  expect(await write("/api/v3/write_lp?db=luna", lines(7))).toBe(404);
  expect(await values("telegraf", 3)).toEqual([1, 2, 5]);
  expect(await values("luna", 2)).toEqual([3, 4]);
  const laws = await service.law();
  expect(laws).toHaveLength(1);
  expect(laws.every((law) => isBalanced(law) && law.delivered === 5)).toBe(true);
});

test("what was acknowledged before a kill is there after it", async () => {
  const lines = Array.from({ length: 2_000 }, (_, i) => `k v=${i}i ${i + 1}`).join("\n");
  expect(await write("/write?db=telegraf", lines)).toBe(204);
  await service.kill("SIGKILL");
  await service.start();
  const url = `http://127.0.0.1:${port}/api/v3/query_sql?${new URLSearchParams({ db: "telegraf", q: "SELECT count(*) AS n FROM k" })}`;
  let found = 0;
  for (const end = Date.now() + PATIENCE_MS; found < 2_000 && Date.now() < end; await sleep(100)) {
    const answer = await fetch(url, { headers });
    const rows = answer.ok ? ((await answer.json()) as { n: number }[]) : [];
    found = rows[0]?.n ?? 0;
  }
  expect(found).toBe(2_000);
});
