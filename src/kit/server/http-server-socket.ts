import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Statuses for what the HTTP parser refuses; everything else is 400. */
const STATUS_LINES: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * Answers a connection whose request cannot be parsed or does not arrive in time, and closes it. There is no request to know a
 * content type from, so the answer has no body. Nothing is written into an answer that has begun.
 */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  const isAnswering = "_httpMessage" in socket && hasBegun(socket._httpMessage);
  if (!socket.writable || isAnswering || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const line = STATUS_LINES[error.code ?? ""] ?? "400 Bad Request";
  socket.end(`HTTP/1.1 ${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}

function hasBegun(response: unknown): boolean {
  return (
    typeof response === "object" &&
    response !== null &&
    "headersSent" in response &&
    response.headersSent === true
  );
}

/**
 * Lets a client that is still sending read its answer: closing a socket with unread input resets the connection, and the answer is
 * lost with it. So after the answer only our side is closed and the rest of the body is thrown away; the connection is cut when the
 * client closes, or soon after (`Connections`).
 */
export function lingerOnClose(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
  };
}
