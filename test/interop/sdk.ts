import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { folder, once, SOURCES, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { Stand } from "./stand.ts";

/** How an SDK's sender is started: it tells of one failed request on the given protocol and prints its trace id, or nothing. */
interface Sender {
  readonly name: string;
  readonly what: string;
  readonly protocols: readonly string[];
  /** What of a histogram, besides the counter, it sends. */
  readonly hasHistogram: boolean;
  install(): string | undefined;
  start(
    protocol: string,
    stand: Stand,
    service: string,
  ): {
    readonly command: string;
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
  };
}

const node: Sender = {
  name: "node",
  what: "an Express app under @opentelemetry/auto-instrumentations-node",
  protocols: ["grpc", "http/protobuf", "http/json"],
  hasHistogram: false,
  install() {
    const home = folder("node");
    copyFileSync(join(SOURCES, "node", "app.js"), join(home, "app.js"));
    return once(home, "node/package.json", "package.json", () =>
      step("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: home }),
    );
  },
  start: (protocol, stand, service) => ({
    command: process.execPath,
    cwd: folder("node"),
    args: [
      "--require",
      "@opentelemetry/auto-instrumentations-node/register",
      "--experimental-loader=@opentelemetry/instrumentation/hook.mjs",
      "app.js",
    ],
    env: {
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${protocol === "grpc" ? stand.grpc : stand.http}`,
      OTEL_LOGS_EXPORTER: "otlp",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_TRACES_EXPORTER: "otlp",
    },
  }),
};

const python: Sender = {
  name: "python",
  what: "the Python SDK",
  protocols: ["grpc", "http"],
  hasHistogram: true,
  install() {
    const home = folder("python");
    return once(
      home,
      "python/requirements.txt",
      "requirements.txt",
      () =>
        step("python3", ["-m", "venv", "venv"], { cwd: home }) ??
        step("venv/bin/pip", ["install", "-q", "-r", "requirements.txt"], { cwd: home }),
    );
  },
  start: (protocol, stand, service) => ({
    command: join(folder("python"), "venv", "bin", "python"),
    args: [
      join(SOURCES, "python", "send.py"),
      protocol,
      `http://${protocol === "grpc" ? stand.grpc : stand.http}`,
      service,
    ],
  }),
};

const java: Sender = {
  name: "java",
  what: "the Java SDK",
  protocols: ["grpc", "http"],
  hasHistogram: true,
  install() {
    const home = folder("java");
    return once(home, "java/pom.xml", "pom.xml", () =>
      step("mvn", ["-q", "dependency:copy-dependencies", "-DoutputDirectory=lib"], { cwd: home }),
    );
  },
  start: (protocol, stand, service) => ({
    command: "java",
    args: [
      "-cp",
      join(folder("java"), "lib", "*"),
      join(SOURCES, "java", "Send.java"),
      protocol,
      `http://${protocol === "grpc" ? stand.grpc : stand.http}`,
      service,
    ],
  }),
};

const go: Sender = {
  name: "go",
  what: "the Go SDK",
  protocols: ["grpc", "http"],
  hasHistogram: true,
  install() {
    const home = folder("go");
    copyFileSync(join(SOURCES, "go", "go.mod"), join(home, "go.mod"));
    return once(
      home,
      "go/send.go",
      "send.go",
      () =>
        step("go", ["mod", "tidy"], { cwd: home }) ??
        step("go", ["build", "-o", "send", "."], { cwd: home }),
    );
  },
  start: (protocol, stand, service) => ({
    command: join(folder("go"), "send"),
    args: [protocol, protocol === "grpc" ? stand.grpc : stand.http, service],
  }),
};

/** Real SDKs: the rows of one failed request in every series that it belongs to, joined by its trace id. */
export const sdks: readonly Peer[] = [node, python, java, go].map((sender) => ({
  name: `sdk-${sender.name}`,
  what: `${sender.what}: logs, traces and metrics over ${sender.protocols.join(", ")}`,
  install: async () => sender.install(),
  run: (check: Check) => run(sender, check),
}));

async function run(sender: Sender, check: Check): Promise<void> {
  const stand = await Stand.start();
  try {
    for (const protocol of sender.protocols) {
      const service = `${sender.name}-${protocol}`;
      const { command, args, env, cwd } = sender.start(protocol, stand, service);
      const { status, stderr } = spawnSync(command, args, {
        encoding: "utf8",
        cwd,
        env: { ...process.env, ...env },
        timeout: 60_000,
      });
      check(
        `${protocol}: the sender ended well`,
        status === 0 || status === null,
        status === 0 ? "" : stderr.slice(-400),
      );
      await stand.drained();
      await rowsOf(sender, protocol, service, stand, check);
    }
    await stand.end(check);
  } finally {
    await stand.remove();
  }
}

async function rowsOf(
  sender: Sender,
  protocol: string,
  service: string,
  stand: Stand,
  check: Check,
): Promise<void> {
  const of = (what: string) => `${protocol}: ${what}`;
  const [error] = await stand.rows(
    `SELECT time, route, status_code, request_id, trace_id, span_id FROM errors WHERE service = '${service}'`,
  );
  check(
    of("the 400 is a row of errors"),
    /^POST:\/orders\//.test(String(error?.["route"])) && error?.["status_code"] === "400",
    JSON.stringify(error),
  );
  const [request] = await stand.rows(
    `SELECT time, route, execution_time, trace_id FROM requests WHERE service = '${service}' AND status_code = '400'`,
  );
  check(
    of("… and of requests, at the same time, in the same trace"),
    request?.["time"] === error?.["time"] &&
      request?.["trace_id"] === error?.["trace_id"] &&
      Number(request?.["execution_time"]) > 0,
    JSON.stringify(request),
  );
  const [log] = await stand.rows(
    `SELECT level, message, trace_id, span_id FROM logs WHERE service_name = '${service}' AND message = 'an order without an item'`,
  );
  check(
    of("the log of that request carries its trace id"),
    log?.["level"] === "error" &&
      /^[0-9a-f]{32}$/.test(String(log["trace_id"])) &&
      log["trace_id"] === error?.["trace_id"],
    JSON.stringify(log),
  );
  const spans = await stand.count(
    `SELECT count(*) FROM spans WHERE service_name = '${service}' AND trace_id = '${String(error?.["trace_id"])}' AND span_id = '${String(error?.["span_id"])}'`,
  );
  check(of("the span is one row of spans"), spans === 1, String(spans));
  const [counter] = await stand.rows(
    `SELECT * FROM "interop.orders" WHERE service_name = '${service}' ORDER BY time DESC LIMIT 1`,
  );
  check(
    of("the counter arrived with its tags"),
    Number(counter?.["counter"]) === (sender.name === "node" ? 2 : 3) &&
      counter?.["shop"] === "east",
    JSON.stringify(counter),
  );
  if (!sender.hasHistogram) return;
  const [histogram] = await stand.rows(
    `SELECT count, sum, min, max, "+Inf" FROM "interop.delay" WHERE service_name = '${service}'`,
  );
  check(
    of("so did the histogram"),
    JSON.stringify(Object.values(histogram ?? {})) === "[1,0.25,0.25,0.25,1]",
    JSON.stringify(histogram),
  );
}
