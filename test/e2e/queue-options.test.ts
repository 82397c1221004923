import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { isEmpty } from "./operating.ts";
import { Stand } from "./stand.ts";

test("sizes of a batch are in the unit of the queue where they have none of their own", async () => {
  await using sink = await httpSink({ status: 200 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http:
    endpoint: "${sink.url}"
    sending_queue: { sizer: bytes, queue_size: 1_000_000, batch: { flush_timeout: 20ms, min_size: 0, max_size: 4096 } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  const texts = Array.from({ length: 100 }, (_, i) => `e-${i}`);
  expect((await stand.post(texts)).status).toBe(200);
  await stand.until((laws) => isEmpty(laws) && laws.some(({ delivered }) => delivered === 100));
  expect(sink.requests.length).toBeGreaterThan(1);
  for (const { body } of sink.requests) expect(body.length).toBeLessThanOrEqual(4_096);
});
