import type { Context } from "../../pipeline/factory.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "./http-server.ts";
import { type HttpServerBlock, httpServerOptions } from "./http-server-block.ts";
import { serverSurroundings } from "./server-surroundings.ts";

/** What a receiver itself has to say to its server. */
interface Work extends Pick<HttpServerOptions, "onRequest" | "upgrades"> {
  readonly onDenied?: NonNullable<HttpServerOptions["onDenied"]>;
  readonly onHttp2Stream?: HttpServerOptions["onHttp2Stream"];
  readonly maxHeaderBytes?: number;
  /** On every answer; those of the block's `response_headers` win. */
  readonly ownHeaders?: Readonly<Record<string, string>>;
}

/**
 * The server over HTTP of a receiver: where and how its block says. `part` names the block inside the receiver's, as in
 * "protocols.http". Throws when a file or an extension that the block names cannot be used.
 */
export function createReceiverServer(
  block: HttpServerBlock & { readonly endpoint: string },
  context: Context,
  work: Work,
  part?: { readonly path: string; readonly name: string },
): HttpServer {
  const option = `receivers.${context.id}${part === undefined ? "" : `.${part.path}`}`;
  const { ownHeaders, ...rest } = work;
  const options = httpServerOptions(block);
  return createHttpServer({
    ...options,
    ...(ownHeaders !== undefined && {
      responseHeaders: { ...ownHeaders, ...options.responseHeaders },
    }),
    ...serverSurroundings(block, context, option),
    endpoint: block.endpoint,
    what: `receiver ${context.id}${part === undefined ? "" : ` (${part.name})`}`,
    option: `${option}.endpoint`,
    onTrouble: (error) =>
      context.log.warn(
        { receiver: context.id, error: error.message },
        "trouble in the HTTP server",
      ),
    ...rest,
  });
}
