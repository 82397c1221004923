import { z } from "zod";
import { delivery, duration, secret } from "../../config/blocks.ts";
import { grpcTarget } from "../../kit/client/grpc-target.ts";
import {
  checkHttpClient,
  holdsCredentials,
  httpClientShape,
} from "../../kit/client/http-client-block.ts";
import { tlsClientOf } from "../../kit/tls/tls-block.ts";

const { headers, proxy_url } = httpClientShape;

/** Headers that have options of their own. */
const OPTION_OF: Readonly<Record<string, string>> = {
  authorization: "token",
  "dash0-dataset": "dataset",
};

const most = (usual: number, what: string) =>
  z
    .int()
    .min(0)
    .default(usual)
    .describe(`${what} that Dash0 takes; what is over is left out and counted. 0: no limit.`);

export const config = z
  .strictObject({
    region: z
      .string()
      .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'expected a region, for example "eu-west-1"')
      .optional()
      .describe("Region of the organization, for example eu-west-1. Instead of endpoint."),
    cloud: z.enum(["aws", "gcp"]).default("aws").describe("Where the region is."),
    protocol: z.enum(["grpc", "http"]).default("grpc").describe("OTLP over gRPC or HTTP."),
    endpoint: z
      .string()
      .min(1)
      .optional()
      .describe("Instead of region: host:port with grpc, a URL with http."),
    token: secret("Auth token with the permission to ingest, as Dash0 shows it: auth_…"),
    dataset: z
      .string()
      .regex(/^[\x21-\x7e]+$/, "a dataset has no spaces and no characters outside ASCII")
      .default("default")
      .describe("Dataset that everything goes to."),
    compression: z
      .enum(["none", "gzip", "zstd"])
      .default("gzip")
      .describe("Of requests. gzip, because the way goes over the internet."),
    max_age: duration(
      "Items older than this are dropped and counted (too_old): Dash0 takes none from before 6 h. 0s: none is dropped.",
      "6h",
    ),
    max_ahead: duration(
      "Items further in the future are dropped and counted (too_new). 0s: none is dropped.",
      "72h",
    ),
    max_log_attributes: most(16, "Attributes of a log record"),
    max_span_attributes: most(32, "Attributes of a span"),
    max_attribute_value_size: most(2048, "Bytes of an attribute's value"),
    max_body_size: z
      .int()
      .min(1 << 10)
      .max(1 << 30)
      .default((4 << 20) - (64 << 10))
      .describe("Largest request in bytes, before compression."),
    headers,
    tls: tlsClientOf(
      "Plain text, where the endpoint has no scheme: for a stand-in of Dash0.",
      "TLS options.",
    ),
    proxy_url,
    ...delivery,
    timeout: duration("How long one attempt may take; 0s = no limit.", "30s"),
  })
  .superRefine((config, context) => {
    const issue = (name: string, message: string) =>
      context.addIssue({ code: "custom", path: [name], message });
    const { endpoint, region, protocol, token } = config;
    checkHttpClient({ ...config, auth: undefined }, context);
    for (const name of Object.keys(config.headers)) {
      const option = OPTION_OF[name.toLowerCase()];
      if (option !== undefined) issue("headers", `${name} belongs in ${option}`);
    }
    if ((endpoint === undefined) === (region === undefined))
      issue(endpoint === undefined ? "region" : "endpoint", "set either region or endpoint");
    if (!/^[\x21-\x7e]+$/.test(token.reveal()))
      issue("token", "expected the auth token that Dash0 shows: one word");
    if (protocol === "grpc" && config.proxy_url.reveal() !== "")
      issue("proxy_url", "works with `protocol: http` only");
    if (endpoint === undefined) return;
    if (protocol === "http" && holdsCredentials(endpoint))
      issue("endpoint", "credentials belong in token, not in the URL");
    const target = grpcTarget(endpoint, config.tls?.insecure ?? false);
    if (protocol === "grpc" && typeof target === "string") issue("endpoint", target);
    if (protocol === "http" && !/^https?:\/\/[^/]/.test(URL.parse(endpoint)?.href ?? ""))
      issue(
        "endpoint",
        'expected a URL, for example "https://ingress.eu-west-1.aws.dash0.com:4318"',
      );
  });
export type Config = z.output<typeof config>;
