import type { Context } from "../../pipeline/factory.ts";
import { type Auth, serverAuthOf } from "../tls/auth-block.ts";
import type { TlsServer } from "../tls/tls-options.ts";
import { ServerTls } from "../tls/tls-server.ts";

/**
 * `tls` and `auth` of one listener of a receiver, for the options of its HTTP or gRPC server. Throws, naming `option` (where the
 * listener is configured), when a file or an extension cannot be used.
 */
export function serverSurroundings(
  block: { readonly tls?: TlsServer | undefined; readonly auth?: Auth },
  context: Pick<Context, "id" | "log" | "authenticator">,
  option: string,
) {
  try {
    return {
      ...(block.tls !== undefined && { tls: new ServerTls(block.tls, context) }),
      auth: serverAuthOf(block.auth, context),
    };
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    throw new Error(`${option}: ${why}`, { cause: reason });
  }
}
