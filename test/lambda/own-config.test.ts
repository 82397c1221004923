import { describe, expect, test } from "vitest";
import { createAllLambdaComponents } from "../../src/commands/lambda-all-components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { readSettings, SettingsError } from "../../src/lambda/own-config.ts";

const NOBODY = { listens() {}, done() {} };

/** The options that an environment stands for, as they are after the check. */
async function optionsOf(env: Record<string, string>) {
  const { sources } = readSettings({ LOKI_IP: "10.0.0.5", ...env }, []);
  const catalog = createAllLambdaComponents(NOBODY);
  const loaded = await loadConfig({ sources, sets: [], env: {}, catalog, cwd: "/" });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join());
  const { receivers, exporters } = loaded.config;
  return {
    receiver: receivers.get("telemetry_api")?.options,
    loki: exporters.get("loki")?.options,
  };
}

describe("the environment", () => {
  test("of the seed's extension: address, labels, batch", async () => {
    const env = {
      AWS_LAMBDA_FUNCTION_NAME: "py$thon",
      DISPATCH_MIN_BATCH_SIZE: "10",
      OTEL_LABEL_TEAM: "blue",
      OTEL_LABEL_SOURCE: "edge",
    };
    const { receiver, loki } = await optionsOf(env);
    expect(receiver).toMatchObject({
      endpoint: "0.0.0.0:4323",
      types: ["function"],
      function_name: "py$thon",
      line_format: "promtail",
      resource_attributes: { source: "edge", function: "py$thon", team: "blue" },
    });
    expect(loki).toMatchObject({
      endpoint: "http://10.0.0.5:3100",
      labels: ["team"],
      sending_queue: { batch: { min_size: 10 } },
    });
  });

  test("a batch of none is one of one", () => {
    const env = { LOKI_IP: "h", DISPATCH_MIN_BATCH_SIZE: "0" };
    expect(readSettings(env, [])).toMatchObject({ minBatch: 1 });
  });

  test.each([
    ["10.0.0.5", "http://10.0.0.5:3100"],
    ["loki.internal", "http://loki.internal:3100"],
    ["https://logs.example.com", "https://logs.example.com"],
    ["http://h:3100/loki", "http://h:3100"],
    ["http://h:3100/loki/api/v1/push", "http://h:3100"],
    ["http://h:3100/tenant/loki/", "http://h:3100/tenant"],
  ])("LOKI_IP %s is %s", async (LOKI_IP, endpoint) => {
    expect((await optionsOf({ LOKI_IP })).loki).toMatchObject({ endpoint });
  });

  test.each([
    [{}, "LOKI Ip undefined"],
    [{ LOKI_IP: "h", DISPATCH_MIN_BATCH_SIZE: "many" }, "DISPATCH_MIN_BATCH_SIZE"],
    [{ LOKI_IP: "h", WEIR_BUFFER_MAX_ITEMS: "1" }, "WEIR_BUFFER_MAX_ITEMS"],
    [{ LOKI_IP: "h", WEIR_BUFFER_TIMEOUT_MS: "1e9" }, "WEIR_BUFFER_TIMEOUT_MS"],
    [{ LOKI_IP: "http://h:99999" }, "LOKI_IP is no address"],
    [{ LOKI_IP: "a b" }, "LOKI_IP is no address"],
    [{ LOKI_IP: "ftp://h" }, "LOKI_IP is no address"],
    [{ LOKI_IP: "h", WEIR_LINE_FORMAT: "logfmt" }, "expected promtail or record"],
    [
      Object.fromEntries([
        ["LOKI_IP", "h"],
        ...Array.from({ length: 11 }, (_, n) => [`OTEL_LABEL_L${n}`, "x"]),
      ]),
      "at most 10 labels",
    ],
  ])("%j is refused", (env, why) => {
    expect(() => readSettings(env as Record<string, string>, [])).toThrow(SettingsError);
    expect(() => readSettings(env as Record<string, string>, [])).toThrow(why);
  });

  test("a whole configuration wins over LOKI_IP, and the command line over the variable", () => {
    expect(readSettings({ WEIR_CONFIG: "a.yaml" }, [])).toMatchObject({
      sources: ["a.yaml"],
      own: undefined,
    });
    expect(readSettings({ WEIR_CONFIG: "a.yaml" }, ["b.yaml"]).sources).toEqual(["b.yaml"]);
  });
});

test("what a configuration in a sandbox may name", () => {
  const { receivers, processors, exporters, extensions } = createAllLambdaComponents(NOBODY);
  expect([...receivers.keys()]).toEqual(["telemetry_api", "otlp"]);
  expect([...processors.keys()]).toEqual(["attributes", "resource"]);
  expect([...exporters.keys()]).toEqual(["loki", "dash0", "debug", "influxdb", "otlp_http"]);
  expect([...extensions.keys()]).toEqual(["basic_auth", "bearer_token_auth"]);
});
