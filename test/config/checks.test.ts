import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { Delivery, Secret } from "../../src/config/blocks.ts";
import { loadWithTree, withTranslated } from "../../src/config/load.ts";
import { redacted } from "../../src/config/print.ts";
import { catalog } from "./catalog.ts";
import { configOf, load, messages, warnings } from "./loading.ts";

const PARTS = `receivers: { otlp: { protocols: { grpc: } }, line_protocol: { udp: {} } }
exporters: { debug: , influxdb: { endpoint: "http://h:1", database: d }, otlp_http: { endpoint: "http://h:2" } }
`;
const pipelines = (text: string) => `${PARTS}service: { pipelines: { ${text} } }\n`;

describe("references and pipelines", () => {
  test.each([
    [
      "logs: { receivers: [], exporters: [debug] }",
      "3:44: pipeline logs has no receivers: name at least one",
    ],
    ["logs: { receivers: [otlp] }", "3:25: pipeline logs has no exporters: name at least one"],
    ["logs:", "3:25: pipeline logs has no receivers: name at least one"],
    [
      "",
      "3:23: at least one pipeline is needed, for example pipelines: { logs: { receivers: [otlp], exporters: [debug] } }",
    ],
    [
      "profiles: { receivers: [otlp], exporters: [debug] }",
      "3:25: pipelines of profiles are not supported",
    ],
    [
      "log/a: { receivers: [otlp], exporters: [debug] }",
      '3:25: unknown signal "log" (did you mean "logs"?)',
    ],
    [
      "logs: { receivers: [debug], exporters: [debug] }",
      '3:45: receiver "debug" is not configured: "debug" is under exporters',
    ],
    [
      "logs: { receivers: [otlp/x], exporters: [debug] }",
      '3:45: receiver "otlp/x" is not configured (did you mean "otlp"?)',
    ],
    [
      "metrics: { receivers: [line_protocol], exporters: [debug] }",
      '3:48: receiver "line_protocol" does not support metrics (it supports logs)',
    ],
    [
      "logs: { receivers: [otlp], processors: [batch], exporters: [debug] }",
      '3:65: processor "batch" is not configured: add it under processors',
    ],
    [
      "logs: { receivers: [otlp], exporter: [debug] }",
      '3:52: unknown key "exporter" (did you mean "exporters"?)',
    ],
    ["logs: { receivers: [otlp], exporters: [5] }", "3:64: expected a text, got 5"],
    [
      "logs/: { receivers: [otlp], exporters: [debug] }",
      '3:25: in "logs/" the part after / must not be empty',
    ],
  ])("%s", async (text, message) => {
    expect(messages(await load([pipelines(text)]))).toContain(`a.yaml:${message}`);
  });

  test("a processor twice is an error, a receiver twice a warning", async () => {
    const text = `${PARTS}processors: { attributes: { actions: [{ key: k, action: delete }] } }
service: { pipelines: { logs: { receivers: [otlp, otlp], processors: [attributes, attributes], exporters: [debug] } } }\n`;
    const loaded = await load([text]);
    expect(messages(loaded)).toEqual([
      'a.yaml:4:83: processor "attributes" is in pipeline logs twice',
    ]);
    expect(warnings(loaded)).toEqual([
      'a.yaml:4:51: receiver "otlp" is in pipeline logs twice: counted once',
    ]);
  });

  test.each([
    ["/x", 'in "/x" the part before / must not be empty'],
    ["x/", 'in "x/" the part after / must not be empty'],
    [
      "9x",
      'in "9x" the type "9x" may have letters, digits and _ only, must start with a letter and end before 64 characters',
    ],
    [
      "a-b",
      'in "a-b" the type "a-b" may have letters, digits and _ only, must start with a letter and end before 64 characters',
    ],
    [
      '"otlp/a b"',
      'in "otlp/a b" the name "a b" must have no spaces, symbols or control characters',
    ],
    [`otlp/${"n".repeat(1025)}`, "the name of an id has at most 1024 characters"],
  ])("id %.20s", async (id, message) => {
    const found = messages(await load([`receivers: { ? ${id} : {} }\nservice: {}\n`]));
    expect(found[0]).toBe(`a.yaml:1:16: ${message}`);
  });

  test("ids are trimmed, and equal then is twice", async () => {
    const text = `receivers: { " otlp ": { protocols: { http: } }, otlp: { protocols: { http: } } }\nservice:\n`;
    expect(messages(await load([text]))[0]).toBe('a.yaml:1:50: id "otlp" is there twice');
  });

  test("wrong shapes at the top", async () => {
    expect(messages(await load(["[]"]))).toEqual([
      "a.yaml:1:1: expected a mapping with receivers, exporters, service at the top",
    ]);
    expect(messages(await load([""]))).toEqual([
      "a.yaml:1:1: the configuration is empty: it needs receivers, exporters, …",
    ]);
    expect(messages(await load(["recievers: {}\nreceivers: []\n"]))).toEqual([
      'a.yaml:1:1: unknown key "recievers" (did you mean "receivers"?)',
      'a.yaml:1:1: "service" is missing: it says which pipelines and extensions run',
      "a.yaml:2:12: receivers: expected a mapping of ids to options",
    ]);
    expect(messages(await load(["a: 1\n\tb: 2\n"]))[0]).toMatch(/^a\.yaml:2:1: not YAML: /);
  });

  test("old names are accepted with one warning, also with a name behind them", async () => {
    const loaded = await load([
      `${PARTS}service: { pipelines: { logs: { receivers: [otlp], exporters: [otlphttp/x] } } }\n`,
      `exporters: { otlphttp/x: { endpoint: "http://h:3" } }\n`,
    ]);
    expect(configOf(loaded).exporters.get("otlphttp/x")).toMatchObject({
      id: "otlphttp/x",
      type: "otlp_http",
      name: "x",
    });
    expect(warnings(loaded)).toEqual([
      'b.yaml:1:14: "otlphttp" is the old name of "otlp_http": please write otlp_http',
    ]);
    const missing = await load([pipelines(""), "exporters: { otlp: { endpoint: x } }\n"]);
    expect(messages(missing).at(-1)).toBe(
      'b.yaml:1:14: the exporter "otlp" (now otlp_grpc) is not built in (valid: influxdb, debug, otlp_http)',
    );
  });

  test("storage must be a file_storage that starts", async () => {
    const queue = (started: string) => `${PARTS}extensions: { file_storage: , health_check: }
service: { extensions: [${started}], pipelines: { logs: { receivers: [otlp], exporters: [influxdb] } } }
`;
    const use = (storage: string) =>
      `exporters: { influxdb: { sending_queue: { storage: ${storage} } } }\n`;
    expect(messages(await load([queue(""), use("file_storage")]))).toEqual([
      'b.yaml:1:52: storage "file_storage" is configured but does not start: add it to service.extensions',
    ]);
    expect(messages(await load([queue("health_check"), use("health_check")]))).toEqual([
      'b.yaml:1:52: extension "health_check" is no storage: name a file_storage extension (valid: file_storage)',
    ]);
    expect(messages(await load([queue("file_storage"), use("file_storage")]))).toEqual([]);
  });
});

describe("listeners", () => {
  const both = (a: string, b: string, more = "") =>
    `receivers: { otlp: { protocols: { grpc: { endpoint: "${a}" } } }, otlp/b: { protocols: { http: { endpoint: "${b}" } } } ${more} }
exporters: { debug: }
service: { telemetry: { metrics: { readers: [] } }, pipelines: { logs: { receivers: [otlp, otlp/b], exporters: [debug] } } }\n`;
  test.each([
    ["127.0.0.1:1", "127.0.0.1:1", true],
    ["127.0.0.1:1", "localhost:1", true],
    ["127.0.0.1:1", "0.0.0.0:1", true],
    ["[::]:1", "127.0.0.1:1", true],
    ["127.0.0.1:1", "127.0.0.1:2", false],
    ["127.0.0.1:1", "127.0.0.2:1", false],
    ["127.0.0.1:0", "127.0.0.1:0", false],
  ])("%s and %s clash: %s", async (a, b, isClash) => {
    const found = messages(await load([both(a, b)]));
    expect(found).toHaveLength(isClash ? 1 : 0);
    if (isClash)
      expect(found[0]).toMatch(
        / is taken already by receivers\.otlp \(a\.yaml:1:\d+\): choose another port$/,
      );
  });

  test("UDP and TCP do not clash, unused ones neither, the metrics page does", async () => {
    const text = `receivers:
  line_protocol: { udp: {}, tcp: {} }
  line_protocol/unused: { udp: {} }
exporters: { debug: }
extensions: { health_check: { endpoint: "127.0.0.1:8888" } }
service: { extensions: [health_check], pipelines: { logs: { receivers: [line_protocol], exporters: [debug] } } }
`;
    expect(messages(await load([text]))).toEqual([
      "a.yaml:6:1: 127.0.0.1:8888 (tcp) is taken already by extensions.health_check (a.yaml:5:41): choose another port",
    ]);
  });
});

describe("service.telemetry", () => {
  const withTelemetry = (telemetry: string) =>
    pipelines(`logs: { receivers: [otlp], exporters: [debug] } }, telemetry: { ${telemetry}`);
  test.each([
    ["", { logs: { level: "info", encoding: "console" }, metricsEndpoint: "127.0.0.1:8888" }],
    ["logs: { level: WARN, encoding: json }", { logs: { level: "warn", encoding: "json" } }],
    ["metrics: { level: none }", { metricsEndpoint: undefined }],
    ["metrics: { readers: [] }", { metricsEndpoint: undefined }],
    [
      'metrics: { readers: [{ pull: { exporter: { prometheus: { host: "::1", port: 9 } } } }] }',
      { metricsEndpoint: "[::1]:9" },
    ],
  ])("%s", async (text, expected) => {
    expect(configOf(await load([withTelemetry(text)])).service.telemetry).toMatchObject(expected);
  });

  test("mistakes", async () => {
    expect(messages(await load([withTelemetry("logs: { level: loud }, metric: {}")]))).toEqual([
      'a.yaml:3:104: expected one of debug, info, warn, error, got "loud"',
      'a.yaml:3:112: unknown key "metric" (did you mean "metrics"?)',
    ]);
  });
});

describe("batch and memory_limiter", () => {
  test("become the queues' batch and the byte budget, and say so", async () => {
    const text = `${PARTS}processors: { batch: { send_batch_size: 10, timeout: 1s }, memory_limiter: { check_interval: 1s, limit_mib: 400 } }
service: { pipelines: { logs: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [influxdb, otlp_http] } } }
`;
    const own = "exporters: { otlp_http: { sending_queue: { batch: { min_size: 5 } } } }\n";
    const loaded = await load([text, own]);
    const config = configOf(loaded);
    expect(config.processors.size).toBe(0);
    expect(config.service.pipelines.get("logs")?.processors).toEqual([]);
    expect(config.limits.budgetBytes).toBe(100 * 1024 * 1024);
    expect(config.exporters.get("influxdb")?.options).toMatchObject({
      sending_queue: { batch: { flush_timeout: 1000, min_size: 10, max_size: 0, sizer: "items" } },
    });
    expect(config.exporters.get("otlp_http")?.options).toMatchObject({
      sending_queue: { batch: { flush_timeout: 200, min_size: 5 } },
    });
    expect(warnings(loaded)).toEqual([
      "a.yaml:3:15: batch becomes sending_queue.batch of influxdb: flush_timeout 1000ms, min_size 10, max_size 0",
      "a.yaml:3:15: batch in pipeline logs changes nothing for otlp_http, which has its own sending_queue.batch: take batch out",
      "a.yaml:3:60: memory_limiter becomes the byte budget of all requests in flight: 104857600 bytes, 25 % of its limit. What does not fit is refused before it is read",
    ]);
  });

  test("have the Collector's options only", async () => {
    const found = messages(
      await load([
        `${pipelines("")}processors: { batch: { send_batch_size: 10, send_batch_max_size: 5 }, memory_limiter: { limit: 5 } }\n`,
      ]),
    );
    expect(found.slice(1)).toEqual([
      "a.yaml:4:66: must be at least send_batch_size, or 0",
      "a.yaml:4:71: limit_mib or limit_percentage must be above 0",
      'a.yaml:4:89: unknown key "limit" (did you mean "limit_mib"?)',
    ]);
  });
});

describe("secrets", () => {
  const text = `receivers: { otlp: { protocols: { grpc: } } }
exporters: { influxdb: { endpoint: "http://me:hunter2@h:1", database: d, token: "\${env:T}", headers: { x: hunter2 } } }
service: { pipelines: { logs: { receivers: [otlp], exporters: [influxdb] } } }
`;
  test("never print: config, inspect, JSON, print-config", async () => {
    const config = configOf(await load([text], { env: { T: "hunter2" } }));
    const options = config.exporters.get("influxdb")?.options as { readonly token: Secret };
    expect(options.token.reveal()).toBe("hunter2");
    expect(
      `${options.token} ${inspect(options.token)} ${JSON.stringify(options.token)}`,
    ).not.toContain("hunter2");
    const { root } = await loadWithTree({
      sources: [`yaml:${text}`],
      sets: [],
      env: { T: "hunter2" },
      catalog,
      cwd: "/",
    });
    const printed = root && JSON.stringify(redacted(root, withTranslated(catalog)));
    expect(printed).toContain("[REDACTED]");
    expect(printed).not.toContain("hunter2");
  });

  test("never appear in problems", async () => {
    const wrong = text
      .replace("database: d", "database: { password: hunter2 }")
      .replace(`"\${env:T}"`, "[hunter2]")
      .replace("http://", "hunter2 //")
      .replace("x: hunter2", "x: { a: hunter2 }");
    const found = messages(await load([wrong]));
    expect(found.length).toBeGreaterThanOrEqual(3);
    expect(found.join("\n")).not.toContain("hunter2");
  });
});

test("any text ends in a configuration or in problems: fuzzed in a child that is killed when it hangs", () => {
  const script = fileURLToPath(new URL("./fuzz.ts", import.meta.url));
  const { status, stderr, error } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    timeout: 300_000,
    killSignal: "SIGKILL",
  });
  expect([status, stderr, error]).toEqual([0, "", undefined]);
}, 310_000);

test.each([
  ["null", 8192],
  ["{}", 8192],
  ["{ min_size: 3 }", 3],
  ["{ enabled: false, min_size: 3 }", undefined],
])("sending_queue.batch: %s", async (batch, minSize) => {
  const text = `${PARTS}service: { pipelines: { logs: { receivers: [otlp], exporters: [influxdb] } } }\n`;
  const more = `exporters: { influxdb: { sending_queue: { batch: ${batch} } } }\n`;
  const options = configOf(await load([text, more])).exporters.get("influxdb")?.options;
  const { sending_queue: queue } = options as Pick<Delivery, "sending_queue">;
  expect(queue.batch?.min_size).toBe(minSize);
});

test("a port that there is not is said where it stands", async () => {
  const ask = async (place: string) =>
    messages(
      await load([
        `${PARTS.replace("grpc: ", `grpc: { endpoint: "${place}" } `)}service: { pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }\n`,
      ]),
    );
  expect(await ask("127.0.0.1:65535")).toEqual([]);
  expect(await ask("127.0.0.1:65536")).toEqual([
    expect.stringMatching(/^a\.yaml:1:\d+: a port is a number up to 65535/),
  ]);
});
