import { status as GrpcStatus, Metadata } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { PipelineError } from "../../src/otlp/status.ts";
import { SIGNALS } from "../../src/otlp/tape.ts";
import { EXPORT_PATHS } from "../../src/receivers/otlp/grpc.ts";
import { GrpcClient } from "../support/grpc-client.ts";
import { decodeMessage, encodeRequest, responseType, typeOf } from "../support/otlp.ts";
import { Door, type DoorOptions, requestOf } from "../support/otlp-door.ts";
import { framed, RawGrpc } from "../support/raw-grpc.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
const GRPC_ONLY = { grpc: { endpoint: "127.0.0.1:0" } };

let door: Door;
let client: GrpcClient;
afterEach(async () => {
  client.close();
  await door.stop();
  expect(door.budget.used, "every lease is given back").toBe(0);
});

async function open(
  options: DoorOptions = {},
  channel: Record<string, string | number> = {},
): Promise<void> {
  door = await new Door({ protocols: GRPC_ONLY, indexer: createIndexer(), ...options }).start();
  client = new GrpcClient(door.grpcAddress, channel);
}

/** The delay of the RetryInfo among the details; undefined when there is none. */
function retrySeconds(metadata: Metadata): number | undefined {
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Buffer)) return undefined;
  const { details } = decodeMessage(typeOf("google.rpc.Status"), bytes);
  const [detail] = details as { type_url: string; value: string }[];
  if (detail === undefined || !detail.type_url.endsWith("RetryInfo")) return undefined;
  const info = decodeMessage(typeOf("google.rpc.RetryInfo"), Buffer.from(detail.value, "base64"));
  return Number((info as { retryDelay: { seconds: string } }).retryDelay.seconds);
}

test.each(SIGNALS)("O1, O4: %s, plain and gzip, answered with an empty message", async (signal) => {
  await open();
  const zipped = new GrpcClient(door.grpcAddress, { "grpc.default_compression_algorithm": 2 });
  const bytes = encodeRequest(signal, requestOf(signal, 200));
  for (const sender of [client, zipped]) {
    const { code, reply } = await sender.call(EXPORT_PATHS[signal], bytes);
    expect([code, reply.length]).toEqual([0, 0]);
  }
  zipped.close();
  expect(door.submitted.map((batch) => [batch.signal, batch.items])).toEqual([
    [signal, 200],
    [signal, 200],
  ]);
  expect(door.outcome("grpc", "accepted")).toBe(2);
  const [plain = 0, packed = 0] = door.admitted;
  expect(packed, "the second one came compressed").toBeLessThan(plain);
});

test("O2: over the limit is RESOURCE_EXHAUSTED without RetryInfo, as sent and as decoded", async () => {
  await open({
    protocols: { grpc: { endpoint: "127.0.0.1:0", max_recv_msg_size_mib: 1 } },
  });
  const zipped = new GrpcClient(door.grpcAddress, { "grpc.default_compression_algorithm": 2 });
  for (const sender of [client, zipped]) {
    const { code, metadata } = await sender.call(EXPORT_PATHS.logs, new Uint8Array(MIB + 1));
    expect([code, retrySeconds(metadata)]).toEqual([GrpcStatus.RESOURCE_EXHAUSTED, undefined]);
  }
  zipped.close();
  expect(door.outcome("grpc", "too_large")).toBe(2);
});

test("O4: an empty request is a success and reaches no pipeline", async () => {
  await open();
  expect((await client.call(EXPORT_PATHS.logs, new Uint8Array(0))).code).toBe(0);
  expect(door.submitted).toEqual([]);
});

test.each(SIGNALS)("O5: partial success of %s", async (signal) => {
  await open({
    index: (of, bytes, length) => {
      const indexed = createIndexer().index(of, bytes, length);
      return "refused" in indexed ? indexed : { ...indexed, rejected: 1, why: "id too long" };
    },
    indexer: undefined,
  });
  const request = encodeRequest(signal, requestOf(signal, 3));
  const { code, reply } = await client.call(EXPORT_PATHS[signal], request);
  expect(code).toBe(0);
  const field = {
    logs: "rejectedLogRecords",
    metrics: "rejectedDataPoints",
    traces: "rejectedSpans",
  }[signal];
  expect(decodeMessage(responseType(signal), reply)).toEqual({
    partialSuccess: { [field]: "1", errorMessage: "id too long" },
  });
  expect(door.rejected).toEqual([{ signal, items: 1, why: "id too long" }]);
});

test("O8: what is not OTLP is INVALID_ARGUMENT, cut at any byte", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 2));
  for (let cut = 1; cut < bytes.length; cut++) {
    const { code } = await client.call(EXPORT_PATHS.logs, bytes.subarray(0, cut));
    expect(code, `cut at ${cut}`).toBe(GrpcStatus.INVALID_ARGUMENT);
  }
  expect(door.outcome("grpc", "invalid")).toBe(bytes.length - 1);
});

test("O9: overload is UNAVAILABLE with a jittered RetryInfo of 1–5 s", async () => {
  await open({ budgetBytes: 10_000 });
  const seen = new Set<number | undefined>();
  for (let i = 0; i < 40; i++) {
    const { code, metadata } = await client.call(EXPORT_PATHS.logs, new Uint8Array(9_000));
    expect(code).toBe(GrpcStatus.UNAVAILABLE);
    seen.add(retrySeconds(metadata));
  }
  for (const seconds of seen) expect([1, 2, 3, 4, 5]).toContain(seconds);
  expect(seen.size).toBeGreaterThan(1);
  expect(door.outcome("grpc", "refused")).toBe(40);
});

test.each([
  ["unavailable", GrpcStatus.UNAVAILABLE, 9],
  ["invalid", GrpcStatus.INVALID_ARGUMENT, undefined],
  ["unauthorized", GrpcStatus.UNAUTHENTICATED, undefined],
  ["internal", GrpcStatus.INTERNAL, undefined],
] as const)("O9: a submit that fails as %s is code %d", async (kind, expected, seconds) => {
  await open({
    submit: async () => {
      throw new PipelineError({ kind, retryAfterMs: 9_000, why: "the disk is full" });
    },
  });
  const request = encodeRequest("logs", requestOf("logs", 1));
  const { code, metadata, message } = await client.call(EXPORT_PATHS.logs, request);
  expect([code, retrySeconds(metadata)]).toEqual([expected, seconds]);
  expect(message).toBe(kind === "internal" ? "internal error" : "the disk is full");
  expect(door.outcome("grpc", kind)).toBe(1);
});

test("slow calls that declare 64 MiB hold what they have sent; one that outgrows the whole budget is too large", async () => {
  await open({ budgetBytes: 32 * MIB });
  const raw = new RawGrpc(door.grpcAddress);
  for (let i = 0; i < 10; i++)
    raw.open(EXPORT_PATHS.logs).write(framed(Buffer.alloc(10_000), 0, 60 * MIB));
  await until(() => door.admitted.length === 10);
  expect(door.budget.used).toBeLessThan(11 * MIB);
  const large = encodeRequest("logs", requestOf("logs", 1, "x".repeat(12 * MIB)));
  expect((await client.call(EXPORT_PATHS.logs, large)).code).toBe(0);
  expect((await client.call(EXPORT_PATHS.logs, new Uint8Array(40 * MIB))).code).toBe(
    GrpcStatus.RESOURCE_EXHAUSTED,
  );
  raw.close();
  await until(() => door.budget.used === 0);
});

test("without credentials: UNAUTHENTICATED, before any byte is taken; also when the check takes its time", async () => {
  for (const wait of [undefined, Promise.resolve()]) {
    const verdict = (isFine: boolean) =>
      isFine ? undefined : { why: "the token is not known here", challenge: "Bearer" };
    await open({
      protocols: {
        grpc: { endpoint: "127.0.0.1:0", auth: { authenticator: "bearer_token_auth" } },
      },
      auth: {
        check: (header) => {
          const isFine = header("authorization") === "Bearer key";
          return wait === undefined ? verdict(isFine) : wait.then(() => verdict(isFine));
        },
      },
    });
    const request = encodeRequest("logs", requestOf("logs", 1));
    const denied = await client.call(EXPORT_PATHS.logs, new Uint8Array(1_000_000));
    expect([denied.code, denied.message]).toEqual([
      GrpcStatus.UNAUTHENTICATED,
      "the token is not known here",
    ]);
    expect([door.admitted, door.outcome("grpc", "unauthorized")]).toEqual([[], 1]);
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer key");
    expect((await client.call(EXPORT_PATHS.logs, request, { metadata })).code).toBe(0);
    expect(door.submitted).toHaveLength(1);
    client.close();
    await door.stop();
  }
});

test("profiles are UNIMPLEMENTED", async () => {
  await open();
  const path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
  const { code, message } = await client.call(path, new Uint8Array(1));
  expect([code, message]).toEqual([GrpcStatus.UNIMPLEMENTED, expect.stringContaining("Profiles")]);
});

test("signals without a pipeline, and other services, are UNIMPLEMENTED", async () => {
  await open({ signals: ["logs"] });
  for (const path of [EXPORT_PATHS.traces, EXPORT_PATHS.metrics, "/grpc.health.v1.Health/Check"])
    expect((await client.call(path, new Uint8Array(1))).code).toBe(GrpcStatus.UNIMPLEMENTED);
  expect((await client.call(EXPORT_PATHS.logs, new Uint8Array(0))).code).toBe(0);
});

test("a deadline that passes while the data is made durable: the sender may not know, the data is kept", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await open({ submit: () => gate });
  const request = encodeRequest("logs", requestOf("logs", 1));
  const { code } = await client.call(EXPORT_PATHS.logs, request, { timeoutMs: 1_500 });
  expect(code).toBe(GrpcStatus.DEADLINE_EXCEEDED);
  expect(door.budget.used).toBeGreaterThan(0);
  finish();
  await until(() => door.budget.used === 0);
  expect(door.submitted).toHaveLength(1);
});

test("large metadata is refused without harm", async () => {
  await open();
  const metadata = new Metadata();
  metadata.set("x-large", "x".repeat(20_000));
  const { code } = await client.call(EXPORT_PATHS.logs, new Uint8Array(0), { metadata });
  expect(code).not.toBe(0);
  expect((await client.call(EXPORT_PATHS.logs, new Uint8Array(0))).code).toBe(0);
});

test("stop under load: what was answered OK was submitted", async () => {
  await open();
  const request = encodeRequest("logs", requestOf("logs", 1));
  let accepted = 0;
  let isOver = false;
  const sender = async () => {
    while (!isOver) {
      const { code } = await client.call(EXPORT_PATHS.logs, request);
      if (code === 0) accepted += 1;
      else isOver = true;
    }
  };
  const senders = Array.from({ length: 8 }, sender);
  await until(() => accepted > 100);
  await door.stop();
  isOver = true;
  client.close();
  await Promise.all(senders);
  expect(door.submitted.length).toBeGreaterThanOrEqual(accepted);
});
