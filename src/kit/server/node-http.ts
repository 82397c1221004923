import type * as http from "node:http";
import type * as http2 from "node:http2";
import type * as https from "node:https";
import type * as tls from "node:tls";

/**
 * What is used of node:http. An `import` of it reads everything that it exports, WebSocket too, for which Node loads its whole fetch: some
 * 10 MB that would stay in memory.
 */
export const { Agent, createServer, request, ServerResponse }: typeof http =
  process.getBuiltinModule("node:http");

/** Read when the first connection wants TLS: with what it reads in turn some 20 ms, which every cold start of the Lambda extension would pay. */
export const nodeHttps = (): typeof https => process.getBuiltinModule("node:https");
export const nodeTls = (): typeof tls => process.getBuiltinModule("node:tls");
export const nodeHttp2 = (): typeof http2 => process.getBuiltinModule("node:http2");
