import { expect, test } from "vitest";
import { statusBody } from "../../src/otlp/responses.ts";
import { type Kind, NAMES, plainOptions, whileBroken } from "../support/fault-destinations.ts";
import { namesInLines, namesInOtlp } from "../support/fault-rig.ts";
import { grpcSink } from "../support/grpc-sink.ts";
import { httpSink, type SinkAnswer } from "../support/http-sink.ts";
import { until } from "../support/until.ts";

/** What a destination asks for by Retry-After or RetryInfo, over real sockets: who waits, and who does not. */
const PAUSE_MS = 1_000;
/** Seconds. */
const AN_HOUR = { "retry-after": "3600" };

/** Sends what waits and, once that was refused, more: returns what came when, in order, with times from the refusal on. */
async function afterRefusal(kind: Kind, url: string, arrivals: { at: number; names: string[] }[]) {
  const { route, complaints } = await whileBroken(kind, plainOptions(kind, url));
  await until(() => complaints().length > 0);
  await route.append(["more"]);
  await until(() => route.counts().queued === 0);
  expect(route.counts()).toMatchObject({ appended: 51, delivered: 51 });
  const [first, ...later] = arrivals;
  return later.map(({ at, names }) => ({ ms: at - (first?.at ?? 0), names }));
}

test.each([
  ["influxdb", 429],
  ["influxdb", 503],
  ["otlp_http", 429],
  ["otlp_http", 503],
  ["otlp_grpc", 8],
  ["otlp_grpc", 14],
] as const)("%s, %i: no lane sends anything before its time", async (kind, status) => {
  const arrivals: { at: number; names: string[] }[] = [];
  const isFirst = (body: Uint8Array, namesIn: (body: Uint8Array) => string[]) =>
    arrivals.push({ at: performance.now(), names: namesIn(body) }) === 1;
  await using sink = kind === "otlp_grpc" ? await grpcSink([]) : await httpSink();
  if ("address" in sink) {
    const refusal = { kind: "refused", why: "", retryAfterMs: PAUSE_MS } as const;
    const busy = { code: status, details: statusBody(refusal, "protobuf") };
    sink.answer = ({ message }) => (isFirst(message, namesInOtlp) ? busy : {});
  } else {
    const busy = { status, headers: { "retry-after": String(PAUSE_MS / 1_000) } };
    const namesIn = kind === "influxdb" ? namesInLines : namesInOtlp;
    sink.answer = ({ body }) => (isFirst(body, namesIn) ? busy : { status: 200 });
  }
  const later = await afterRefusal(kind, "address" in sink ? sink.address : sink.url, arrivals);
  expect(later.flatMap(({ names }) => names).toSorted()).toEqual([...NAMES, "more"].toSorted());
  expect(Math.min(...later.map(({ ms }) => ms))).toBeGreaterThan(PAUSE_MS - 10);
});

test.each([
  ["influxdb", 413],
  ["otlp_http", 413],
  ["otlp_http", 400],
] as const)("%s, %i: the answer is about the request, and nobody waits", async (kind, status) => {
  await using sink = await httpSink();
  const namesIn = kind === "influxdb" ? namesInLines : namesInOtlp;
  const stored: string[] = [];
  sink.answer = ({ body }): SinkAnswer => {
    const names = namesIn(body);
    const isBad = status === 413 ? names.length > 10 : names.includes("item-7");
    if (isBad) return { status, headers: AN_HOUR };
    stored.push(...names);
    return { status: 200 };
  };
  const { route } = await whileBroken(kind, plainOptions(kind, sink.url));
  await until(() => route.counts().queued === 0);
  const bad = status === 400 ? 1 : 0;
  expect(route.counts()).toMatchObject({ appended: 50, delivered: 50 - bad, others: bad });
  expect(stored.length).toBe(50 - bad);
});
