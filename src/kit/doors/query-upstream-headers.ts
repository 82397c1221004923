import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** They concern one connection only (RFC 9110 §7.6.1), or are said anew. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
  "host",
]);

/** Proxies that a request may have come through. */
const HOPS_MAX = 16;

/** Whether a request has been handed on so often that it must be going in circles. */
export function isLoop(headers: IncomingHttpHeaders): boolean {
  return [headers["x-forwarded-for"] ?? ""].flat().join().split(",").length > HOPS_MAX;
}

/** Headers of a message as they go on: without those of the connection that it came on. Pseudo-headers are left out. */
export function passedHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const options = (headers.connection ?? "").toLowerCase().split(",");
  const named = new Set(options.map((name) => name.trim()));
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name) && !name.startsWith(":"))
      passed[name] = value;
  return passed;
}

/** Headers of a request as they go on: with who sent it, so that the other side does not take it for one of this machine. */
export function forwardedHeaders(
  headers: IncomingHttpHeaders,
  remoteAddress: string,
): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = passedHeaders(headers);
  const before = headers["x-forwarded-for"];
  const chain = [before, remoteAddress].flat().filter((one) => one !== undefined && one !== "");
  passed["x-forwarded-for"] = chain.join(", ");
  return passed;
}
