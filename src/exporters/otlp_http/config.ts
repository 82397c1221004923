import { z } from "zod";
import { delivery, duration, Secret, url } from "../../config/blocks.ts";
import { auth } from "../../kit/auth-block.ts";
import { headerProblem } from "../../kit/http-client.ts";
import { tlsClient } from "../../kit/tls-block.ts";

const headerValue = z.string().transform((text) => new Secret(text));

export const config = z
  .strictObject({
    endpoint: url(
      "Base address, for example http://127.0.0.1:4318; /v1/logs, /v1/metrics or /v1/traces is added.",
    ).optional(),
    logs_endpoint: url("Whole address for logs, instead of endpoint.").optional(),
    metrics_endpoint: url("Whole address for metrics, instead of endpoint.").optional(),
    traces_endpoint: url("Whole address for traces, instead of endpoint.").optional(),
    headers: z
      .record(z.string(), headerValue)
      .default({})
      .describe("Headers of every request, for example Authorization. Values never print."),
    compression: z
      .enum(["none", "gzip"])
      .default("none")
      .describe(
        "Of request bodies. The Collector's default is gzip; none costs a fraction of the processor time.",
      ),
    encoding: z.enum(["proto"]).default("proto").describe("Only protobuf."),
    keep_line_shape: z
      .boolean()
      .default(false)
      .describe(
        "Keep the attributes weir.tags and weir.uint, which tell a Weir behind this exporter how a line looked.",
      ),
    max_body_size: z
      .int()
      .min(1 << 10)
      .max(1 << 30)
      .default(4 << 20)
      .describe("Largest request body in bytes, before compression."),
    tls: tlsClient,
    auth,
    ...delivery,
    timeout: duration("How long one attempt may take; 0s = no limit.", "30s"),
  })
  .superRefine((config, context) => {
    const issue = (path: readonly PropertyKey[], message: string) =>
      context.addIssue({ code: "custom", path: [...path], message });
    const { endpoint, logs_endpoint, metrics_endpoint, traces_endpoint, headers } = config;
    if (!(endpoint ?? logs_endpoint ?? metrics_endpoint ?? traces_endpoint))
      issue(["endpoint"], "at least one endpoint must be specified");
    for (const [name, value] of Object.entries(headers)) {
      const problem = headerProblem(name, value.reveal());
      if (problem !== undefined) issue(["headers", name], problem);
    }
  });
export type Config = z.output<typeof config>;
