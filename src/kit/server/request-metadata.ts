import type { IncomingHttpHeaders } from "node:http";
import type { RequestMetadata } from "../../pipeline/contracts.ts";

/** Headers of a request over HTTP or gRPC for processors, by lower-case name (`include_metadata`). Of a name that stands more than once, all values. */
export function requestMetadata(headers: IncomingHttpHeaders): RequestMetadata {
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !name.startsWith(":"))
      metadata.set(name, typeof value === "string" ? value : value.join(", "));
  return metadata;
}
