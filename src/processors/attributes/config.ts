import { z } from "zod";
import { attributeActions } from "../../kit/attribute-actions.ts";
import { itemMatch } from "../../kit/item-match.ts";

export const config = z.strictObject({
  include: itemMatch.optional().describe("Only items that match are edited."),
  exclude: itemMatch
    .optional()
    .describe("Items that match are left as they are, also where `include` matches."),
  actions: attributeActions.describe(
    "What to do, in order, with the attributes of every log record, span and data point.",
  ),
});
export type Config = z.output<typeof config>;
