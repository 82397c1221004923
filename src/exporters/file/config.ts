import { z } from "zod";
import { delivery, duration } from "../../config/blocks.ts";
import { TABLES_DOC, type TableChoice } from "../../series/tables/table-choice.ts";

/** As in the Collector: `rotation:` with nothing behind it is on, with the defaults. */
const rotationBlock = z.strictObject({
  max_megabytes: z
    .int()
    .min(1)
    .max(1 << 20)
    .default(100)
    .describe("A file that would become larger is put aside as <name>-<time><extension>, in MiB."),
  max_days: z
    .int()
    .min(0)
    .default(0)
    .describe("Files put aside longer ago are deleted; 0 = none is."),
  max_backups: z
    .int()
    .min(0)
    .default(100)
    .describe("Most files put aside; the oldest ones are deleted. 0 = no limit."),
  localtime: z.boolean().default(false).describe("Names have this machine's time instead of UTC."),
});
const rotation = rotationBlock
  .nullable()
  .optional()
  .transform((given) => (given === null ? rotationBlock.parse({}) : given))
  .optional()
  .describe("Absent: the file grows.");

/** The options; `choice` checks `tables`. */
export function fileConfig(choice: TableChoice) {
  return z
    .strictObject({
      path: z.string().min(1).describe("The file. `~` is not expanded."),
      format: z
        .enum(["lines", "otlp_json", "json", "proto"])
        .default("otlp_json")
        .describe(
          "lines: line protocol, one row per line; otlp_json (the Collector's json): one OTLP/JSON request per line; proto: OTLP requests, each behind its length (4 bytes, big endian).",
        ),
      compression: z
        .enum(["none", "zstd"])
        .default("none")
        .describe(
          "zstd: each write is compressed by itself and stands behind its length (4 bytes, big endian), whatever the format.",
        ),
      rotation,
      flush_interval: duration(
        "Accepted for compatibility: nothing waits in memory of ours.",
        "1s",
      ),
      tables: z
        .array(z.string())
        .min(1)
        .optional()
        .describe(`With \`format: lines\`. ${TABLES_DOC}`),
      metric_tags: z
        .array(z.string().regex(/^[^\p{Cc}\\]+$/u, "no control characters, no backslash"))
        .optional()
        .describe(
          "Attributes of the resource that become tags of every data point, _ for each dot. Default: service.name, service.namespace, service.instance.id, host.name.",
        ),
      keep_line_shape: z
        .boolean()
        .default(false)
        .describe(
          "With OTLP formats: keep the attributes weir.*, which tell a Weir that reads the file how a line looked.",
        ),
      append: z
        .boolean()
        .default(true)
        .describe("Accepted for compatibility: the file is always continued."),
      create_directory: z
        .boolean()
        .default(false)
        .describe("Create the directory when it is missing."),
      fsync: z
        .boolean()
        .default(false)
        .describe("Wait for the disk before items count as delivered."),
      max_body_size: z
        .int()
        .min(1 << 10)
        .max(1 << 30)
        .default(4 << 20)
        .describe("Bytes written at once at most."),
      ...delivery,
    })
    .superRefine(({ tables, path }, context) => {
      for (const { at, message } of choice.mistakes(tables ?? []))
        context.addIssue({ code: "custom", path: ["tables", at], message });
      if (path.includes("\0"))
        context.addIssue({ code: "custom", path: ["path"], message: "a path cannot hold a NUL" });
    });
}
export type Config = z.output<ReturnType<typeof fileConfig>>;
