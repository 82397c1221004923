import { z } from "zod";
import { delivery } from "../../config/blocks.ts";
import { checkGrpcClient, grpcClientShape } from "../../kit/client/grpc-client-block.ts";

export const config = z
  .strictObject({
    endpoint: z
      .string({ error: 'requires a non-empty "endpoint"' })
      .min(1, 'requires a non-empty "endpoint"')
      .describe(
        "host:port, also with http:// (plain text), https:// or dns:/// in front. Without http:// there is TLS unless tls.insecure is set.",
      ),
    ...grpcClientShape,
    keep_line_shape: z
      .boolean()
      .default(false)
      .describe(
        "Keep the attributes weir.*, which tell a Weir behind this exporter how a line looked.",
      ),
    max_message_size: z
      .int()
      .min(1 << 10)
      .max(1 << 30)
      .default((4 << 20) - (64 << 10))
      .describe(
        "Largest request message in bytes, before compression. Most servers take 4 MiB by default.",
      ),
    ...delivery,
  })
  .superRefine(checkGrpcClient);
export type Config = z.output<typeof config>;
