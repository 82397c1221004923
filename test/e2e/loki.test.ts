import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { decodePush, type PushStream } from "../series/loki/push-proto.ts";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { encodeRequest } from "../support/otlp.ts";
import { isBalanced } from "../support/service.ts";
import { unsnap } from "../support/unsnap.ts";
import { Stand } from "./stand.ts";

const DURABLE = `sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }
    retry_on_failure: { initial_interval: 20ms, max_interval: 100ms }`;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

const lokiTo = (sink: HttpSink, it: Stand, options = "") => `${it.frame}
exporters:
  loki:
    endpoint: "${sink.url}"
    ${DURABLE}
    ${options}
${it.serviceWith("logs: { receivers: [otlp, line_protocol], exporters: [loki] }")}`;

async function post(stand: Stand, bodies: readonly string[], ageMs = 0): Promise<void> {
  const logRecords = bodies.map((stringValue, i) => ({
    timeUnixNano: `${Date.now() - ageMs}${String(i).padStart(6, "0")}`,
    severityNumber: i % 2 === 0 ? 9 : 17,
    traceId: TRACE,
    body: { stringValue },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] };
  const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.from(
      encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
    ),
  });
  expect(answer.status).toBe(200);
}

/** What the requests from `first` on hold, by a reader that shares nothing with the writer. */
function pushed(sink: HttpSink, first = 0): PushStream[] {
  return sink.requests.slice(first).flatMap(({ body }) => decodePush(unsnap(body)));
}
const linesOf = (streams: readonly PushStream[]) =>
  streams.flatMap(({ entries }) => entries.map(({ line }) => line)).sort();

test("records and lines go from sockets to Loki as streams, what is too old is dropped, and the law balances", async () => {
  await using sink = await httpSink({ status: 204 });
  await using stand = await Stand.open((it) => lokiTo(sink, it));
  await stand.service.start();
  await post(stand, ["a", "b", "c"]);
  await post(stand, ["old"], 8 * 86_400_000);
  await stand.datagram(`cpu,host=h usage=5i ${Date.now()}000000\n`);
  const [law] = await stand.until(([one]) => one?.appended === 5 && one.queued === 0);
  expect(law).toMatchObject({ delivered: 4, dropped: 1, unconfirmed: 0, dead_lettered: 0 });
  expect(law && isBalanced(law)).toBe(true);
  expect((await stand.service.dropped()).get("loki")?.get("too_old")).toBe(1);
  const streams = pushed(sink);
  expect(linesOf(streams.filter(({ labels }) => labels.includes('"shop"')))).toEqual([
    "a",
    "b",
    "c",
  ]);
  expect(new Set(streams.map(({ labels }) => labels))).toEqual(
    new Set([
      '{level="info",service_name="shop"}',
      '{level="error",service_name="shop"}',
      '{level="unknown",service_name="unknown_service"}',
    ]),
  );
  const line = streams.flatMap(({ entries }) => entries).find(({ line: l }) => /^cpu/.test(l));
  expect(line?.line).toMatch(/^cpu,host=h usage=5i \d{19}$/);
  expect(streams[0]?.entries[0]?.metadata).toEqual([["trace_id", TRACE]]);
  expect(sink.requests[0]).toMatchObject({ url: "/loki/api/v1/push" });
});

test("429 with Retry-After, 413, 500 and a reset cost nothing, a 400 is unconfirmed and not sent again", async () => {
  await using sink = await httpSink(
    { status: 429, headers: { "retry-after": "1" }, body: "Ingestion rate limit exceeded" },
    { status: 413 },
    { status: 500 },
    { does: "reset" },
    { status: 204 },
  );
  await using stand = await Stand.open((it) => lokiTo(sink, it));
  await stand.service.start();
  const begun = Date.now();
  await post(stand, ["1", "2", "3", "4"]);
  const [first] = await stand.until(([one]) => one?.appended === 4 && one.queued === 0);
  expect(Date.now() - begun).toBeGreaterThan(1_000);
  expect(first).toMatchObject({ delivered: 4 });
  const sent = sink.requests.length;
  sink.answer = () => ({ status: 400, body: "entry for stream '{}' has timestamp too new" });
  await post(stand, ["5", "6"]);
  const [law] = await stand.until(([one]) => one?.appended === 6 && one.queued === 0);
  expect(law).toMatchObject({ delivered: 4, unconfirmed: 2, dead_lettered: 0, dropped: 0 });
  expect(sink.requests.length).toBe(sent + 1);
  expect(linesOf(pushed(sink, sent))).toEqual(["5", "6"]);
  // The first request was refused whole, and its halves were sent until they were taken.
  const [whole, ...halves] = sink.requests
    .slice(1, sent)
    .map(({ body }) => linesOf(decodePush(unsnap(body))));
  expect(whole).toEqual(["1", "2", "3", "4"]);
  expect([...new Set(halves.map(String))].sort()).toEqual(["1,2", "3,4"]);
  await expect.poll(() => stand.service.log).toContain("timestamp too new");
});

test("while Loki refuses the credentials everything waits, also over a kill", async () => {
  await using sink = await httpSink({ status: 401, body: "no org id" });
  await using stand = await Stand.open((it) => lokiTo(sink, it, "tenant_id: team"));
  await stand.service.start();
  await post(stand, ["kept"]);
  await stand.until(() => sink.requests.length > 0);
  expect((await stand.service.law())[0]).toMatchObject({ queued: 1 });
  await stand.service.kill("SIGKILL");
  sink.answer = () => ({ status: 204 });
  await stand.service.start();
  const [law] = await stand.until(([one]) => one?.appended === 1 && one.queued === 0);
  expect(law).toMatchObject({ delivered: 1 });
  expect(sink.requests.at(-1)?.headers["x-scope-orgid"]).toBe("team");
  expect(linesOf(pushed(sink, sink.requests.length - 1))).toEqual(["kept"]);
});

test("a configuration of the Collector's old exporter works, with one warning", async () => {
  await using sink = await httpSink({ status: 204 });
  await using stand = await Stand.open((it) =>
    lokiTo(sink, it, "default_labels_enabled: { exporter: false, job: true }").replace(
      sink.url,
      `${sink.url}/loki/api/v1/push`,
    ),
  );
  await stand.service.start();
  await post(stand, ["migrated"]);
  await stand.until(([one]) => one?.delivered === 1);
  expect(sink.requests[0]?.url).toBe("/loki/api/v1/push");
  await expect.poll(() => stand.service.log.match(/old loki exporter/g)?.length).toBe(1);
});

test.each(["traces", "metrics"])(
  "a pipeline of %s with loki is a configuration error",
  async (signal) => {
    await using stand = await Stand.open(
      (it) =>
        `${it.frame}\nexporters: { loki: { endpoint: "http://loki:3100" } }\n${it.serviceWith(`${signal}: { receivers: [otlp], exporters: [loki] }`)}`,
    );
    const args = ["src/main.ts", "validate", "--config", stand.config];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stdout + stderr).toContain(
      `exporter "loki" does not support ${signal} (it supports logs)`,
    );
  },
);
