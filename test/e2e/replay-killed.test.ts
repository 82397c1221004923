import { request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
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

test("SIGKILL in the middle of replays, again and again: every item arrives once", {
  timeout: 120_000,
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
