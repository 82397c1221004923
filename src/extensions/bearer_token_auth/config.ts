import { z } from "zod";
import { duration, secret } from "../../config/blocks.ts";
import { isUnfit, readTokens, UNFIT } from "./tokens.ts";

export const config = z
  .strictObject({
    scheme: z
      .string()
      .regex(/^[!#-'*+.^_`|~0-9A-Za-z-]*$/, "expected one word, for example Bearer")
      .default("Bearer")
      .describe("Word before the token; empty: the header is the token alone."),
    token: secret("The token that receivers expect and exporters send."),
    tokens: z
      .array(secret("A token."))
      .default([])
      .describe("Tokens that receivers take, instead of token; exporters send the first."),
    filename: z
      .string()
      .min(1)
      .optional()
      .describe("File with one token per line, instead of both. A changed file holds at once."),
    reload_interval: duration("How often filename is looked at; 0s: never.", "1s"),
    header: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "expected the name of a header")
      .default("Authorization")
      .describe("Header that carries the token."),
  })
  .superRefine(({ token, tokens, filename }, context) => {
    const issue = (path: readonly string[], message: string) =>
      context.addIssue({ code: "custom", path: [...path], message });
    const given = tokens.length > 0 ? tokens : [token];
    if (filename === undefined && given.every((one) => one.reveal() === ""))
      issue([], "no token: set token, tokens or filename");
    if (given.some((one) => isUnfit(one.reveal())))
      issue([tokens.length > 0 ? "tokens" : "token"], `a token ${UNFIT}`);
    try {
      if (filename !== undefined) readTokens(filename);
    } catch (reason) {
      issue(["filename"], reason instanceof Error ? reason.message : String(reason));
    }
  });
export type Config = z.output<typeof config>;
