import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CAPTURES, replayCapture } from "../support/dff-captures.ts";
import {
  answersAsDocumented,
  documentedCommands,
  ShippedService,
} from "../support/shipped-config.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** docs/from/dataflux-func.md and config/dataflux-func.yaml as they stand, and what the unmodified client of DataFlux Func sends. */
const CONFIG = "config/dataflux-func.yaml";
const COMMANDS = await documentedCommands("docs/from/dataflux-func.md");

let weir: ShippedService;
beforeAll(async () => {
  weir = await ShippedService.start(CONFIG);
});
afterAll(() => weir[Symbol.asyncDispose]());

async function upload(): Promise<void> {
  for (const capture of CAPTURES)
    expect(await replayCapture(`127.0.0.1:${weir.port(9529)}`, capture), capture).toMatch(
      /^HTTP\/1\.1 200 OK\r\n/,
    );
}

/** Rows of the store, once everything that was accepted has arrived there. */
async function query(sql: string): Promise<Record<string, unknown>[]> {
  const isQueued = async () => (await weir.service.law()).some(({ queued }) => queued > 0);
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && (await isQueued()); )
    await sleep(50);
  const answer = await fetch(`http://127.0.0.1:${weir.port(8181)}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({ db: "weir", q: sql, format: "json" }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>[];
}

test("the page has commands", () => {
  expect(COMMANDS.length).toBeGreaterThanOrEqual(8);
});

test.each(COMMANDS.map((documented, i) => [i + 1, documented] as const))(
  "command %i of the page answers what the page says",
  async (_number, documented) => {
    expect(await answersAsDocumented(weir, documented)).toBe("");
  },
);

test("it is valid", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ["src/main.ts", "validate", "--config", CONFIG],
    { cwd: join(import.meta.dirname, "..", ".."), encoding: "utf8" },
  );
  expect([status, stderr]).toEqual([0, ""]);
});

test("it starts; an upload makes its rows in the store, a kill loses none, and a repeat adds none", async () => {
  await upload();
  await weir.service.kill("SIGKILL");
  await weir.service.start();
  const counted = () =>
    query(
      `SELECT (SELECT count(*) FROM "DFF_func_call" WHERE origin_id LIKE 'sapi-%') AS calls, (SELECT count(*) FROM "DFF_worker_queue") AS worker, (SELECT count(*) FROM "DFF_delay_queue") AS delay, (SELECT count(*) FROM "DFF_task_record_func") AS pages`,
    );
  const once = [{ calls: 107, worker: 10, delay: 10, pages: 2 }];
  expect(await counted()).toEqual(once);
  await upload();
  expect(await counted()).toEqual(once);
  const [call] = await query(
    `SELECT func_id, site_name, origin_normalized, run_cost FROM "DFF_func_call" WHERE origin_id = 'sapi-000000000100'`,
  );
  expect(call).toEqual({
    func_id: "demo__test.run",
    site_name: "Func for testing",
    origin_normalized: "syncAPI",
    run_cost: 300,
  });
  const pages = await query(
    `SELECT message FROM "DFF_task_record_func" WHERE id = 'task-0sR9mXo2hKqW' ORDER BY substr(message, 1, 5)`,
  );
  expect(pages.map(({ message }) => String(message).slice(0, 6))).toEqual(["[1/2]\n", "[2/2]\n"]);
  const laws = await weir.service.law();
  expect(laws.map(({ dead_lettered }) => dead_lettered)).toEqual([0]);
});
