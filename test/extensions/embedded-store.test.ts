import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterEach, expect, test } from "vitest";
import { embeddedStoreConfig } from "../../src/extensions/embedded_store/config.ts";
import { createEmbeddedStore } from "../../src/extensions/embedded_store/index.ts";
import { StoreSupervisor } from "../../src/extensions/embedded_store/supervisor.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { TableChoice } from "../../src/series/tables/table-choice.ts";
import { SELF, temporaryDirectory } from "../store/harness.ts";
import { recordingLog, recordingMeter } from "../support/export-rig.ts";
import { freePorts } from "../support/service.ts";
import { until } from "../support/until.ts";

const TABLES = shippedTables();
const config = embeddedStoreConfig(new TableChoice(TABLES));

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function supervise(args: readonly string[] = [], endpoint = "127.0.0.1:0") {
  const directory = temporaryDirectory();
  cleanups.push(directory.remove);
  const told: string[] = [];
  const tell = (fields: object, text: string) => told.push(`${text} ${JSON.stringify(fields)}`);
  let restarts = 0;
  const supervisor = new StoreSupervisor({
    command: [...SELF, "store", "--exit-with-parent", "--directory", directory.path, ...args],
    endpoint,
    token: "",
    probeEveryMs: 100,
    log: { debug: tell, info: tell, warn: tell, error: tell },
    onRestart: () => restarts++,
  });
  cleanups.push(() => supervisor.stop(AbortSignal.timeout(60_000)));
  const url = () => `http://${supervisor.address}`;
  return {
    supervisor,
    told,
    restarts: () => restarts,
    directory: directory.path,
    write: (line: string) =>
      fetch(`${url()}/api/v3/write_lp?db=weir&precision=ns`, { method: "POST", body: line }),
    query: async (sql: string) => {
      const q = encodeURIComponent(sql);
      return (await fetch(`${url()}/api/v3/query_sql?db=weir&q=${q}`)).json();
    },
  };
}

const eventually = (check: () => Promise<boolean>) => until(() => check().catch(() => false));

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a store that is killed comes back on the same address with its data", async () => {
  const { supervisor, write, query, restarts, told } = supervise();
  await supervisor.start();
  const { address, pid } = supervisor;
  expect((await write("m a=1 1")).status).toBe(204);
  process.kill(pid as number, "SIGKILL");
  await eventually(async () => (await write("m a=2 2")).status === 204);
  expect(supervisor.address).toBe(address);
  expect(supervisor.pid).not.toBe(pid);
  expect(restarts()).toBe(1);
  expect(told.join("\n")).toContain("SIGKILL");
  expect(await query("SELECT count(*) AS n FROM m")).toEqual([{ n: 2 }]);
});

test("a store that hangs is killed and started again", async () => {
  const { supervisor, write, told } = supervise();
  await supervisor.start();
  const { pid } = supervisor;
  process.kill(pid as number, "SIGSTOP");
  await eventually(async () => supervisor.pid !== undefined && supervisor.pid !== pid);
  await eventually(async () => (await write("m a=2 2")).status === 204);
  expect(isRunning(pid as number)).toBe(false);
  expect(told.join("\n")).toContain("does not answer");
});

test("a runaway query costs one process, not the store", async () => {
  const { supervisor, write, query, told } = supervise([
    "--query-timeout",
    "200ms",
    "--memory-limit",
    "8GB",
  ]);
  await supervisor.start();
  await write("m a=1 1");
  await expect(query("SELECT length(repeat('x', 3000000000)) AS n")).rejects.toThrow();
  await eventually(async () => (await write("m a=2 2")).status === 204);
  expect(told.join("\n")).toContain("exit code 70");
  // On a busy machine this one, too, may take longer than 200 ms.
  await until(async () =>
    isDeepStrictEqual(await query("SELECT count(*) AS n FROM m"), [{ n: 2 }]),
  );
});

test("the first start fails when the store cannot start, with the store's words", async () => {
  const first = supervise();
  await first.supervisor.start();
  const second = supervise([], first.supervisor.address);
  await expect(second.supervisor.start()).rejects.toThrow(/did not start \(exit code 1: .*in use/);
});

test("stop ends the store cleanly, is safe twice and without start", async () => {
  const { supervisor } = supervise();
  await supervisor.stop(AbortSignal.timeout(1_000));
  const other = supervise();
  await other.supervisor.start();
  const pid = other.supervisor.pid as number;
  await other.supervisor.stop(AbortSignal.timeout(60_000));
  await other.supervisor.stop(AbortSignal.timeout(60_000));
  expect(isRunning(pid)).toBe(false);
  expect(other.restarts()).toBe(0);
});

test("stop ends a store that hangs when its deadline comes", async () => {
  const { supervisor } = supervise();
  await supervisor.start();
  const pid = supervisor.pid as number;
  process.kill(pid, "SIGSTOP");
  await supervisor.stop(AbortSignal.timeout(300));
  expect(isRunning(pid)).toBe(false);
});

test("the store ends when its parent is killed", async () => {
  const directory = temporaryDirectory();
  cleanups.push(directory.remove);
  const [program = "", ...rest] = SELF;
  const args = [...rest, "store", "--exit-with-parent", "--endpoint", "127.0.0.1:0"];
  const script = `const { spawn } = require("node:child_process");
    const [program, ...args] = ${JSON.stringify([program, ...args, "--directory", directory.path])};
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdout.once("data", () => console.log(child.pid));`;
  const parent = spawn(program, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, "SIGINT");
  parent.kill("SIGKILL");
  await eventually(async () => !isRunning(pid));
});

test("options: defaults, and what is refused", () => {
  expect(config.parse({})).toMatchObject({
    endpoint: "127.0.0.1:8181",
    directory: "./data/store",
    create_directory: true,
    memory_limit: "512MiB",
    query_timeout: 10_000,
  });
  expect(config.safeParse({ memory_limit: "much" }).success).toBe(false);
  expect(config.safeParse({ endpoint: "8181" }).success).toBe(false);
  expect(config.safeParse({ directroy: "x" }).success).toBe(false);
});

test("a table file of the user is declared before its first row", async () => {
  const directory = temporaryDirectory();
  cleanups.push(directory.remove);
  const path = join(directory.path, "deploys.yaml");
  writeFileSync(
    path,
    `measurement: deploys
doc: One row for each deployment.
identity: exact
match: {}
columns:
  zone: { kind: tag, doc: Where., from: [zone] }
  took: { kind: float, unit: s, doc: How long., from: [took] }
`,
  );
  const [port = 0] = await freePorts(1);
  const endpoint = `127.0.0.1:${port}`;
  const store = join(directory.path, "store");
  const options = config.parse({ endpoint, directory: store, tables: [path] });
  const extension = createEmbeddedStore(TABLES).create(options, {
    id: "embedded_store",
    log: recordingLog(),
    meter: recordingMeter(),
    indexer: createIndexer(),
    nowMs: Date.now,
    fail: () => {},
    isReady: () => true,
    self: SELF,
  });
  cleanups.push(() => extension.stop(AbortSignal.timeout(60_000)));
  await extension.start();
  const query = new URLSearchParams({ db: "weir", q: "SELECT zone, took FROM deploys" });
  const answer = await fetch(`http://${endpoint}/api/v3/query_sql?${query}&format=csv`);
  expect([answer.status, await answer.text()]).toEqual([200, "zone,took\n"]);
});
