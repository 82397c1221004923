import { z } from "zod";
import { attributeActions } from "../../kit/attribute-actions.ts";

export const config = z.strictObject({
  actions: attributeActions.describe(
    "What to do, in order, with the attributes of every log record, span and data point.",
  ),
});
export type Config = z.output<typeof config>;
