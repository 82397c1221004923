import { z } from "zod";
import { listenEndpoint } from "../../config/blocks.ts";
import { serviceNameOption } from "../../kit/doors/service-name-option.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";

/** The options of the receiver. */
export const config = z.strictObject({
  endpoint: listenEndpoint("Where to listen.", "127.0.0.1:8080"),
  max_request_body_size: bodySizeOption(128, 64),
  service_name: serviceNameOption("records that have neither service.name nor service"),
  tag_headers: z
    .array(z.string().regex(/^[A-Za-z0-9_-]+$/, "expected the name of a header"))
    .default(["X-Tag", "Fluent-Tag"])
    .describe("Headers that hold the tag of a body, as header_tag of Fluent Bit names one."),
  ...httpServerShape,
});
export type Config = z.output<typeof config>;
