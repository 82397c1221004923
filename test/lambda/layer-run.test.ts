import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ID, invocation, OTHER } from "../receivers/telemetry_api/events.ts";
import { ownMs } from "../support/core-waits.ts";
import { FakeLambda } from "../support/fake-lambda.ts";
import { runExtension, startExtension, streamsOf } from "../support/lambda-extension.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Bundling shares the machine with other tests. */
const BUILD_MS = 120_000;

let directory = "";
const wrapper = () => join(directory, "extensions", "weir");
const env = { WEIR_NODE: process.execPath };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "weir-layer-"));
  execFileSync(
    process.execPath,
    ["tools/layer.ts", "--dir", directory, "--out", join(directory, "layer.zip")],
    { cwd: ROOT },
  );
}, BUILD_MS);

afterAll(() => rm(directory, { recursive: true, force: true }));

/** What reaches Loki of the same three events, and how the extension ends. */
async function delivered(command?: [string]) {
  await using started = await startExtension({ env, ...(command && { command }) });
  const { lambda, loki, ended } = started;
  lambda.invoke(ID);
  expect(await lambda.post(invocation(ID, 1_000).slice(0, 3))).toEqual([200]);
  await lambda.asked(2);
  lambda.shutDown();
  const end = await ended;
  const { subscription, registered, names } = lambda;
  const streams = streamsOf(loki);
  return {
    streams,
    types: subscription?.types,
    buffering: subscription?.buffering,
    registered,
    names,
    end,
  };
}

describe("the layer", () => {
  test("does what the extension does when it runs from its sources", async () => {
    const layer = await delivered([wrapper()]);
    expect(layer.end).toEqual({ code: 0, said: "" });
    expect(layer.streams).toHaveLength(1);
    expect(layer).toEqual(await delivered());
  });

  test("what waits for a fuller batch goes out at the shutdown within 2 s", async () => {
    await using started = await startExtension({
      env: { ...env, DISPATCH_MIN_BATCH_SIZE: "10" },
      command: [wrapper()],
    });
    const { lambda, loki, ended, pid } = started;
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

  test("a value that has to be checked is checked: the other file is read", async () => {
    const lambda = await FakeLambda.start();
    const odd = { ...env, AWS_LAMBDA_RUNTIME_API: lambda.address, LOKI_IP: "http://u:p@h" };
    const { code, said } = await runExtension(odd, [wrapper()]).ended;
    expect([code, said]).toEqual([
      1,
      expect.stringContaining("credentials belong in an extension"),
    ]);
    expect(lambda.errors).toEqual(["POST /2020-01-01/extension/init/error Extension.WeirStart"]);
    await lambda.close();
  });

  test("a whole configuration is read", async () => {
    const file = join(directory, "own.yaml");
    await using started = await startExtension({
      env: { ...env, WEIR_CONFIG: file },
      command: [wrapper()],
      before: (loki) =>
        writeFile(
          file,
          `receivers: { telemetry_api: { endpoint: "127.0.0.1:0" } }
exporters: { otlp_http: { endpoint: "${loki.url}", encoding: json, compression: none } }
service:
  telemetry: { logs: { level: error }, metrics: { level: none } }
  pipelines: { traces: { receivers: [telemetry_api], exporters: [otlp_http] } }
`,
        ),
    });
    const { lambda, loki, ended } = started;
    lambda.invoke(ID);
    await lambda.post(invocation(ID));
    await lambda.asked(2);
    expect(loki.requests.map(({ url }) => url)).toEqual(["/v1/traces"]);
    lambda.shutDown();
    expect((await ended).code).toBe(0);
  });

  test("no LOKI_IP: it says so and ends", async () => {
    const address = { AWS_LAMBDA_RUNTIME_API: "127.0.0.1:1" };
    const { ended } = runExtension({ ...env, ...address }, [wrapper()]);
    expect(await ended).toEqual({ code: 1, said: "LOKI Ip undefined\n" });
  });

  test("the file that every cold start reads has nothing in it that reads configurations, and no second HTTP client", () => {
    const code = readFileSync(join(directory, "weir", "extension.cjs"), "latin1");
    expect(code).toContain("LOKI Ip undefined");
    for (const mark of ["ZodError", "YAMLParseError", "UND_ERR", "pino"]) {
      expect(code).not.toContain(mark);
      expect(readFileSync(join(directory, "weir", "whole.cjs"), "latin1")).toContain(mark);
    }
    expect(Buffer.byteLength(code)).toBeLessThan(600_000);
  });
});
