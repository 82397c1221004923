import { expect, test } from "vitest";
import { SIGNALS } from "../../src/otlp/tape.ts";
import { CROOKED, HUGE } from "../otlp/huge.ts";
import { httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

/** Each of these used to keep the event loop for 100 ms to seconds; the stand fails when one does so again. */
const BYTES = 8 << 20;
const SHAPES = [
  "records of 4 MiB",
  "attributes of different names",
  "a tree with value before key",
  "text that is not UTF-8",
  "events",
  "points",
  "points before the name of their metric",
];

test("huge items never stall the event loop, on their way in and out", async () => {
  // Made before: this process is the control of the stand's measurement.
  const bodies = SHAPES.map((name) => {
    const shape = HUGE[name] ?? CROOKED[name];
    if (shape === undefined) throw new Error(`there is no shape ${name}`);
    return { name, signal: shape.signal, body: shape.make(BYTES) };
  });
  await using sink = await httpSink({ status: 200 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", compression: none, sending_queue: { storage: file_storage } }
  influxdb: { endpoint: "${sink.url}", database: huge, sending_queue: { storage: file_storage } }
${it.serviceWith(SIGNALS.map((signal) => `${signal}: { receivers: [otlp], exporters: [otlp_http, influxdb] }`).join("\n"))}`,
  );
  await stand.service.start();
  for (const { name, signal, body } of bodies) {
    const url = `http://127.0.0.1:${stand.ports.http}/v1/${signal}`;
    const headers = { "content-type": "application/x-protobuf" };
    const answer = await fetch(url, { method: "POST", headers, body });
    expect([name, answer.status, (await answer.bytes()).length]).toEqual([name, 200, 0]);
  }
  const laws = await stand.until((laws) => laws.every(({ queued }) => queued === 0));
  expect(laws.every(isBalanced)).toBe(true);
  expect(laws.map(({ exporter }) => exporter).sort()).toEqual(["influxdb", "otlp_http"]);
  for (const { delivered, dead_lettered } of laws) {
    expect(delivered).toBeGreaterThan(400_000);
    expect(dead_lettered).toBeGreaterThanOrEqual(3);
  }
});
