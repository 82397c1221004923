import { z } from "zod";
import { listenEndpoint } from "../../config/blocks.ts";
import { httpServerShape } from "../../kit/server/http-server-block.ts";

const MIB = 1024 * 1024;

/** The options of the receiver. */
export const config = z.strictObject({
  endpoint: listenEndpoint("Where to listen.", "127.0.0.1:8080"),
  max_request_body_size: z
    .int()
    .min(1)
    .max(128 * MIB)
    .default(64 * MIB)
    .describe("Largest body in bytes, before and after decompression."),
  service_name: z
    .string()
    .min(1)
    .optional()
    .describe("service.name of records that have neither service.name nor service."),
  tag_headers: z
    .array(z.string().regex(/^[A-Za-z0-9_-]+$/, "expected the name of a header"))
    .default(["X-Tag", "Fluent-Tag"])
    .describe("Headers that hold the tag of a body, as header_tag of Fluent Bit names one."),
  ...httpServerShape,
});
export type Config = z.output<typeof config>;
