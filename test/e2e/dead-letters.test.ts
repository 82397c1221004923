import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { isEmpty, standWith, taken, weir } from "./operating.ts";
import type { Stand } from "./stand.ts";

const deadLetter = (stand: Stand, ...args: string[]) => weir(stand, "dead-letter", ...args);

async function list(stand: Stand, ...args: string[]): Promise<readonly { readonly id: string }[]> {
  const { out } = await deadLetter(stand, "list", "--format", "jsonl", ...args);
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
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
  expect(new Set(taken(sink)).size).toBe(2);
  expect(taken(sink)).toHaveLength(2);
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
  // What a crash finds not settled on disk is sent again, whatever became of it: a stop writes it all.
  await stand.service.kill("SIGTERM");
  await stand.service.start();
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
  expect(taken(sink)).toHaveLength(1);
  expect((await stat(stand.path("queue/control.sock"))).mode & 0o777).toBe(0o600);
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  expect(existsSync(stand.path("queue/control.sock"))).toBe(false);
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
  for (const ago of ["-1h", "10:00"])
    expect((await deadLetter(stand, "list", "--since", ago)).err).toMatch(/expected how long ago/);
  expect((await deadLetter(stand, "list", "--since", "1m", "--until", "1h")).err).toMatch(
    /--until \(.*\) must be after --since \(.*1h is before 30m/,
  );
  expect((await deadLetter(stand, "list", "--to", "x")).err).toMatch(/unknown flag: --to/);
  const help = await deadLetter(stand, "--help");
  expect(help.status).toBe(0);
  expect(help.out).toContain("weir dead-letter replay");
});
