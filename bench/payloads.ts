/**
 * Payloads for benches and tests, equal in every run: "plain" ones as one SDK sends them (368 bytes per log record, 8
 * attributes in equal order) and "mixed" ones as a busy gateway gets them.
 */
import { encodeRequest, type Json } from "../test/support/otlp.ts";

/** A small linear congruential generator: benches must not depend on Math.random. */
class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state / 4294967296;
  }
  below(count: number): number {
    return Math.floor(this.next() * count);
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
  hex(bytes: number): string {
    return Array.from({ length: bytes }, () => this.below(256).toString(16).padStart(2, "0")).join(
      "",
    );
  }
  uuid(): string {
    const h = this.hex(16);
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20)}`;
  }
  shuffle<T>(list: T[]): void {
    for (let j = list.length - 1; j > 0; j--) {
      const k = this.below(j + 1);
      const held = list[j] as T;
      list[j] = list[k] as T;
      list[k] = held;
    }
  }
}

type Attribute = { key: string; value: Json };
const START_NS = 1_732_167_300_000_000_000n;
const text = (stringValue: string) => ({ stringValue });
const int = (value: number) => ({ intValue: String(value) });
const attributes = (from: Record<string, Json>): Attribute[] =>
  Object.entries(from).map(([key, value]) => ({ key, value }));
const timeOf = (dice: Dice, i: number) =>
  String(START_NS + BigInt(i) * 1_000_003n + BigInt(dice.below(1_000_000)));

const RESOURCE = {
  attributes: attributes({
    "service.name": text("checkout-api"),
    "service.version": text("2.14.3"),
    "service.namespace": text("shop"),
    "deployment.environment.name": text("production"),
    "host.name": text("ip-10-12-44-7.eu-west-1.compute.internal"),
    "telemetry.sdk.name": text("opentelemetry"),
    "telemetry.sdk.language": text("nodejs"),
    "telemetry.sdk.version": text("2.2.0"),
  }),
};
const MESSAGES = [
  "Function executed successfully",
  "GET /api/v1/orders/12345 completed in 34ms, rows=17 cache=hit",
  "payment gateway responded with 202 Accepted for order 99812, retry not required",
  'Unhandled error: Cannot read properties of undefined (reading "items") at checkout.js:118:22',
  "user session refreshed; ttl=3600s region=eu-west-1 shard=17",
];
const WORDS =
  'order payment user checkout failed retry timeout "quoted" path\\to\\file über naïve 東京 request id= , value session cache'.split(
    " ",
  );
const STATUSES = [...Array(7).fill("success"), "error", "timeout", "failed"] as string[];
const ROUTES = [
  "/api/v1/orders/{id}",
  "/api/v1/orders",
  "/extractor",
  "/handlers/{handlerId}/events",
  "/verify",
  "/health",
];

/** `n` log records of one function platform: 368 bytes each, 8 attributes, trace and span ids. */
export function plainLogs(n: number): Uint8Array {
  return encodeRequest("logs", logRequest(logRecords(new Dice(42), n)));
}

/**
 * `n` log records of which half have shuffled attributes, with 0–4 attributes that nobody declared, some missing, and quotes,
 * backslashes and UTF-8 in bodies. Seeds 0–63 make the set of the "mixed" gates.
 */
export function mixedLogs(n: number, seed: number): Uint8Array {
  const dice = new Dice(1000 + seed);
  const records = logRecords(dice, n);
  for (const record of records) {
    const list = record.attributes;
    record.body = text(
      Array.from({ length: 3 + dice.below(14) }, () => dice.pick(WORDS)).join(" "),
    );
    if (dice.below(2)) dice.shuffle(list);
    for (let j = dice.below(5); j > 0; j--)
      list.splice(dice.below(list.length + 1), 0, {
        key: `custom.attr.${dice.below(30)}`,
        value: text(`v${dice.below(1e6)}`),
      });
    if (dice.below(8) === 0) list.splice(dice.below(list.length), 1);
  }
  return encodeRequest("logs", logRequest(records));
}

/** `n` HTTP server spans: 606 bytes each, 12–13 attributes. */
export function plainSpans(n: number): Uint8Array {
  const dice = new Dice(43);
  const accounts = Array.from({ length: 200 }, () => dice.uuid());
  const spans = Array.from({ length: n }, (_, i) => span(dice, i, dice.pick(accounts)));
  const scope = { name: "@opentelemetry/instrumentation-http", version: "0.208.0" };
  return encodeRequest("traces", {
    resourceSpans: [{ resource: RESOURCE, scopeSpans: [{ scope, spans }] }],
  });
}

/** `n` data points in metrics of ten points: a third each of gauge, sum and histogram with 15 buckets. */
export function plainMetrics(n: number): Uint8Array {
  const dice = new Dice(44);
  const metrics = Array.from({ length: Math.ceil(n / 10) }, (_, k) =>
    metric(dice, k, Math.min(10, n - k * 10)),
  );
  const scope = { name: "@opentelemetry/instrumentation-http", version: "0.208.0" };
  return encodeRequest("metrics", {
    resourceMetrics: [{ resource: RESOURCE, scopeMetrics: [{ scope, metrics }] }],
  });
}

/**
 * `n` data points of which half have shuffled attributes and some have 1–4 attributes more, in metrics of one to ten points whose names
 * and attributes differ; one of ten metrics is an exponential histogram or a summary.
 */
export function mixedMetrics(n: number, seed: number): Uint8Array {
  const dice = new Dice(2000 + seed);
  const metrics: Json[] = [];
  for (let left = n; left > 0; ) {
    const points = Math.min(left, 1 + dice.below(10));
    left -= points;
    const type = dice.below(10) === 0 ? 3 + dice.below(2) : dice.below(3);
    metrics.push(metric(dice, 3 * dice.below(20) + (type % 3), points, type));
  }
  for (const one of metrics)
    for (const data of Object.values(one) as { dataPoints?: { attributes: Attribute[] }[] }[])
      for (const { attributes: list } of data.dataPoints ?? []) {
        if (dice.below(2)) dice.shuffle(list);
        for (let j = dice.below(5); j > 0; j--)
          list.splice(dice.below(list.length + 1), 0, {
            key: `custom.attr.${dice.below(30)}`,
            value: text(`v ${dice.below(1e6)}`),
          });
      }
  const scope = { name: "@opentelemetry/instrumentation-http", version: "0.208.0" };
  return encodeRequest("metrics", {
    resourceMetrics: [{ resource: RESOURCE, scopeMetrics: [{ scope, metrics }] }],
  });
}

function logRequest(logRecords: readonly object[]): Json {
  const scope = { name: "cloud-logger", version: "1.4.0" };
  return { resourceLogs: [{ resource: RESOURCE, scopeLogs: [{ scope, logRecords }] }] };
}

function logRecords(dice: Dice, n: number) {
  const functions = Array.from({ length: 40 }, () => dice.uuid());
  return Array.from({ length: n }, (_, i) => {
    const status = dice.pick(STATUSES);
    const isFine = status === "success";
    return {
      timeUnixNano: timeOf(dice, i),
      observedTimeUnixNano: timeOf(dice, i),
      severityNumber: isFine ? 9 : 17,
      severityText: isFine ? "INFO" : "ERROR",
      body: text(dice.pick(MESSAGES) + (dice.below(4) === 0 ? ` #${dice.below(1e6)}` : "")),
      attributes: attributes({
        "function.id": text(dice.pick(functions)),
        "execution.id": text(dice.uuid()),
        status: text(status),
        "function.version": text(String(1 + dice.below(5))),
        duration_ms: int(dice.below(5000)),
        memory_used_mb: int(32 + dice.below(400)),
        exit_code: int(isFine ? 0 : dice.below(3)),
        cpu_time_ms: int(dice.below(2000)),
      }),
      traceId: dice.hex(16),
      spanId: dice.hex(8),
      flags: 1,
    };
  });
}

function span(dice: Dice, i: number, account: string): Json {
  const route = dice.pick(ROUTES);
  const method = dice.pick(["GET", "POST", "PUT"]);
  const isError = dice.below(20) === 0;
  const code = isError ? 500 : dice.pick([200, 200, 200, 201, 404]);
  const start = timeOf(dice, i);
  const path = route.replace("{id}", String(dice.below(1e6))).replace("{handlerId}", dice.uuid());
  return {
    traceId: dice.hex(16),
    spanId: dice.hex(8),
    ...(dice.below(2) ? { parentSpanId: dice.hex(8) } : {}),
    flags: 257,
    name: `${method} ${route}`,
    kind: 2,
    startTimeUnixNano: start,
    endTimeUnixNano: String(BigInt(start) + BigInt(dice.below(300_000_000))),
    attributes: attributes({
      "http.request.method": text(method),
      "http.route": text(route),
      "http.response.status_code": int(code),
      "url.path": text(path),
      "url.scheme": text("https"),
      "server.address": text("api.shop.example.com"),
      "server.port": int(443),
      "client.address": text(`10.${dice.below(256)}.${dice.below(256)}.${dice.below(256)}`),
      "network.protocol.version": text("1.1"),
      "user_agent.original": text(
        "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
      ),
      "enduser.id": text(account),
      "http.request.id": text(dice.uuid()),
      ...(isError ? { "error.code": int(11000 + dice.below(40)) } : {}),
    }),
    status: isError ? { code: 2, message: "internal error" } : {},
  };
}

function metric(dice: Dice, k: number, points: number, type = k % 3): Json {
  const dataPoints = Array.from({ length: points }, (_, i) => point(dice, i, type));
  const base = {
    name: `${["process.memory.usage", "http.server.requests", "http.server.request.duration"][type % 3]}${k > 2 ? `.${k}` : ""}`,
    description: "A metric description of usual length",
    unit: type === 2 ? "s" : "By",
  };
  if (type === 0) return { ...base, gauge: { dataPoints } };
  if (type === 1)
    return { ...base, sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true } };
  if (type === 2) return { ...base, histogram: { dataPoints, aggregationTemporality: 2 } };
  if (type === 3)
    return { ...base, exponentialHistogram: { dataPoints, aggregationTemporality: 2 } };
  return { ...base, summary: { dataPoints } };
}

function point(dice: Dice, i: number, type: number): Json {
  const base = {
    attributes: attributes({
      "http.request.method": text(dice.pick(["GET", "POST"])),
      "http.route": text(dice.pick(ROUTES)),
      "http.response.status_code": int(200),
      "server.address": text("api.shop.example.com"),
      "server.port": int(443),
      "url.scheme": text("https"),
    }),
    startTimeUnixNano: String(START_NS),
    timeUnixNano: timeOf(dice, i),
  };
  if (type === 0) return { ...base, asDouble: dice.next() * 1e6 };
  if (type === 1) return { ...base, asInt: String(dice.below(1e6)) };
  if (type === 3)
    return {
      ...base,
      count: "300",
      sum: dice.next() * 1e4,
      scale: 3,
      zeroCount: "3",
      positive: {
        offset: -20,
        bucketCounts: Array.from({ length: 40 }, () => String(dice.below(200))),
      },
    };
  if (type === 4)
    return {
      ...base,
      count: "300",
      sum: dice.next() * 1e4,
      quantileValues: [0.5, 0.9, 0.99].map((quantile) => ({ quantile, value: dice.next() })),
    };
  const bucketCounts = Array.from({ length: 15 }, () => dice.below(200));
  return {
    ...base,
    count: String(bucketCounts.reduce((a, b) => a + b)),
    sum: dice.next() * 1e4,
    min: dice.next(),
    max: dice.next() * 100,
    bucketCounts: bucketCounts.map(String),
    explicitBounds: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  };
}
