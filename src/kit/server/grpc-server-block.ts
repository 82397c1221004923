import { z } from "zod";
import { duration } from "../../config/blocks.ts";
import { auth } from "../tls/auth-block.ts";
import { tlsServer } from "../tls/tls-block.ts";
import type { GrpcServerOptions } from "./grpc-server.ts";

/** The Collector's configgrpc for servers: the options that every receiver over gRPC has beside its endpoint. */

const MIB = 1024 * 1024;

const PING_TIMEOUT_MS = 20_000;

const serverParameters = z
  .strictObject({
    max_connection_idle: duration(
      "A connection without calls is closed after this. 0s: no limit, here and below.",
      "5m",
    ),
    max_connection_age: duration(
      "A connection is asked to reconnect after this, give or take 10 %, so that load spreads over new instances.",
      "30m",
    ),
    max_connection_age_grace: duration("Calls in flight may take this long after that.", "60s"),
    time: duration("The server pings each connection this often. 0s: never.", "2h"),
    timeout: duration(
      "A client that does not answer a ping for this long is cut off. 0s: 20s, as in gRPC.",
      "20s",
    ),
  })
  .prefault({})
  .describe("Limits on the life of a connection.");

const enforcementPolicy = z
  .strictObject({
    min_time: duration("Least time between two pings of a client.", "5m"),
    permit_without_stream: z
      .boolean()
      .default(false)
      .describe("Whether clients may ping while no call is open; if not, once in two hours."),
  })
  .optional()
  .describe(
    "Closes connections that ping more often (two early pings are forgiven). Absent: clients may ping as they like.",
  );

const bufferSize = (which: string) =>
  z
    .int()
    .min(0)
    .optional()
    .describe(`Accepted without effect: the ${which} buffers are Node's, 64 KiB.`);

/** Put these into the block that has `endpoint`. */
export const grpcServerShape = {
  transport: z
    .enum(["tcp"])
    .default("tcp")
    .describe("Only tcp: sockets in the file system are not listened on."),
  tls: tlsServer,
  auth,
  max_recv_msg_size_mib: z
    .int()
    .min(1)
    .max(1024)
    .default(64)
    .describe("Largest message in MiB, before and after decompression."),
  max_concurrent_streams: z
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe("Calls in flight per connection."),
  max_connections: z
    .int()
    .min(1)
    .optional()
    .describe("Connections at once. Default: what fits the byte budget, at most 10,000."),
  read_buffer_size: bufferSize("read"),
  write_buffer_size: bufferSize("write"),
  include_metadata: z
    .boolean()
    .default(false)
    .describe("Metadata of calls is there for processors (from_context: metadata.<name>)."),
  keepalive: z
    .strictObject({
      server_parameters: serverParameters,
      enforcement_policy: enforcementPolicy,
    })
    .prefault({})
    .describe("Life of connections."),
};

const shape = z.strictObject(grpcServerShape);
export type GrpcServerBlock = z.output<typeof shape>;

/** What of the block the server itself carries out; `tls` and `auth` need their surroundings and are given beside it. */
export function grpcServerOptions(block: GrpcServerBlock) {
  const { max_connections: maxConnections, keepalive } = block;
  const { server_parameters: life, enforcement_policy: policy } = keepalive;
  return {
    maxRecvMsgSizeBytes: block.max_recv_msg_size_mib * MIB,
    maxConcurrentStreams: block.max_concurrent_streams,
    ...(maxConnections !== undefined && { maxConnections }),
    maxIdleMs: life.max_connection_idle,
    maxAgeMs: life.max_connection_age,
    ageGraceMs: life.max_connection_age_grace,
    ...(life.time > 0 && {
      pings: { everyMs: life.time, timeoutMs: life.timeout || PING_TIMEOUT_MS },
    }),
    ...(policy !== undefined && {
      enforcedPings: { minMs: policy.min_time, withoutCalls: policy.permit_without_stream },
    }),
  } satisfies Partial<GrpcServerOptions>;
}
