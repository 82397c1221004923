import { z } from "zod";
import { attributeActions } from "../../kit/attribute-actions.ts";

export const config = z.strictObject({
  attributes: attributeActions.describe(
    "What to do, in order, with the attributes of every resource.",
  ),
});
export type Config = z.output<typeof config>;
