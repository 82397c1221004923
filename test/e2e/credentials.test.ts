import { expect, onTestFinished, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

test("a token that no longer works is told by log, health and metrics; sending resumes by itself once it does", async () => {
  const sink = await httpSink();
  onTestFinished(() => sink[Symbol.asyncDispose]());
  let works = false;
  sink.answer = () =>
    works
      ? { status: 204 }
      : { status: 401, body: '{"error": "the request was not authenticated"}' };
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb:
    endpoint: ${sink.url}
    database: weir
    token: old
    tables: [function_logs]
    sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [influxdb] }")}`,
  );
  await stand.service.start();
  const health = async () => {
    const answer = await fetch(`http://127.0.0.1:${stand.ports.health}/`);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  expect((await health()).body).not.toHaveProperty("alarms");
  for (const id of ["a", "b", "c"]) expect((await stand.post([id])).status).toBe(200);
  await expect.poll(async () => stand.service.metric("weir_exporter_paused")).toBe(1);
  expect(await health()).toMatchObject({
    status: 200,
    body: {
      status: "Server available",
      alarms: { "influxdb/logs": expect.stringContaining("not authenticated") },
    },
  });
  await expect.poll(() => stand.service.log.match(/refuses every request/g)).toHaveLength(1);
  works = true;
  await stand.until((laws) => laws.every(({ delivered }) => delivered === 3));
  // One range was on its way when the first answer came; from then on it is one request in ten seconds.
  expect(sink.requests.length).toBeLessThanOrEqual(10);
  expect((await health()).body).not.toHaveProperty("alarms");
  expect(await stand.service.metric("weir_exporter_paused")).toBe(0);
  expect((await stand.service.law()).every(isBalanced)).toBe(true);
});
