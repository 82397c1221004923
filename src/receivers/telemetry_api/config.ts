import { z } from "zod";
import { duration, listenEndpoint } from "../../config/blocks.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";

/** What Lambda tells of, as in its subscription. */
export const STREAMS = ["platform", "function", "extension"] as const;
export type Stream = (typeof STREAMS)[number];

/** The options of the receiver. */
export const config = z.strictObject({
  endpoint: listenEndpoint("Where Lambda posts its batches.", "127.0.0.1:4323"),
  max_request_body_size: bodySizeOption(
    16,
    4,
    " Lambda sends up to twice the maxBytes of the subscription, which is at most 1 MiB.",
  ),
  types: z
    .array(z.enum(STREAMS))
    .min(1)
    .default([...STREAMS])
    .describe(
      "Streams that become items. platform: a row and a span for each invocation. function, extension: a log record for each line. Platform events of a stream that is left out still tell which invocation a line belongs to.",
    ),
  function_name: z
    .string()
    .max(256)
    .default("")
    .describe(
      "Name of the function. Empty: as the platform says at the start of an instance, which older Lambda schemas do not.",
    ),
  service_name: z
    .string()
    .max(256)
    .default("")
    .describe("service.name of everything. Empty: the name of the function."),
  resource_attributes: z
    .record(z.string().min(1).max(128), z.string().max(1_024))
    .default({})
    .describe(
      "Attributes of every resource, for example source and function, which Loki gets as labels.",
    ),
  line_format: z
    .enum(["record", "promtail"])
    .default("record")
    .describe(
      "record: the body is what the function wrote, to the byte. promtail: the text of the Lambda-Telemetry-API-Loki extension, `Info: source = lambda, function= …,  time = …, record = …`.",
    ),
  platform_logs: z
    .boolean()
    .default(false)
    .describe(
      "Also write platform events as log records: START, END, REPORT, INIT_START and others. Events that tell of a loss or an error always are.",
    ),
  invocation_timeout: duration(
    "An invocation of which nothing was heard for so long is written as it is known: Lambda's own limit is 15 minutes.",
    "20m",
  ),
  ...httpServerShape,
});
export type Config = z.output<typeof config>;
