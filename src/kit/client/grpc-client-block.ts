import { z } from "zod";
import { duration } from "../../config/blocks.ts";
import { auth } from "../tls/auth-block.ts";
import { tlsClientOf } from "../tls/tls-block.ts";
import { compression } from "./body-coding.ts";
import { grpcTarget } from "./grpc-target.ts";
import { checkHeaders, headers } from "./headers-block.ts";
import { headerProblem } from "./http-client.ts";

/** The Collector's configgrpc for clients: the options that every exporter over gRPC has beside its endpoint. */

const keepalive = z
  .strictObject({
    time: duration("Ping a connection that has been used this long.", "10s"),
    timeout: duration("A server that does not answer a ping for this long is gone.", "10s"),
    permit_without_stream: z
      .boolean()
      .default(false)
      .describe("Ping also while no call is open; many servers close the connection for that."),
  })
  .optional()
  .describe("HTTP/2 pings. Absent: none; the system watches the connections.");

const bufferSize = (which: string) =>
  z
    .int()
    .min(0)
    .optional()
    .describe(`Accepted without effect: the ${which} buffers are Node's, 64 KiB.`);

/** Put these into the block that has `endpoint`. */
export const grpcClientShape = {
  tls: tlsClientOf(
    "Plain text, where the endpoint has no scheme. The default is TLS, as in the Collector.",
    "TLS options. Without a scheme in the endpoint there is TLS unless `insecure` is set.",
  ),
  headers,
  compression,
  auth,
  authority: z.string().min(1).optional().describe("Text of :authority. Default: the endpoint's."),
  user_agent: z
    .string()
    .regex(/^[\x20-\x7e]+$/, "expected printable ASCII")
    .default("otel-weir")
    .describe("Text of user-agent."),
  balancer_name: z
    .enum(["round_robin", "pick_first"])
    .default("round_robin")
    .describe("round_robin: connections go to all addresses of the host in turn."),
  keepalive,
  wait_for_ready: z
    .boolean()
    .default(false)
    .describe("An attempt waits for a connection until its timeout, instead of failing at once."),
  read_buffer_size: bufferSize("read"),
  write_buffer_size: bufferSize("write"),
};

interface GrpcClientBlock extends z.output<z.ZodObject<typeof grpcClientShape>> {
  readonly endpoint?: string | undefined;
}

export type { GrpcClientBlock };

/** Checks that need more than one option. */
export function checkGrpcClient(block: GrpcClientBlock, context: z.RefinementCtx): void {
  checkHeaders(block.headers, metadataProblem, context);
  if (block.endpoint === undefined) return;
  const target = grpcTarget(block.endpoint, block.tls?.insecure ?? false);
  if (typeof target === "string")
    context.addIssue({ code: "custom", path: ["endpoint"], message: target });
}

function metadataProblem(name: string, value: string): string | undefined {
  if (/^grpc-/i.test(name)) return `header ${name} belongs to gRPC itself`;
  return headerProblem(name, value);
}
