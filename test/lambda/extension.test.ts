import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ID, invocation, OTHER } from "../receivers/telemetry_api/events.ts";
import { ownMs } from "../support/core-waits.ts";
import { FakeLambda } from "../support/fake-lambda.ts";
import { httpSink } from "../support/http-sink.ts";
import { runExtension, startExtension, streamsOf } from "../support/lambda-extension.ts";

const running: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of running.splice(0)) await one[Symbol.asyncDispose]();
});

/** A running extension, its Lambda and its Loki. */
async function start(env: Record<string, string> = {}) {
  const started = await startExtension({ env });
  running.push(started);
  return started;
}

async function fakeLambda(): Promise<FakeLambda> {
  const lambda = await FakeLambda.start();
  running.push({ [Symbol.asyncDispose]: () => lambda.close() });
  return lambda;
}

describe("weir lambda-extension", () => {
  test("registers, subscribes, delivers each invocation before it asks for the next event, and ends with the sandbox", async () => {
    const { lambda, loki, ended, pid } = await start();
    expect(lambda.calls).toEqual(["POST register", "PUT telemetry", "GET next"]);
    expect(lambda.names).toEqual(["weir"]);
    expect(lambda.registered).toEqual([{ events: ["INVOKE", "SHUTDOWN"] }]);
    expect(lambda.subscription).toMatchObject({
      types: ["platform", "function"],
      buffering: { maxItems: 1_000, maxBytes: 262_144, timeoutMs: 25 },
    });
    lambda.invoke(ID);
    expect(await lambda.post(invocation(ID, Date.now() % 1_000).slice(0, 3))).toEqual([200]);
    await lambda.asked(2);
    expect(streamsOf(loki)).toHaveLength(1);
    const [{ stream, values } = { stream: {}, values: [] }] = streamsOf(loki);
    expect(loki.requests[0]?.url).toBe("/loki/api/v1/push");
    expect(stream).toMatchObject({ source: "Lambda", function: "resize", service_name: "resize" });
    expect(values[0]?.[1]).toMatch(
      /^Info: source = lambda, function= resize, {2}time = \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC, record = hello from .*\n\n$/,
    );
    expect(values[0]?.[2]).toMatchObject({ faas_invocation_id: ID });
    lambda.invoke(OTHER);
    const last = lambda.post(invocation(OTHER, 1_000).slice(0, 3));
    await lambda.asked(3);
    await last;
    const shutDown = async () => {
      lambda.shutDown();
      expect(await ended).toEqual({ code: 0, said: "" });
    };
    expect(await ownMs(shutDown, pid)).toBeLessThan(2_000);
    expect(lambda.errors).toEqual([]);
  });

  test("fewer lines than DISPATCH_MIN_BATCH_SIZE wait, and go out at the shutdown within 2 s", async () => {
    const { lambda, loki, ended, pid } = await start({ DISPATCH_MIN_BATCH_SIZE: "10" });
    for (const [n, id] of [ID, OTHER].entries()) {
      lambda.invoke(id);
      await lambda.post(invocation(id, 1_000 * n).slice(0, 3));
      await lambda.asked(2 + n);
    }
    expect(loki.requests).toEqual([]);
    const shutDown = async () => {
      lambda.shutDown();
      expect((await ended).code).toBe(0);
    };
    expect(await ownMs(shutDown, pid)).toBeLessThan(2_000);
    expect(streamsOf(loki).flatMap(({ values }) => values)).toHaveLength(2);
  });

  test("a dead Loki holds no invocation up for long, and what is lost at the end is said", async () => {
    const { lambda, loki, ended, pid } = await start({ WEIR_FLUSH_TIMEOUT_MS: "100" });
    loki.answer = () => ({ status: 503 });
    lambda.invoke(ID);
    await lambda.post(invocation(ID).slice(0, 3));
    expect(await ownMs(() => lambda.asked(2), pid)).toBeLessThan(1_500);
    lambda.shutDown(Date.now() + 1_000);
    const { code, said } = await ended;
    expect(code).toBe(0);
    expect(said).toContain("1 items could not be delivered before the shutdown");
  });

  test("a configuration file of its own: rows and spans go where it says", async () => {
    const other = await httpSink({ status: 200 });
    running.push(other);
    const file = join(tmpdir(), `weir-lambda-${process.pid}.yaml`);
    await writeFile(
      file,
      `receivers: { telemetry_api: { endpoint: "127.0.0.1:0", function_name: "\${env:AWS_LAMBDA_FUNCTION_NAME}" } }
exporters: { otlp_http: { endpoint: "${other.url}", encoding: json, compression: none } }
service:
  telemetry: { logs: { level: error }, metrics: { level: none } }
  pipelines:
    logs: { receivers: [telemetry_api], exporters: [otlp_http] }
    traces: { receivers: [telemetry_api], exporters: [otlp_http] }
`,
    );
    const { lambda, ended } = await start({ LOKI_IP: "", WEIR_CONFIG: file });
    expect(lambda.subscription?.types).toEqual(["platform", "function", "extension"]);
    lambda.invoke(ID);
    await lambda.post(invocation(ID));
    await lambda.asked(2);
    const paths = other.requests.map(({ url }) => url);
    expect(paths.sort()).toEqual(["/v1/logs", "/v1/traces"]);
    lambda.shutDown();
    expect((await ended).code).toBe(0);
  });
});

describe("what stops it", () => {
  test("no LOKI_IP: it says so as the seed's extension did, and exits before it registers", async () => {
    const lambda = await fakeLambda();
    const { ended } = runExtension({ AWS_LAMBDA_RUNTIME_API: lambda.address });
    expect(await ended).toEqual({ code: 1, said: "LOKI Ip undefined\n" });
    expect(lambda.calls).toEqual([]);
  });

  test("no Lambda around it: what to do", async () => {
    const { code, said } = await runExtension({ LOKI_IP: "127.0.0.1" }).ended;
    expect([code, said]).toEqual([1, expect.stringContaining("AWS_LAMBDA_RUNTIME_API is missing")]);
  });

  test("a configuration that is wrong is told to Lambda as an error of the start", async () => {
    const lambda = await fakeLambda();
    const env = { AWS_LAMBDA_RUNTIME_API: lambda.address, WEIR_CONFIG: "yaml:exporters: {}" };
    const { code, said } = await runExtension(env).ended;
    expect([code, said]).toEqual([1, expect.stringContaining('"service" is missing')]);
    expect(lambda.errors).toEqual(["POST /2020-01-01/extension/init/error Extension.WeirStart"]);
  });
});
