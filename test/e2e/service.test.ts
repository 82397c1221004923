import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { httpSink } from "../support/http-sink.ts";
import { isBalanced, type Law } from "../support/service.ts";
import { request, Stand } from "./stand.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const RETRY = "retry_on_failure: { initial_interval: 50ms, max_interval: 200ms }";
const DURABLE = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
const isEmpty = (laws: readonly Law[]) =>
  laws.length > 0 && laws.every(({ queued, appended }) => appended > 0 && queued === 0);

/** Runs the command to its end. */
function weir(...args: string[]) {
  const { status, stderr, stdout } = spawnSync(process.execPath, ["src/main.ts", ...args], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 100_000,
  });
  return { status, stderr, stdout };
}

test("one record goes from a socket to two files by two pipelines, and the law balances", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
processors:
  attributes: { actions: [{ action: rename, key: execution.id, new_key: execution_id }, { action: upsert, key: region, value: north }] }
  resource: { attributes: [{ action: upsert, key: service.name, value: renamed }] }
exporters:
  file/lines: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs, logs], ${DURABLE} }
  file/json: { path: "${it.path("out.jsonl")}", format: otlp_json, ${DURABLE} }
${it.serviceWith(`logs/a: { receivers: [otlp, line_protocol], processors: [attributes, resource], exporters: [file/lines] }
logs/b: { receivers: [otlp], exporters: [file/json] }`)}`,
  );
  await stand.service.start();
  expect((await stand.post(["e-1"])).status).toBe(200);
  await stand.until(isEmpty);
  await stand.datagram('plant,site=north t=21.5,state="ok" 1705314600000000000');
  const laws = await stand.until(
    (all) => isEmpty(all) && all.some(({ delivered }) => delivered === 2),
  );
  expect(laws.every(isBalanced)).toBe(true);
  const lines = await readFile(stand.path("out.lp"), "utf8");
  const ids = 'trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"';
  const attributes = 'attributes="{\\"region\\":\\"north\\"}"';
  expect(lines.split("\n").sort()).toEqual([
    "",
    `function_logs,function_id=f,execution_id=e-1,status=success exit_code=0i,message="e-1",${ids},${attributes} 1705314600000000000`,
    expect.stringMatching(/^logs,service_name=renamed,level=unknown,region=north message="e-1",/),
    'plant,site=north t=21.5,state="ok",region="north" 1705314600000000000',
  ]);
  const json = JSON.parse(await readFile(stand.path("out.jsonl"), "utf8"));
  expect(json.resourceLogs[0].resource.attributes[0].value.stringValue).toBe("e2e");
  expect(await stand.service.kill("SIGTERM")).toBe(0);
});

test("O16: a dead destination delays nobody: ingest goes on, a restart finds the backlog, and all of it arrives", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  influxdb/dead: { endpoint: "${sink.url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }
  file/alive: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], ${DURABLE} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [influxdb/dead, file/alive] }")}`,
  );
  await stand.service.start();
  const texts = Array.from({ length: 50 }, (_, i) => `e-${i}`);
  for (const text of texts) expect((await stand.post([text])).status).toBe(200);
  await stand.until((laws) =>
    laws.some(({ exporter, delivered }) => exporter === "file/alive" && delivered === 50),
  );
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  await stand.service.start();
  const before = await stand.service.law();
  expect(before.every(isBalanced)).toBe(true);
  expect(before.find(({ exporter }) => exporter === "influxdb/dead")).toMatchObject({
    appended: 50,
    queued: 50,
  });
  sink.requests.length = 0;
  sink.answer = () => ({ status: 204 });
  await stand.until(isEmpty);
  const arrived = sink.requests.map(({ body }) => body.toString()).join("");
  for (const text of texts) expect(arrived).toContain(`execution_id=${text},`);
});

test("SIGKILL in the middle: everything acknowledged arrives, and the law balances", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", ${DURABLE}, ${RETRY} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  for (let i = 0; i < 20; i++) expect((await stand.post([`k-${i}-z`])).status).toBe(200);
  await stand.service.kill("SIGKILL");
  sink.answer = () => ({ status: 200 });
  await stand.service.start();
  expect((await stand.until(isEmpty)).every(isBalanced)).toBe(true);
  const arrived = sink.requests.map(({ body }) => body.toString("latin1")).join("");
  for (let i = 0; i < 20; i++) expect(arrived).toContain(`k-${i}-z`);
});

test("a full queue refuses before the body is read, with Retry-After, and takes again when there is room", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", sending_queue: { storage: file_storage, queue_size: 3 }, ${RETRY} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  const answers: Response[] = [];
  for (let i = 0; i < 5; i++) answers.push(await stand.post([`q-${i}`]));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 503, 503]);
  expect(Number(answers[4]?.headers.get("retry-after"))).toBeGreaterThan(0);
  sink.answer = () => ({ status: 200 });
  await stand.until(isEmpty);
  expect((await stand.post(["after"])).status).toBe(200);
});

test("wait_for_result answers when the destination has it; a queue without storage answers at once", async () => {
  await using sink = await httpSink({ status: 200, delayMs: 400 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", sending_queue: { wait_for_result: true } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  const begun = performance.now();
  expect((await stand.post(["waited"])).status).toBe(200);
  expect(performance.now() - begun).toBeGreaterThan(350);
  expect(sink.requests).toHaveLength(1);
});

test("a second process on the same directory ends with one clear line", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, ${DURABLE} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`,
  );
  await stand.service.start();
  const [health, metrics] = [stand.ports.health, stand.ports.metrics];
  const { status, stderr } = weir(
    "--config",
    stand.config,
    "--set",
    `extensions.health_check.endpoint=127.0.0.1:0`,
    "--set",
    "service.telemetry.metrics.level=none",
  );
  expect(status).toBe(1);
  expect(stderr).toContain(`${stand.path("queue")} is in use by process ${stand.service.pid}`);
  expect(stderr.split("\n").filter((line) => line.startsWith("cannot start"))).toHaveLength(1);
  expect([health, metrics]).not.toContain(0);
});

test("address in use: the line names the address and what to do; validate stays silent", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, ${DURABLE} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`,
  );
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(stand.ports.http, "127.0.0.1", resolve));
  try {
    const { status, stderr } = weir("--config", stand.config);
    expect(status).toBe(1);
    expect(stderr).toContain(`127.0.0.1:${stand.ports.http}`);
    expect(stderr).toMatch(/in use/);
    expect(weir("validate", "--config", stand.config)).toMatchObject({
      status: 0,
      stderr: "",
      stdout: "",
    });
  } finally {
    await new Promise((resolve) => squatter.close(resolve));
  }
});

test("SIGTERM while a request is on its way: it is finished and acknowledged, then the exit code is 0", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], ${DURABLE} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`,
  );
  await stand.service.start();
  const body = request(["last"]);
  const socket = connect(stand.ports.http, "127.0.0.1");
  socket.write(
    `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.subarray(0, 10));
  await expect.poll(() => stand.service.metric("weir_budget_used_bytes")).toBeGreaterThan(0);
  const ended = stand.service.kill("SIGTERM");
  await sleep(200);
  socket.write(body.subarray(10));
  const answer = await new Promise<string>((resolve) =>
    socket.once("data", (data) => resolve(String(data))),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(await ended).toBe(0);
  await stand.service.start();
  await stand.until(isEmpty);
  expect(await readFile(stand.path("out.lp"), "utf8")).toContain("execution_id=last,");
});

test("instances of one type work side by side, each counted under its full id", async () => {
  await using one = await httpSink({ status: 204 });
  await using two = await httpSink({ status: 204 });
  await using stand = await Stand.open(
    (
      it,
    ) => `${it.frame.replace("line_protocol:", "line_protocol/ns:").replace("tcp: {", "precision: ns, tcp: {")}
  line_protocol/auto: { udp: { endpoint: "127.0.0.1:${it.ports.store}" } }
exporters:
  influxdb/a: { endpoint: "${one.url}", database: d, ${DURABLE} }
  influxdb/b: { endpoint: "${two.url}", database: d, api: v2, ${DURABLE} }
${it.serviceWith("logs: { receivers: [line_protocol/ns, line_protocol/auto], exporters: [influxdb/a, influxdb/b] }")}`,
  );
  await stand.service.start();
  await stand.datagram("tick v=1i 1705314600");
  const laws = await stand.until((all) => all.length === 2 && isEmpty(all));
  expect(laws.map(({ exporter }) => exporter).sort()).toEqual(["influxdb/a", "influxdb/b"]);
  expect(one.requests[0]?.body.toString()).toBe("tick v=1i 1705314600\n");
  expect(two.requests[0]?.url).toContain("/api/v2/write");
});

test("a queue without storage is emptied at the stop", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  otlp_http: { endpoint: "${sink.url}", ${RETRY} }
${it.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
  await stand.service.start();
  for (let i = 0; i < 10; i++) expect((await stand.post([`m-${i}-z`])).status).toBe(200);
  const ended = stand.service.kill("SIGTERM");
  await sleep(300);
  sink.answer = () => ({ status: 200 });
  expect(await ended).toBe(0);
  const arrived = sink.requests.map(({ body }) => body.toString("latin1")).join("");
  for (let i = 0; i < 10; i++) expect(arrived).toContain(`m-${i}-z`);
});

test("the queue of an exporter that left the configuration is kept, and said at the start", async () => {
  await using sink = await httpSink({ status: 503 });
  const yaml = (exporter: string) => (it: Stand) =>
    `${it.frame}
exporters:
  ${exporter}: { endpoint: "${sink.url}", ${DURABLE}, ${RETRY} }
${it.serviceWith(`logs: { receivers: [otlp], exporters: [${exporter}] }`)}`;
  await using stand = await Stand.open(yaml("otlp_http/old"));
  await stand.service.start();
  expect((await stand.post(["kept-1-z"])).status).toBe(200);
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  await stand.configure(yaml("otlp_http/new"));
  await stand.service.start();
  await expect.poll(() => stand.service.log).toContain("otlp_http/old/logs");
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  sink.answer = () => ({ status: 200 });
  await stand.configure(yaml("otlp_http/old"));
  await stand.service.start();
  await stand.until((laws) => laws.length === 1 && laws.every(({ queued }) => queued === 0));
  expect(sink.requests.at(-1)?.body.toString("latin1")).toContain("kept-1-z");
});
