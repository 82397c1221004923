import { z } from "zod";
import { duration, listenEndpoint } from "../../config/blocks.ts";
import { queryUpstream } from "../../kit/doors/query-upstream-block.ts";
import { bodySizeOption, httpServerShape } from "../../kit/server/http-server-block.ts";
import type { PushLimits } from "../../series/push/push-entries.ts";

const MIB = 1024 * 1024;
const size = (most: number, usual: number, what: string) =>
  z.int().min(0).max(most).default(usual).describe(`${what}; 0 = no limit.`);
const labelSize = (most: number, usual: number, what: string) =>
  z.int().min(1).max(most).default(usual).describe(what);

const limits = z
  .strictObject({
    max_line_size: size(64 * MIB, 262_144, "Longest line in bytes"),
    max_label_names_per_series: labelSize(
      100,
      15,
      "Most labels of a stream, service_name not counted.",
    ),
    max_label_name_length: labelSize(65_536, 1_024, "Longest name of a label in bytes."),
    max_label_value_length: labelSize(65_536, 2_048, "Longest value of a label in bytes."),
    max_structured_metadata_size: size(
      MIB,
      65_536,
      "Names and values of an entry's structured metadata together, in bytes",
    ),
    max_structured_metadata_entries_count: labelSize(
      2_048,
      128,
      "Most names of structured metadata of an entry.",
    ),
    reject_old_samples: z
      .boolean()
      .default(true)
      .describe("Whether reject_old_samples_max_age holds."),
    reject_old_samples_max_age: duration("Older entries are not taken.", "168h"),
    creation_grace_period: duration(
      "Entries further in the future are not taken; 0s = no limit.",
      "10m",
    ),
  })
  .prefault({})
  .describe("What is taken of an entry, as in limits_config of Loki, with its names and defaults.");

/** The options of the receiver. */
export const config = z.strictObject({
  endpoint: listenEndpoint("Where to listen.", "127.0.0.1:3100"),
  max_request_body_size: bodySizeOption(128, 64),
  auth_enabled: z
    .boolean()
    .default(false)
    .describe(
      "As in Loki: whether each request must name its tenant in the header X-Scope-OrgID. Who may send is the matter of auth.",
    ),
  tenant_attribute: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Attribute of the resource that keeps the tenant of X-Scope-OrgID, for example loki.tenant. Absent: it is not kept.",
    ),
  parse: z
    .enum(["none", "promtail_client"])
    .default("none")
    .describe(
      "none: lines stay as they are. promtail_client: lines of the Lambda extension give their function and time, and the record becomes the line.",
    ),
  limits,
  query_upstream: queryUpstream.describe(
    "A Loki that answers queries, for example http://127.0.0.1:3101 (the embedded store speaks SQL only). Absent: they are answered with an error that names this option.",
  ),
  ...httpServerShape,
});
export type Config = z.output<typeof config>;

/** The limits as the readers of pushes take them; 0 is none. */
export function limitsOf({ limits }: Config): PushLimits {
  return {
    maxLabels: limits.max_label_names_per_series,
    maxNameBytes: limits.max_label_name_length,
    maxValueBytes: limits.max_label_value_length,
    maxLineBytes: limits.max_line_size,
    maxAgeMs: limits.reject_old_samples ? limits.reject_old_samples_max_age : 0,
    maxAheadMs: limits.creation_grace_period,
    maxMetadataBytes: limits.max_structured_metadata_size,
    maxMetadataPairs: limits.max_structured_metadata_entries_count,
  };
}
