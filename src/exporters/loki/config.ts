import { z } from "zod";
import { delivery, duration, url } from "../../config/blocks.ts";
import {
  checkHttpClient,
  holdsCredentials,
  httpClientShape,
} from "../../kit/client/http-client-block.ts";
import { labelProblem } from "../../series/loki/labels.ts";

const enabled = (what: string) => z.boolean().default(true).describe(what);
const size = (least: number, most: number, usual: number, what: string) =>
  z.int().min(least).max(most).default(usual).describe(what);

const JSON_BODY_MAX = 4 << 20;

export const config = z
  .strictObject({
    endpoint: url(
      "Where Loki listens, for example http://127.0.0.1:3100; the path of the push API is added. The whole path, as the Collector's old loki exporter had it, is accepted.",
    ),
    api: z
      .enum(["push", "otlp"])
      .default("push")
      .describe(
        "push: labels and structured metadata as described above. otlp: the records as they came, to /otlp/v1/logs, within the limits below; Loki's own configuration decides on labels.",
      ),
    encoding: z
      .enum(["proto", "json"])
      .default("proto")
      .describe(
        "json costs many times the processor time. Protobuf to the push API is compressed with snappy.",
      ),
    tenant_id: z
      .string()
      .regex(/^[^|\s\p{Cc}]+$/u, "expected one tenant: no space and no |")
      .optional()
      .describe("Tenant: the header X-Scope-OrgID."),
    labels: z
      .array(z.string().min(1).max(128))
      .default([])
      .describe(
        "Attributes of records or resources that become labels too. Each value makes streams of its own: only for few different values, never for ids.",
      ),
    ...httpClientShape,
    compression: z.enum(["none", "gzip"]).default("none").describe("Of JSON and of api: otlp."),
    max_line_size: size(
      256,
      1 << 28,
      1 << 18,
      "Longest line in bytes (Loki's max_line_size); a longer one becomes several numbered entries.",
    ),
    max_metadata_size: size(
      1 << 10,
      1 << 24,
      1 << 16,
      "Bytes of structured metadata of an entry (Loki's max_structured_metadata_size); the rest is left out and counted.",
    ),
    max_metadata_entries: size(
      8,
      1 << 12,
      128,
      "Names of structured metadata of an entry (Loki's max_structured_metadata_entries_count).",
    ),
    max_age: duration(
      "Older records are dropped, too_old (Loki's reject_old_samples_max_age); 0s = none.",
      "168h",
    ),
    max_ahead: duration(
      "Records further in the future are dropped, too_new (Loki's creation_grace_period); 0s = none.",
      "10m",
    ),
    max_body_size: size(
      1 << 10,
      16 << 20,
      2 << 20,
      "Largest request body in bytes, before compression. Keep it below Loki's ingestion_burst_size_mb, and below the 4 MiB that its parts take of each other.",
    ),
    default_labels_enabled: z
      .strictObject({
        exporter: enabled("Accepted for compatibility."),
        job: enabled("Accepted for compatibility: see service_name."),
        instance: enabled("Accepted for compatibility: it is structured metadata."),
        level: enabled("Accepted for compatibility: there is always a level."),
      })
      .optional()
      .describe("As in the Collector's old loki exporter. Its labels are others now: see above."),
    ...delivery,
    timeout: duration("How long one attempt may take; 0s = no limit.", "10s"),
  })
  .superRefine((config, context) => {
    const issue = (path: readonly PropertyKey[], message: string) =>
      context.addIssue({ code: "custom", path: [...path], message });
    checkHttpClient(config, context);
    for (const [i] of config.labels.entries()) {
      const problem = labelProblem(config.labels, i);
      if (problem !== undefined) issue(["labels", i], problem);
    }
    if (config.compression === "gzip" && config.api === "push" && config.encoding === "proto")
      issue(
        ["compression"],
        "protobuf to the push API is always compressed with snappy: leave compression out",
      );
    if (config.encoding === "json" && config.max_body_size > JSON_BODY_MAX)
      issue(
        ["max_body_size"],
        `JSON is made at a stretch, which would hold up everything else: at most ${JSON_BODY_MAX} with encoding: json`,
      );
    if (holdsCredentials(config.endpoint))
      issue(["endpoint"], "credentials belong in an extension such as basic_auth, not in the URL");
  });
export type Config = z.output<typeof config>;

/** Paths of push APIs, which an endpoint may end in. */
const PUSH_PATH = /\/(?:loki\/api\/v1|api\/prom|api\/v1)\/push\/*$/;

/** The whole address of requests. */
export function addressOf({ endpoint, api }: Config): URL {
  const address = new URL(endpoint);
  const base = address.pathname.replace(PUSH_PATH, "").replace(/\/+$/, "");
  address.pathname = `${base}${api === "otlp" ? "/otlp/v1/logs" : "/loki/api/v1/push"}`;
  return address;
}

/** What to tell who brings a configuration of the Collector's old loki exporter. */
export function oldConfigWarning({ endpoint, default_labels_enabled }: Config): string | undefined {
  const isPath = PUSH_PATH.test(new URL(endpoint).pathname);
  if (!isPath && default_labels_enabled === undefined) return undefined;
  return "this is a configuration of the Collector's old loki exporter. It works, with other labels: service_name instead of job, level in lower case, neither exporter nor instance. Lines are the bodies, and attributes are structured metadata; write endpoint without its path, and leave default_labels_enabled out";
}
