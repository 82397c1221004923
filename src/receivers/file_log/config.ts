import { z } from "zod";
import { duration } from "../../config/blocks.ts";
import { linearPattern } from "../../kit/attribute-actions.ts";
import { isWide } from "./characters.ts";

const globs = z.array(z.string().min(1));
const UNITS = { "": 1, kb: 1_000, kib: 1_024, mb: 1_000_000, mib: 1 << 20 } as const;

/** A number of bytes, or a text such as 1kb or 1MiB, as the Collector takes it. */
function size(what: string, fallback: string, least: number, most: number) {
  const wanted = `expected a size from ${least} to ${most} bytes, such as 1MiB`;
  return z
    .union([z.number(), z.string()], { error: wanted })
    .transform((given, context) => {
      const [, digits = "", unit = ""] = /^\s*(\d+)\s*([a-z]*)\s*$/i.exec(String(given)) ?? [];
      const factor = Object.entries(UNITS).find(([name]) => name === unit.toLowerCase())?.[1];
      const bytes = digits === "" || factor === undefined ? -1 : Number(digits) * factor;
      if (bytes >= least && bytes <= most) return bytes;
      context.addIssue({ code: "custom", message: wanted });
      return z.NEVER;
    })
    .prefault(fallback)
    .describe(what);
}

const multiline = z
  .strictObject({
    line_start_pattern: linearPattern
      .optional()
      .describe("A record begins with each line in which this is found (RE2 syntax)."),
    line_end_pattern: linearPattern
      .optional()
      .describe("A record ends with each line in which this is found."),
  })
  .superRefine(({ line_start_pattern: start, line_end_pattern: end }, context) => {
    if ((start === undefined) === (end === undefined))
      context.addIssue({
        code: "custom",
        message: "needs one of line_start_pattern and line_end_pattern",
      });
  });

const ENCODINGS = [
  "utf-8",
  "utf8",
  "utf-8-raw",
  "utf8-raw",
  "utf-16le",
  "utf-16be",
  "ascii",
  "us-ascii",
  "latin1",
  "iso-8859-1",
  "nop",
] as const;

/** How the bytes of a file are a text; of each kind one name is left. */
export type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "latin1" | "nop";

function encodingOf(name: (typeof ENCODINGS)[number]): Encoding {
  if (name === "utf-16le" || name === "utf-16be" || name === "nop") return name;
  return name === "latin1" || name === "iso-8859-1" ? "latin1" : "utf-8";
}

/** The options of the receiver. */
export const config = z
  .strictObject({
    include: globs
      .min(1)
      .describe(
        "Files to follow: paths with *, **, ?, [abc] and {a,b}; relative ones begin at the working directory, as in the Collector.",
      ),
    exclude: globs.default([]).describe("Files among them that are left out."),
    exclude_older_than: duration(
      "Files that were last changed longer ago than this when they are found are left out; 0s: none.",
      "0s",
    ),
    start_at: z
      .enum(["beginning", "end"])
      .default("end")
      .describe(
        "Where to begin in files that are there at the first start. Later ones are read from their beginning, known ones from where they were left.",
      ),
    storage: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Id of a file_storage extension that keeps the positions. Default: the one that keeps the queue of the exporters.",
      ),
    poll_interval: duration("How often files are looked at, and looked for.", "200ms"),
    watch: z
      .boolean()
      .default(true)
      .describe("Look at once when the system says that something changed (inotify)."),
    max_concurrent_files: z
      .int()
      .min(1)
      .default(1_024)
      .describe("Most files that are kept open; more are followed in turns."),
    fingerprint_size: size(
      "First bytes of a file by which it is known when it was renamed or copied.",
      "1kb",
      16,
      1 << 16,
    ),
    max_log_size: size("Longest record in bytes.", "1MiB", 64, 8 << 20),
    max_log_size_behavior: z
      .enum(["split", "truncate", "skip"])
      .default("split")
      .describe(
        "Of a longer line: all in parts, only the first part, or nothing of it (counted as rejected).",
      ),
    encoding: z
      .string()
      .toLowerCase()
      .pipe(z.enum(ENCODINGS))
      .transform(encodingOf)
      .prefault("utf-8")
      .describe(`One of ${ENCODINGS.join(", ")}. nop: not parted into lines.`),
    format: z
      .enum(["auto", "text", "json", "container", "docker", "cri", "logs_json"])
      .default("auto")
      .describe(
        "auto: lines that are JSON objects are read as such, others are texts. text: all are. json: as auto. container, docker, cri: what container runtimes write, told by line. logs_json: the file of the Dart Cloud logger.",
      ),
    multiline: multiline.optional().describe("Records of several lines. Default: one a line."),
    force_flush_period: duration(
      "A last line without a newline is taken when nothing came for so long; 0s: never.",
      "500ms",
    ),
    preserve_leading_whitespaces: z
      .boolean()
      .default(false)
      .describe("false: white space before a text is left out."),
    preserve_trailing_whitespaces: z
      .boolean()
      .default(false)
      .describe("false: white space behind a text is left out."),
    compression: z
      .enum(["", "gzip", "auto"])
      .default("auto")
      .describe('gzip: all files are. auto: those that end in .gz are. "": none is.'),
    include_file_name: z
      .boolean()
      .default(true)
      .describe("Attribute log.file.name: the last part of the path."),
    include_file_path: z
      .boolean()
      .default(true)
      .describe("Attribute log.file.path; the column file_path of the table logs."),
    path_pattern: linearPattern
      .optional()
      .describe("Named groups of this expression, (?P<name>…), found in the path: attributes."),
    attributes: z
      .record(z.string().min(1), z.string())
      .default({})
      .describe("Attributes of all records."),
    service_name: z
      .string()
      .min(1)
      .optional()
      .describe("service.name of records that do not name one."),
    retry_on_failure: z
      .looseObject({})
      .optional()
      .describe("Accepted without effect: what is refused is always read again later."),
  })
  .superRefine(({ multiline: lines, format, encoding }, context) => {
    if (lines !== undefined && !["auto", "text", "json"].includes(format))
      context.addIssue({
        code: "custom",
        path: ["multiline"],
        message: `format ${format} has records of its own: leave multiline out`,
      });
    if (encoding === "nop" && (lines !== undefined || format !== "auto"))
      context.addIssue({
        code: "custom",
        path: ["encoding"],
        message: "nop knows no lines: leave multiline and format out",
      });
    if (isWide(encoding) && ["container", "docker", "cri", "logs_json"].includes(format))
      context.addIssue({
        code: "custom",
        path: ["encoding"],
        message: `files of format ${format} are UTF-8`,
      });
  });
export type Config = z.output<typeof config>;
