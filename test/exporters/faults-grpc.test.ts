import { expect, test } from "vitest";
import { statusBody } from "../../src/otlp/responses.ts";
import {
  allDelivered,
  deliverAfterwards,
  grpcDestination,
  HUNDRED_YEARS,
  NAMES,
  nothingLost,
  plainOptions,
  timeoutFor,
  whileBroken,
} from "../support/fault-destinations.ts";
import { GRPC_HEAD, type GrpcSinkAnswer } from "../support/grpc-sink.ts";
import { until } from "../support/until.ts";

/** The faults of faults.test.ts that only gRPC has. */
const goaway = (code: number): GrpcSinkAnswer => ({
  raw: (stream) => {
    stream.session?.goaway(code, 0);
    stream.session?.destroy();
  },
});
const half: GrpcSinkAnswer = {
  raw: (stream) => {
    stream.respond(GRPC_HEAD);
    stream.write(Buffer.from([0, 0, 0, 0, 9, 1]), () => stream.session?.destroy());
  },
};
const endless: GrpcSinkAnswer = {
  raw: (stream) => {
    stream.respond(GRPC_HEAD);
    const more = () => {
      while (!stream.destroyed && stream.write(Buffer.alloc(1 << 16)));
    };
    stream.on("drain", more);
    more();
  },
};
const GRPC_FAULTS: readonly (readonly [name: string, fault: GrpcSinkAnswer, why: RegExp])[] = [
  [
    "RST before the body",
    { onHead: (stream) => stream.close(2) },
    /HTTP\/2 error 2|ERR|closed with/i,
  ],
  ["RST after the body", { raw: (stream) => stream.close(8) }, /HTTP\/2 error 8|CANCEL|closed/i],
  ["a refused stream", { raw: (stream) => stream.close(7) }, /REFUSED|HTTP\/2 error 7/],
  ["GOAWAY, and the connection ends", goaway(0), /closed|session|HTTP\/2 error 8/i],
  ["GOAWAY with an error", goaway(11), /ENHANCE|error code|closed/i],
  [
    "the connection ends mid-stream",
    { raw: ({ session }) => session?.destroy() },
    /closed|session|HTTP\/2 error 8/i,
  ],
  ["half a response", half, /closed|session|ended/i],
  ["no answer at all", { raw: () => {} }, /no answer within 150 ms/],
  ["an endless body", endless, /over 4 MiB/],
  [
    "an answer without a status",
    {
      raw: (stream) => {
        stream.respond(GRPC_HEAD);
        stream.end();
      },
    },
    /ended before its status/,
  ],
  [
    "a web page",
    {
      raw: (stream) => {
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end("<html>");
      },
    },
    /not gRPC \(HTTP 200, text\/html\)/,
  ],
  [
    "a proxy's 502",
    {
      raw: (stream) => {
        stream.respond({ ":status": 502 }, { endStream: true });
      },
    },
    /UNAVAILABLE: the answer is not gRPC/,
  ],
  ["UNAVAILABLE", { code: 14, message: "busy" }, /gRPC UNAVAILABLE: busy/],
  ["UNAUTHENTICATED", { code: 16 }, /gRPC UNAUTHENTICATED/],
  [
    "RESOURCE_EXHAUSTED with RetryInfo",
    { code: 8, details: statusBody({ kind: "refused", why: "", retryAfterMs: 5 }, "protobuf") },
    /gRPC RESOURCE_EXHAUSTED/,
  ],
];

test.each(GRPC_FAULTS)("otlp_grpc: %s", async (_name, fault, why) => {
  const destination = await grpcDestination(fault);
  const options = plainOptions("otlp_grpc", destination.url);
  const { route, complaints } = await whileBroken("otlp_grpc", options, timeoutFor(why));
  await until(() => destination.seen() > 2 && complaints().length > 0);
  expect(route.counts()).toEqual(nothingLost);
  expect(String(complaints()[0]?.fields["why"])).toMatch(why);
  destination.heal();
  await until(() => route.counts().queued === 0);
  expect(route.counts()).toEqual(allDelivered);
  expect(new Set(destination.stored)).toEqual(new Set(NAMES));
});

test("otlp_grpc: RetryInfo of 100 years is waited for, but not for 100 years", async () => {
  const details = statusBody(
    { kind: "refused", why: "", retryAfterMs: HUNDRED_YEARS * 1_000 },
    "protobuf",
  );
  const destination = await grpcDestination({ code: 14, details });
  const { route, complaints } = await whileBroken(
    "otlp_grpc",
    plainOptions("otlp_grpc", destination.url),
  );
  await until(() => complaints().length > 0);
  expect(complaints()[0]?.fields["pauseMs"]).toBe(300_000);
  await route.restart();
  expect(route.counts()).toEqual(nothingLost);
  await deliverAfterwards("otlp_grpc", route);
});
