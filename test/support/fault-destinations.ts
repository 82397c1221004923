import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { expect, onTestFinished } from "vitest";
import { createInfluxdb } from "../../src/exporters/influxdb/index.ts";
import { createLoki } from "../../src/exporters/loki/index.ts";
import { createOtlpGrpc } from "../../src/exporters/otlp_grpc/index.ts";
import { createOtlpHttp } from "../../src/exporters/otlp_http/index.ts";
import type { Backend, ExporterContext } from "../../src/kit/delivery/backend.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { decodePush } from "../series/loki/push-proto.ts";
import { type FaultRoute, faultRoute, namesInLines, namesInOtlp } from "./fault-rig.ts";
import { type GrpcSinkAnswer, grpcSink } from "./grpc-sink.ts";
import { httpSink, type SinkAnswer } from "./http-sink.ts";
import { freePorts } from "./service.ts";
import { unsnap } from "./unsnap.ts";
import { until } from "./until.ts";

/** The exporters that reach their destination over a network. */
export type Kind = HttpKind | "otlp_grpc";
export type HttpKind = "influxdb" | "otlp_http" | "loki";
/** Of an exporter, as in the YAML. */
export type Options = Readonly<Record<string, unknown>>;

const influxdb = createInfluxdb(shippedTables(), compileLineWriter);
const otlpHttp = createOtlpHttp(pickItems, writeRequestJson);
const otlpGrpc = createOtlpGrpc(pickItems);
const loki = createLoki(shippedTables(), pickItems, writeRequestJson);
/** Makes each of them from its options. */
export const EXPORTERS: Readonly<
  Record<Kind, (options: Options) => (context: ExporterContext<"logs">) => Backend<"logs">>
> = {
  influxdb: (options) => (context) =>
    influxdb.create(
      influxdb.schema.parse({ database: "weir", tables: ["logs"], ...options }),
      context,
    ),
  otlp_http: (options) => (context) => otlpHttp.create(otlpHttp.schema.parse(options), context),
  otlp_grpc: (options) => (context) => otlpGrpc.create(otlpGrpc.schema.parse(options), context),
  loki: (options) => (context) =>
    loki.create(loki.schema.parse({ max_age: "0s", ...options }), context),
};

/** Names in the body of a request. */
const NAMES_IN: Readonly<Record<HttpKind, (body: Uint8Array) => string[]>> = {
  influxdb: namesInLines,
  otlp_http: namesInOtlp,
  loki: (body) =>
    decodePush(unsnap(body)).flatMap(({ entries }) => entries.map(({ line }) => line)),
};

/** A healthy or broken destination that knows what it got. */
export interface Destination {
  readonly url: string;
  /** Names of the items that it stored, in requests that it took. */
  readonly stored: string[];
  /** Requests that it saw. */
  readonly seen: () => number;
  heal(): void;
}

/** `takes`: while it is broken it stores all the same. */
export async function httpDestination(
  kind: HttpKind,
  fault: SinkAnswer | undefined,
  takes: boolean,
): Promise<Destination> {
  const sink = await httpSink();
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const stored: string[] = [];
  let faulty = fault !== undefined;
  sink.answer = ({ body }) => {
    if (!faulty || takes) stored.push(...NAMES_IN[kind](body));
    return faulty && fault !== undefined ? fault : { status: 200 };
  };
  const heal = () => {
    faulty = false;
  };
  return { url: sink.url, stored, seen: () => sink.requests.length, heal };
}

/** The same over gRPC. */
export async function grpcDestination(fault: GrpcSinkAnswer | undefined): Promise<Destination> {
  let faults = 0;
  const script: GrpcSinkAnswer[] = [];
  const sink = await grpcSink(script);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const stored: string[] = [];
  let faulty = fault !== undefined;
  if (fault !== undefined && "onHead" in fault)
    script.push({
      onHead: (stream) => {
        faults++;
        fault.onHead(stream);
      },
    });
  sink.answer = ({ message }) => {
    if (faulty && fault !== undefined) return fault;
    stored.push(...namesInOtlp(message));
    return {};
  };
  const heal = () => {
    faulty = false;
    script.length = 0;
  };
  return { url: sink.address, stored, seen: () => sink.calls.length + faults, heal };
}

/** Over plain TCP or TLS, for what no HTTP server does. Counts what it was sent. */
export async function rawDestination(
  behave: (socket: Socket) => void,
  tls?: object,
): Promise<string> {
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    behave(socket);
  };
  const server = tls === undefined ? createServer(onSocket) : createTlsServer(tls, onSocket);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** host:port where nobody listens. */
export async function closedPort(): Promise<string> {
  const [port] = await freePorts(1);
  return `127.0.0.1:${port}`;
}
/** Bodies of the log records that wait. */
export const NAMES = Array.from({ length: 50 }, (_, i) => `item-${i}`);
const PER_FRAME = 10;
/** Seconds. */
export const HUNDRED_YEARS = 3_153_600_000;

/** Without TLS. */
export const plainOptions = (kind: Kind, url: string): Options =>
  kind === "otlp_grpc" ? { endpoint: url, tls: { insecure: true } } : { endpoint: url };

/** Of an attempt: short only where that is what ends it, for the machine may be slow. */
const ATTEMPT_MS = 10_000;
const SHORT_MS = 150;
/** Of the attempts of a row. */
export const timeoutFor = (why: RegExp) =>
  why.source.includes(`${SHORT_MS} ms`) ? SHORT_MS : ATTEMPT_MS;

/** Delivers to what is broken. */
export async function whileBroken(kind: Kind, options: Options, timeoutMs = ATTEMPT_MS) {
  const route = await faultRoute(NAMES, PER_FRAME, timeoutMs);
  onTestFinished(() => route[Symbol.asyncDispose]());
  route.deliver(EXPORTERS[kind](options));
  const complaints = () => route.log.lines.filter(({ level }) => level !== "info");
  return { route, complaints };
}

/** The law while it is broken, and afterwards. */
export const nothingLost = { appended: 50, delivered: 0, others: 0, queued: 50 };
export const allDelivered = { appended: 50, delivered: 50, others: 0, queued: 0 };

/** Connects the route to a healthy destination and waits until all is there. */
export async function deliverAfterwards(kind: Kind, route: FaultRoute): Promise<void> {
  const good =
    kind === "otlp_grpc"
      ? await grpcDestination(undefined)
      : await httpDestination(kind, undefined, false);
  route.deliver(EXPORTERS[kind](plainOptions(kind, good.url)));
  await until(() => route.counts().queued === 0);
  expect(route.counts()).toEqual(allDelivered);
  expect(good.stored.toSorted()).toEqual(NAMES.toSorted());
}
