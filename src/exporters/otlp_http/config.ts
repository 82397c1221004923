import { z } from "zod";
import { delivery, duration, url } from "../../config/blocks.ts";
import {
  checkHttpClient,
  holdsCredentials,
  httpClientShape,
} from "../../kit/client/http-client-block.ts";

const ENDPOINTS = ["endpoint", "logs_endpoint", "metrics_endpoint", "traces_endpoint"] as const;

export const config = z
  .strictObject({
    endpoint: url(
      "Base address, for example http://127.0.0.1:4318; /v1/logs, /v1/metrics or /v1/traces is added.",
    ).optional(),
    logs_endpoint: url("Whole address for logs, instead of endpoint.").optional(),
    metrics_endpoint: url("Whole address for metrics, instead of endpoint.").optional(),
    traces_endpoint: url("Whole address for traces, instead of endpoint.").optional(),
    encoding: z
      .enum(["proto", "json"])
      .default("proto")
      .describe("json costs many times the processor time of proto, which is sent as it came."),
    ...httpClientShape,
    keep_line_shape: z
      .boolean()
      .default(false)
      .describe(
        "Keep the attributes weir.*, which tell a Weir behind this exporter how a line looked.",
      ),
    max_body_size: z
      .int()
      .min(1 << 10)
      .max(1 << 30)
      .default(4 << 20)
      .describe("Largest request body in bytes, before compression."),
    ...delivery,
    timeout: duration("How long one attempt may take; 0s = no limit.", "30s"),
  })
  .superRefine((config, context) => {
    const { endpoint, logs_endpoint, metrics_endpoint, traces_endpoint } = config;
    if (!(endpoint ?? logs_endpoint ?? metrics_endpoint ?? traces_endpoint))
      context.addIssue({
        code: "custom",
        path: ["endpoint"],
        message: "at least one endpoint must be specified",
      });
    for (const name of ENDPOINTS)
      if (holdsCredentials(config[name] ?? ""))
        context.addIssue({
          code: "custom",
          path: [name],
          message:
            "credentials belong in an extension such as basic_auth, or in headers, not in the URL",
        });
    checkHttpClient(config, context);
  });
export type Config = z.output<typeof config>;
