import { request as httpRequest } from "node:http";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { until } from "../support/until.ts";
import { isEmpty, standWith, taken, weir } from "./operating.ts";
import type { Stand } from "./stand.ts";

/** Asks the running service to replay everything; the answer is not waited for. */
function replayNow(stand: Stand): void {
  const sent = httpRequest(
    { socketPath: stand.path("queue/control.sock"), path: "/dead-letter/replay", method: "POST" },
    (answer) => answer.on("error", () => {}).resume(),
  );
  sent.on("error", () => {});
  sent.end("{}");
}

test("SIGKILL in the middle of replays, again and again: every item arrives once", async () => {
  await using sink = await httpSink();
  sink.answer = () => ({ status: 400, body: '{"error":"no"}' });
  await using stand = await standWith(sink);
  await stand.service.start();
  const ids = Array.from({ length: 1_500 }, (_, i) => `bad-${i}`);
  for (let i = 0; i < ids.length; i += 500) await stand.post(ids.slice(i, i + 500));
  await stand.until((all) => all.some((law) => law.dead_lettered === ids.length));
  // What a crash finds not settled on disk is sent again, whatever became of it: a stop writes it all.
  await stand.service.kill("SIGTERM");
  await stand.service.start();
  // Nothing is taken before the last replay is over, so that nothing is sent twice for another reason.
  sink.answer = () => ({ status: 503 });
  let inTheMiddle = 0;
  const left = () => stand.service.metric("weir_dead_letters");
  for (let before = await left(); before > 0 && inTheMiddle < 3; before = await left()) {
    replayNow(stand);
    await until(async () => (await left()) < before);
    await stand.service.kill("SIGKILL");
    await stand.service.start();
    const kept = await left();
    if (kept > 0 && kept < before) inTheMiddle++;
    const replayed = await stand.service.metric("weir_replayed_items_total");
    expect(replayed + kept).toBe(ids.length);
  }
  expect((await weir(stand, "dead-letter", "replay", "--all")).out).toMatch(/ 0 kept/);
  expect(inTheMiddle).toBeGreaterThan(0);
  sink.requests.length = 0;
  sink.answer = () => ({ status: 204 });
  const laws = await stand.until(isEmpty);
  expect(laws).toMatchObject([
    { appended: 2 * ids.length, delivered: ids.length, dead_lettered: ids.length },
  ]);
  expect(taken(sink)).toEqual([...ids].sort());
});
