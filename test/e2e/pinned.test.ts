import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { DURABLE, RETRY, weir } from "./operating.ts";
import { request, Stand } from "./stand.ts";

const SEGMENT_BYTES = 1 << 16;
const ROUNDS = 44;

test("a dead destination at a low rate keeps none of the segments of a busy one, also across a kill, and gets all of it at last", async () => {
  await using busy = await httpSink({ status: 204 });
  await using dead = await httpSink({ status: 503 });
  await using stand = await Stand.open(
    (it) => `${it.frame
      .replace('queue"', `queue", segment_bytes: ${SEGMENT_BYTES}`)
      .replace(
        / {2}line_protocol:.*/,
        `  otlp/slow: { protocols: { http: { endpoint: "127.0.0.1:${it.ports.line}" } } }`,
      )}
exporters:
  influxdb/busy: { endpoint: "${busy.url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }
  influxdb/dead: { endpoint: "${dead.url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }
${it.serviceWith(`logs/busy: { receivers: [otlp], exporters: [influxdb/busy] }
logs/dead: { receivers: [otlp/slow], exporters: [influxdb/dead] }`)}`,
  );
  await stand.service.start();
  const slow = async (text: string) => {
    const url = `http://127.0.0.1:${stand.ports.line}/v1/logs`;
    const headers = { "content-type": "application/x-protobuf" };
    expect((await fetch(url, { method: "POST", headers, body: request([text]) })).status).toBe(200);
  };
  let sent = 0;
  const texts = Array.from({ length: 300 }, (_, i) => `busy-${i}`);
  const round = async (i: number) => {
    await slow(`slow-${i}-z`);
    expect((await stand.post(texts)).status).toBe(200);
    sent += request(texts).length;
  };
  for (let i = 0; i < ROUNDS / 2; i++) await round(i);
  await stand.service.kill("SIGKILL");
  await stand.service.start();
  for (let i = ROUNDS / 2; i < ROUNDS; i++) await round(i);
  await stand.until((laws) =>
    laws.some(({ exporter, queued }) => exporter === "influxdb/busy" && queued === 0),
  );
  expect(sent).toBeGreaterThan(20 * SEGMENT_BYTES);
  // Settlements are written, and looked at, every second.
  await expect
    .poll(() => stand.service.metric("weir_journal_bytes"))
    .toBeLessThan(4 * SEGMENT_BYTES);
  expect(await stand.service.metric("weir_journal_copied_segments_total")).toBeGreaterThan(0);
  expect(await stand.service.metric("weir_journal_copy_freed_bytes_total")).toBeGreaterThan(0);
  expect(await stand.service.metric("weir_journal_copy_failures_total")).toBe(0);
  const held = await stand.service.metric("weir_route_held_bytes");
  expect(held).toBeGreaterThan(0);
  const { out } = await weir(stand, "journal", "list");
  expect(out).toMatch(/held alone, bytes/);
  expect(out).toMatch(new RegExp(String.raw`influxdb/dead/logs +\d+ +${ROUNDS} +\d+ +\d+ +yes`));
  const found = new Set<string>();
  dead.answer = ({ body }) => {
    for (const [text] of body.toString("latin1").matchAll(/slow-\d+-z/g)) found.add(text);
    return { status: 204 };
  };
  const laws = await stand.until((all) => all.every(({ queued }) => queued === 0));
  expect(laws.every(isBalanced)).toBe(true);
  expect(found.size).toBe(ROUNDS);
});
