import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { main } from "../../src/commands/dispatch.ts";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { isBalanced, type Law } from "../support/service.ts";
import { Stand } from "./stand.ts";

const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const RETRY = "retry_on_failure: { initial_interval: 50ms, max_interval: 200ms }";
const isEmpty = (laws: readonly Law[]) => laws.every(({ queued }) => queued === 0);

/** The service in front of an InfluxDB. */
function standWith(sink: HttpSink): Promise<Stand> {
  return Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb: { endpoint: "${sink.url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
}

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** `weir dead-letter` on the stand's storage. */
async function deadLetter(stand: Stand, ...args: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const status = await main(["dead-letter", ...args, "--directory", stand.path("queue")], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

async function list(stand: Stand, ...args: string[]): Promise<readonly { readonly id: string }[]> {
  const { out } = await deadLetter(stand, "list", "--format", "jsonl", ...args);
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Execution ids that the sink took, with how often. */
function taken(sink: HttpSink): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { body } of sink.requests)
    for (const [, id = ""] of body.toString().matchAll(/execution_id=([^, ]+)/g))
      counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

const refuseBad: HttpSink["answer"] = ({ body }) =>
  body.includes("bad-") ? { status: 400, body: '{"error":"bad column type"}' } : { status: 204 };

test("letters are listed, shown, replayed and dropped while the service runs, and the law balances", async () => {
  await using sink = await httpSink();
  sink.answer = refuseBad;
  await using stand = await standWith(sink);
  await stand.service.start();
  await stand.post([
    ...Array.from({ length: 30 }, (_, i) => `good-${i}`),
    "bad-1",
    "bad-2",
    "bad-3",
  ]);
  const laws = await stand.until(
    (all) => all.some((law) => law.dead_lettered === 3) && isEmpty(all),
  );
  expect(laws.every(isBalanced)).toBe(true);
  expect(await stand.service.metric("weir_dead_letters")).toBe(3);
  const table = await deadLetter(stand, "list");
  expect(table.err).toBe("");
  expect(table.out).toMatch(/influxdb\/logs +rejected .*bad column type/);
  expect(table.out).toMatch(/: 3 found, 3 kept \(\d+ of 268435456 bytes\)\n$/);
  const letters = await list(stand, "--route", "influxdb", "--reason", "rejected", "--since", "1h");
  expect(letters).toHaveLength(3);
  expect(await list(stand, "--until", "1h")).toEqual([]);
  const [first, second] = letters;
  const shown = await deadLetter(stand, "show", first?.id ?? "");
  const letter = JSON.parse(shown.out);
  expect(letter).toMatchObject({ route: "influxdb/logs", signal: "logs", reason: "rejected" });
  expect(letter.answer).toMatch(/bad column type/);
  expect(JSON.stringify(letter.request)).toMatch(/"stringValue":"bad-[123]"/);
  const dropped = await deadLetter(stand, "drop", second?.id ?? "");
  expect(dropped).toMatchObject({ status: 0, out: expect.stringMatching(/1 dropped, 2 kept/) });
  // The cause is mended.
  sink.answer = () => ({ status: 204 });
  sink.requests.length = 0;
  const replayed = await deadLetter(stand, "replay", "--all");
  expect(replayed).toMatchObject({ status: 0, out: expect.stringMatching(/2 replayed, 0 kept/) });
  const after = await stand.until(isEmpty);
  expect(after).toMatchObject([{ appended: 35, delivered: 32, dead_lettered: 3 }]);
  expect(after.every(isBalanced)).toBe(true);
  expect([...taken(sink).values()]).toEqual([1, 1]);
  expect(await stand.service.metric("weir_dead_letters")).toBe(0);
  expect(await stand.service.metric("weir_replayed_items_total")).toBe(2);
  expect(await stand.service.metric("weir_dead_letters_dropped_items_total")).toBe(1);
  const gone = await deadLetter(stand, "show", first?.id ?? "");
  expect(gone).toMatchObject({ status: 1, err: expect.stringContaining("not kept (any more)") });
  expect(await deadLetter(stand, "replay", first?.id ?? "")).toMatchObject({
    status: 1,
    err: expect.stringContaining("1 of the letters that were named are not kept"),
  });
});

test("the same commands work while no service runs; a service that starts afterwards sends what was replayed", async () => {
  await using sink = await httpSink();
  sink.answer = refuseBad;
  await using stand = await standWith(sink);
  await stand.service.start();
  await stand.post(["good-1", "bad-1", "bad-2"]);
  await stand.until((all) => all.some((law) => law.dead_lettered === 2) && isEmpty(all));
  // Settlements are durable within a second; what is not is sent again after a crash, whatever became of it.
  await sleep(1_500);
  await stand.service.kill("SIGKILL");
  expect(existsSync(stand.path("queue/control.sock"))).toBe(true);
  const letters = await list(stand);
  expect(letters).toHaveLength(2);
  expect(await deadLetter(stand, "drop", letters[0]?.id ?? "")).toMatchObject({ status: 0 });
  expect(await deadLetter(stand, "replay", letters[1]?.id ?? "")).toMatchObject({
    status: 0,
    out: expect.stringMatching(/1 replayed, 0 kept/),
  });
  sink.answer = () => ({ status: 204 });
  sink.requests.length = 0;
  await stand.service.start();
  const laws = await stand.until(isEmpty);
  expect(laws.every(isBalanced)).toBe(true);
  expect([...taken(sink).values()]).toEqual([1]);
  expect((await stat(stand.path("queue/control.sock"))).mode & 0o777).toBe(0o600);
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  expect(existsSync(stand.path("queue/control.sock"))).toBe(false);
});

/** Asks the running service to replay everything; the answer is not waited for. */
function replayNow(stand: Stand): void {
  const sent = httpRequest(
    { socketPath: stand.path("queue/control.sock"), path: "/dead-letter/replay", method: "POST" },
    (answer) => answer.on("error", () => {}).resume(),
  );
  sent.on("error", () => {});
  sent.end("{}");
}

test("SIGKILL in the middle of replays, again and again: every item arrives once", {
  timeout: 60_000,
}, async () => {
  await using sink = await httpSink();
  sink.answer = () => ({ status: 400, body: '{"error":"no"}' });
  await using stand = await standWith(sink);
  await stand.service.start();
  const ids = Array.from({ length: 1_500 }, (_, i) => `bad-${i}`);
  for (let i = 0; i < ids.length; i += 500) await stand.post(ids.slice(i, i + 500));
  await stand.until((all) => all.some((law) => law.dead_lettered === ids.length));
  // Settlements are durable within a second; what is not is sent again after a crash, whatever became of it.
  await sleep(1_500);
  // Nothing is taken before the last replay is over, so that nothing is sent twice for another reason.
  sink.answer = () => ({ status: 503 });
  let inTheMiddle = 0;
  for (const delayMs of [50, 90, 130]) {
    const before = await stand.service.metric("weir_dead_letters");
    replayNow(stand);
    await sleep(delayMs);
    await stand.service.kill("SIGKILL");
    await stand.service.start();
    const kept = await stand.service.metric("weir_dead_letters");
    if (kept > 0 && kept < before) inTheMiddle++;
    const replayed = await stand.service.metric("weir_replayed_items_total");
    expect(replayed + kept).toBe(ids.length);
  }
  expect((await deadLetter(stand, "replay", "--all")).out).toMatch(/ 0 kept/);
  expect(inTheMiddle).toBeGreaterThan(0);
  sink.requests.length = 0;
  sink.answer = () => ({ status: 204 });
  const laws = await stand.until(isEmpty);
  expect(laws).toMatchObject([
    { appended: 2 * ids.length, delivered: ids.length, dead_lettered: ids.length },
  ]);
  const arrived = taken(sink);
  expect([...arrived.keys()].sort()).toEqual([...ids].sort());
  expect([...arrived.values()].filter((times) => times !== 1)).toEqual([]);
});

test("mistakes are told in one line that says what to do", async () => {
  await using sink = await httpSink({ status: 204 });
  await using stand = await standWith(sink);
  const none = await deadLetter(stand, "list");
  expect(none).toMatchObject({
    status: 1,
    err: expect.stringMatching(/is not the directory of a file_storage/),
  });
  await stand.service.start();
  expect((await deadLetter(stand, "drop")).err).toMatch(/^weir: drop: say which: ids, --route/);
  expect((await deadLetter(stand, "lst")).err).toMatch(/did you mean "list"/);
  expect((await deadLetter(stand, "list", "--since", "soon")).err).toMatch(/expected how long ago/);
  expect((await deadLetter(stand, "list", "--to", "x")).err).toMatch(/unknown flag: --to/);
  const help = await deadLetter(stand, "--help");
  expect(help.status).toBe(0);
  expect(help.out).toContain("weir dead-letter replay");
});
