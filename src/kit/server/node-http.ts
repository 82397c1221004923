import type * as http from "node:http";

/**
 * What is used of node:http. An `import` of it reads everything that it exports, WebSocket too, for which Node loads its whole fetch: some
 * 10 MB that would stay in memory.
 */
export const { Agent, createServer, request }: typeof http = process.getBuiltinModule("node:http");
