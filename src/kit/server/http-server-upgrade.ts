import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { HttpAnswer, HttpRequest } from "./http-server.ts";
import { ServerResponse as Response } from "./node-http.ts";

/** What a server does with clients that want to go on with WebSocket on their connection (RFC 6455 §1.3). */
export interface Upgrades {
  /** Whether such requests for a path come here; all others are answered as if they had not asked. */
  readonly paths: RegExp;
  /** Asked after `auth`. Takes the connection over and gives SWITCHED, or answers. `head`: what came behind the request already. */
  readonly take: (request: HttpRequest, socket: Socket, head: Uint8Array) => Promise<HttpAnswer>;
}

/** The connection is somebody else's now: nothing is to be sent. */
export const SWITCHED: HttpAnswer = { status: 101 };

/** Whether a request has no body and asks for WebSocket where it may. */
export function isUpgrade({ method, headers, url = "" }: IncomingMessage, { paths }: Upgrades) {
  const [path = ""] = url.split("?", 1);
  return method === "GET" && /^websocket$/i.test(headers.upgrade ?? "") && paths.test(path);
}

/** Has such requests taken by `take`, which knows who may come in, with a response for those that stay with HTTP: the last one on its connection. */
export function listenForUpgrades(
  server: Server,
  upgrades: Upgrades,
  take: (
    message: IncomingMessage,
    response: ServerResponse,
    answer: (request: HttpRequest) => Promise<HttpAnswer>,
  ) => void,
): void {
  server.on("upgrade", (message: IncomingMessage, _stream, head: Uint8Array) => {
    const { socket } = message;
    socket.on("error", () => {});
    const response = new Response(message);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.on("finish", () => socket.end());
    take(message, response, async (request) => {
      const answer = await upgrades.take(request, socket, head);
      if (answer === SWITCHED) response.detachSocket(socket);
      return answer;
    });
  });
}
