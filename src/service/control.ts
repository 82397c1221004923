import { chmod, unlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { z } from "zod";
import { createHttpServer, type HttpAnswer, type HttpRequest } from "../kit/server/http-server.ts";
import { UNIX } from "../kit/server/server-listener.ts";
import type { Component } from "../pipeline/contracts.ts";
import type { Logger } from "../pipeline/telemetry.ts";
import type { Desk, Line } from "./desk.ts";

const SOCKET = "control.sock";
/** Longest path of a socket (sun_path), less its end. */
const PATH_MAX = 107;
const REQUEST_BYTES = 8 << 20;
const MAX_CONNECTIONS = 16;
/** No reason not to start: telemetry goes its way. */
const NOT_REACHED =
  "there is no control socket: commands such as weir dead-letter work only while the service is stopped";

/** The control socket of a storage directory: the shorter of its paths. Undefined when both are longer than a socket's path may be. */
export function controlSocket(directory: string): string | undefined {
  const path = join(directory, SOCKET);
  return [path, relative("", path)]
    .filter((candidate) => Buffer.byteLength(candidate) <= PATH_MAX)
    .sort((a, b) => a.length - b.length)[0];
}

/**
 * Answers the commands while the service runs and holds the lock of the directory: HTTP over a socket in that directory, which only its
 * owner can open. A request is a POST to `/<question>` with a JSON object; the answer is a JSON object per line.
 */
export function createControl(
  directory: string,
  desk: Pick<Desk, "ask" | "stop">,
  log: Logger,
): Component {
  const path = controlSocket(directory);
  if (path === undefined) return createNone(directory, log);
  const server = createHttpServer({
    endpoint: `${UNIX}${path}`,
    what: "the control socket",
    maxConnections: MAX_CONNECTIONS,
    isKeptAlive: false,
    onRequest: (request) => answer(request, desk),
  });
  return {
    async start() {
      // Left by a process that was killed; the directory's lock says that nobody listens on it.
      await unlink(path).catch(() => {});
      try {
        await server.start();
        await chmod(path, 0o600);
      } catch (error) {
        log.warn({ path, error: String(error) }, NOT_REACHED);
      }
    },
    async stop(deadline) {
      desk.stop();
      await server.stop(deadline);
    },
  };
}

function createNone(directory: string, log: Logger): Component {
  return {
    async start() {
      log.warn({ directory, error: "the path is too long for a socket" }, NOT_REACHED);
    },
    stop: async () => {},
  };
}

async function answer(request: HttpRequest, desk: Pick<Desk, "ask">): Promise<HttpAnswer> {
  if (request.method !== "POST") return { status: 405, headers: { Allow: "POST" } };
  const { bytes, length } = await request.readBody(REQUEST_BYTES);
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
    const lines = desk.ask(request.path.slice(1), body);
    if (lines === undefined) return refusal(404, "this version does not know the question");
    return { status: 200, contentType: "application/x-ndjson", body: ndjson(lines) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError)
      return refusal(400, "the request cannot be read");
    throw error;
  }
}

function refusal(status: number, why: string): HttpAnswer {
  const body = `${why}: use the command of the version that runs\n`;
  return { status, contentType: "text/plain", body };
}

/** A failure in the middle is a line of its own: the lines before it hold. */
async function* ndjson(lines: AsyncIterable<Line>): AsyncGenerator<string> {
  try {
    for await (const line of lines) yield `${JSON.stringify(line)}\n`;
  } catch (error) {
    yield `${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`;
  }
}
