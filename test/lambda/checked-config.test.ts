import fc from "fast-check";
import { expect, test } from "vitest";
import { createAllLambdaComponents } from "../../src/commands/lambda-all-components.ts";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { checkedConfig, withValues } from "../../src/lambda/checked-config.ts";
import { readSettings } from "../../src/lambda/own-config.ts";
import { checkedExample } from "../../tools/layer-bundle.ts";

const catalog = createAllLambdaComponents({ listens() {}, done() {} });

/** The slow twin: the same environment, read and checked as a whole configuration. */
async function checkedNow(sources: readonly string[]) {
  const loaded = await loadConfig({ sources, sets: [], env: {}, catalog, cwd: "/" });
  return loaded.ok
    ? { config: withoutPlaces(loaded.config), warnings: loaded.warnings }
    : undefined;
}

/** Where in the text something stood is all that may differ. */
function withoutPlaces(config: Config): unknown {
  const bare = (map: ReadonlyMap<string, object>) =>
    new Map([...map].map(([id, of]) => [id, { ...of, where: undefined }]));
  const { service } = config;
  return {
    ...config,
    receivers: bare(config.receivers),
    exporters: bare(config.exporters),
    service: { ...service, pipelines: bare(service.pipelines) },
  };
}

/** Values that are usual, and some that are not: one time in ten. */
function mostly(usual: readonly string[], odd: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: odd },
  );
}

const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."abcXYZ019 $-_.{}\"'\\#:"), minLength: 1, maxLength: 12 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
);
const addresses = [
  "10.0.0.5",
  "loki.internal",
  "https://h:443/a/b",
  "http://h/loki/api/v1/push",
  "http://h:3100/",
];
const oddAddresses = [
  "http://[::1]:3100",
  "http://u:p@h:1",
  "http://h/?a=b#c",
  "http://bücher",
  "HTTP://H",
];
const environment = fc.record({
  LOKI_IP: mostly(addresses, fc.constantFrom(...oddAddresses)),
  AWS_LAMBDA_FUNCTION_NAME: mostly(["resize", "py$thon", ""], anyText),
  DISPATCH_MIN_BATCH_SIZE: fc.constantFrom("", "1", "2", "10"),
  WEIR_HOST: mostly(["", "127.0.0.1", "localhost"], fc.constantFrom("::1", "[::1]", "a b")),
  WEIR_PORT: fc.constantFrom("", "0", "9999"),
  WEIR_LINE_FORMAT: fc.constantFrom("", "record", "promtail"),
  OTEL_LABEL_TEAM: mostly(["", "blue", "$x{}", " a: 'b' #"], anyText),
  OTEL_LABEL_request_id: mostly([""], fc.constant("7")),
  OTEL_LABEL_SERVICE: fc.constantFrom("", "", "x"),
});

test("a checked configuration with other values is what checking them makes, or there is none", async () => {
  const checked = await checkedExample();
  let quick = 0;
  await fc.assert(
    fc.asyncProperty(environment, async (env) => {
      const { own, sources } = readSettings(env, []);
      if (own === undefined) throw new Error("the environment names no configuration");
      const config = withValues(checked, own);
      if (config === undefined) return;
      quick++;
      expect({ config: withoutPlaces(config), warnings: [] }).toEqual(await checkedNow(sources));
    }),
    { numRuns: 300, seed: 20_261_121 },
  );
  expect(quick).toBeGreaterThan(50);
});

test("an environment as it usually is needs no check", async () => {
  const checked = await checkedExample();
  const env = { AWS_LAMBDA_FUNCTION_NAME: "resize", OTEL_LABEL_TEAM: "blue", WEIR_PORT: "0" };
  for (const LOKI_IP of [
    "10.0.0.5",
    "loki.internal",
    "https://logs.example.com",
    "http://h:3100/",
  ]) {
    const { own } = readSettings({ ...env, LOKI_IP }, []);
    expect(own && withValues(checked, own)).toBeDefined();
  }
});

test("outside of the layer nothing is known beforehand", () => {
  expect(checkedConfig()).toBeUndefined();
});
