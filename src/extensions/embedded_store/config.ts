import { z } from "zod";
import { duration, listenEndpoint, secret } from "../../config/blocks.ts";
import { databaseNameFault } from "../../lib/database-name.ts";
import { TABLE_FILES_DOC, type TableChoice } from "../../series/tables/table-choice.ts";

/** The options; `choice` checks `tables`. */
export function embeddedStoreConfig(choice: TableChoice) {
  return z.strictObject({
    endpoint: listenEndpoint("Where the store listens.", "127.0.0.1:8181"),
    directory: z
      .string()
      .min(1)
      .default("./data/store")
      .describe("Where the store keeps its data. One process at a time."),
    create_directory: z
      .boolean()
      .default(true)
      .describe("Create the directory when it is missing."),
    databases: z
      .array(
        z.string().superRefine((name, context) => {
          const message = databaseNameFault(name);
          if (message !== undefined) context.addIssue({ code: "custom", message });
        }),
      )
      .default(["weir"])
      .describe(
        "Databases that are there from the start, with the declared tables; others come with the first row written to them.",
      ),
    tables: z
      .array(z.string())
      .default([])
      .superRefine((entries, context) => {
        for (const { at, message } of choice.fileMistakes(entries))
          context.addIssue({ code: "custom", path: [at], message });
      })
      .describe(`${TABLE_FILES_DOC} They are there, with their types, before the first row.`),
    memory_limit: z
      .string()
      .regex(/^\d{1,9}\s*[KMGT]i?B$/i, 'expected a size, for example "512MiB"')
      .default("512MiB")
      .describe("Memory that the database may use; the process needs some 100 MiB besides."),
    query_timeout: duration(
      "Longest query; one that cannot be stopped is killed with its process.",
      "10s",
    ),
    token: secret("Token that requests must carry. Empty: none is asked for."),
  });
}
export type Config = z.output<ReturnType<typeof embeddedStoreConfig>>;
