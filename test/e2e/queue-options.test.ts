import { spawn } from "node:child_process";
import { expect, onTestFinished, test } from "vitest";
import { main } from "../../src/commands/dispatch.ts";
import { httpSink } from "../support/http-sink.ts";
import { until } from "../support/until.ts";
import { isEmpty, RETRY, weir } from "./operating.ts";
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

test("a queue that its exporter has left for another storage is told at the start, kept, and sent when it comes back", async () => {
  await using sink = await httpSink({ status: 503 });
  const yaml = (storage: string) => (it: Stand) =>
    `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", ${RETRY}, sending_queue: { ${storage} } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`;
  await using stand = await Stand.open(yaml("storage: file_storage"));
  await stand.service.start();
  expect((await stand.post(["e-1", "e-2"])).status).toBe(200);
  await stand.service.kill("SIGTERM");
  await stand.configure(yaml(""));
  await stand.service.start();
  await expect
    .poll(() => stand.service.log)
    .toMatch(/has another storage now; .*storage=file_storage route=otlp_http\/logs items=2/);
  expect((await weir(stand, "journal", "list")).out).toMatch(/otlp_http\/logs +\d+ +2 .* no\n/);
  await stand.service.kill("SIGTERM");
  await stand.configure(yaml("storage: file_storage"));
  sink.answer = () => ({ status: 200 });
  await stand.service.start();
  await stand.until((laws) =>
    laws.some(({ delivered, queued }) => delivered === 2 && queued === 0),
  );
});

test("a sender that waits for the destination's answer is told when its items were not taken", async () => {
  await using sink = await httpSink({ status: 200 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  const answerTo = async (status: number) => {
    sink.answer = () => ({ status });
    const answer = await stand.post([`e-${status}`]);
    return [answer.status, answer.headers.has("retry-after")];
  };
  expect(await answerTo(200)).toEqual([200, false]);
  expect(await answerTo(503)).toEqual([503, true]);
  expect(await answerTo(400)).toEqual([400, false]);
  expect(await stand.service.law()).toMatchObject([
    { appended: 3, delivered: 1, dropped: 1, dead_lettered: 1 },
  ]);
  await stand.service.kill("SIGTERM");
  expect(stand.service.log).toMatch(/weir dead-letter does not see them/);
  expect(stand.service.log).toMatch(/dead letters of queues without storage are lost.* letters=1/);
});

test("commands that name a route find its storage among those of the configuration", async () => {
  await using sink = await httpSink({ status: 204 });
  const exporter = (storage: string) =>
    `{ endpoint: "${sink.url}", database: d, tables: [function_logs], sending_queue: { storage: ${storage} } }`;
  const yaml = (it: Stand) => `${it.frame.replace(
    "extensions:",
    `extensions:\n  file_storage/b: { directory: "${it.path("b")}", create_directory: true, retain: 1h }`,
  )}
exporters:
  influxdb/a: ${exporter("file_storage")}
  influxdb/b: ${exporter("file_storage/b")}
${it
  .serviceWith("logs: { receivers: [otlp], exporters: [influxdb/a, influxdb/b] }")
  .replace("file_storage]", "file_storage, file_storage/b]")}`;
  await using stand = await Stand.open(yaml);
  await stand.service.start();
  await stand.post(["e-1"]);
  await stand.until((laws) => laws.every(({ delivered }) => delivered === 1));
  await stand.service.kill("SIGTERM");
  const run = async (...args: string[]) => {
    const ran = { out: "", err: "" };
    await main([...args, "--config", stand.config], {
      out: (text) => {
        ran.out += text;
      },
      err: (text) => {
        ran.err += text;
      },
    });
    return ran;
  };
  expect(await run("replay", "--from", "1h", "--to", "influxdb/b", "--of", "influxdb/b")).toEqual({
    out: `${stand.path("b")}: 1 items in 1 frames queued again\n`,
    err: "",
  });
  expect(await run("journal", "drop", "influxdb/b/logs")).toEqual({
    out: `${stand.path("b")}: 1 items of influxdb/b/logs dropped\n`,
    err: "",
  });
  expect((await run("replay", "--from", "1h", "--to", "influxdb/c")).err).toMatch(
    /no route influxdb\/c/,
  );
});

test("the service goes on without a reader of its standard output", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  debug: { verbosity: normal, use_internal_logger: false }
  file: { path: "${it.path("out.jsonl")}" }
${it.serviceWith("logs: { receivers: [otlp], exporters: [debug, file] }")}`,
  );
  const args = ["src/main.ts", "--config", stand.config];
  const service = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => {
    service.kill("SIGKILL");
  });
  const post = () => stand.post(["e-1"]).catch(() => undefined);
  await until(async () => (await post())?.status === 200);
  service.stdout.destroy();
  await until(async () => {
    expect((await post())?.status).toBe(200);
    return ((await stand.service.dropped()).get("debug")?.get("not_shown") ?? 0) > 0;
  });
  expect((await post())?.status).toBe(200);
});
