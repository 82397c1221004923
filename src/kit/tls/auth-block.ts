import { z } from "zod";
import type { Authenticator, ClientAuth, ServerAuth } from "../../pipeline/auth.ts";

/** `auth:`, as in the Collector (configauth). That the extension exists and starts is checked with the whole configuration. */
export const auth = z
  .strictObject({
    authenticator: z
      .string()
      .min(1)
      .describe("Id of an extension such as bearer_token_auth or basic_auth; it must start too."),
  })
  .optional()
  .describe("Who may send here, or as whom to send.");
export type Auth = z.output<typeof auth>;

/** Where components find the extensions that `auth` names. */
export interface Authenticators {
  readonly authenticator?: (id: string) => Authenticator;
}

/** The server's side of the named extension; undefined without `auth`. Throws when it has none. */
export function serverAuthOf(block: Auth, around: Authenticators): ServerAuth | undefined {
  if (block === undefined) return undefined;
  return part(named(block.authenticator, around).server, block.authenticator, "receivers");
}

/** The client's side of the named extension; undefined without `auth`. Throws when it has none. */
export function clientAuthOf(block: Auth, around: Authenticators): ClientAuth | undefined {
  if (block === undefined) return undefined;
  return part(named(block.authenticator, around).client, block.authenticator, "exporters");
}

function named(id: string, { authenticator }: Authenticators): Authenticator {
  if (authenticator === undefined) throw new Error(`there is no extension "${id}" here`);
  return authenticator(id);
}

function part<T>(side: T | undefined, id: string, whom: string): T {
  if (side !== undefined) return side;
  throw new Error(`extension "${id}" is not set up for ${whom}: see its README`);
}
