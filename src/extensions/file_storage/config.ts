import { z } from "zod";
import { duration } from "../../config/blocks.ts";

const bytes = z.int().min(1);

export const config = z.strictObject({
  directory: z
    .string()
    .min(1)
    .default("./data/queue")
    .describe("Where the journal lives. One process at a time."),
  create_directory: z.boolean().default(true).describe("Create the directory when it is missing."),
  timeout: duration("Accepted for compatibility: the lock answers at once.", "1s"),
  fsync: z
    .boolean()
    .default(true)
    .describe(
      "Acknowledge after fdatasync. false: a power cut may lose what was acknowledged; said in the log at start.",
    ),
  max_bytes: bytes
    .optional()
    .describe(
      "Hard limit of the journal in bytes. Default: 8 GiB or 20 % of the free disk, whichever is less.",
    ),
  segment_bytes: bytes
    .min(1 << 16)
    .default(64 << 20)
    .describe("Size of one segment file in bytes."),
  retain: duration("Keep delivered segments this long, for replay.", "0s"),
  dead_letters: z
    .strictObject({
      max_bytes: bytes
        .min(1 << 20)
        .default(256 << 20)
        .describe("Most bytes of the dead letters on disk, beside `max_bytes`."),
      on_full: z
        .enum(["drop_oldest", "refuse"])
        .default("drop_oldest")
        .describe(
          "What happens to a new dead letter when there is no room. drop_oldest: the oldest ones go, counted and said in the log. refuse: it waits for room, and its route with it.",
        ),
    })
    .prefault({})
    .describe("Items that their destination rejects for good: see `weir dead-letter`."),
  compaction: z
    .looseObject({})
    .optional()
    .describe(
      "Accepted for compatibility: what a route that is far behind still needs of sparse segments is copied by itself.",
    ),
});
export type Config = z.output<typeof config>;
