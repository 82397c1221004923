import { z } from "zod";
import { Secret } from "../../config/blocks.ts";

/** `headers:` of every client. */
export const headers = z
  .record(
    z.string(),
    z.string().transform((text) => new Secret(text)),
  )
  .default({})
  .describe("Headers of every request, for example Authorization. Values never print.");

/** Its parsed value. */
export type Headers = z.output<typeof headers>;

/** Reports every header that `problemOf` finds wrong, at its place below `headers`. */
export function checkHeaders(
  given: Headers,
  problemOf: (name: string, value: string) => string | undefined,
  context: z.RefinementCtx,
): void {
  for (const [name, value] of Object.entries(given)) {
    const message = problemOf(name, value.reveal());
    if (message !== undefined)
      context.addIssue({ code: "custom", path: ["headers", name], message });
  }
}
