import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { config as fileStorage } from "../extensions/file_storage/config.ts";
import { request } from "../kit/server/node-http.ts";
import { createIndexer } from "../otlp/indexing.ts";
import { controlSocket } from "../service/control.ts";
import { Desk, type Line } from "../service/desk.ts";
import { isOfRoute } from "../service/letter-filter.ts";
import { createLogger } from "../service/log.ts";
import { Replays } from "../service/replays.ts";
import { openStorage } from "../service/storage.ts";

const STOP_MS = 5_000;

/** What is told to the operator as it is, without a stack. */
export class AskError extends Error {
  override readonly name = "AskError";
}

/** Asks the service that runs on this directory, or, when none does, opens the directory under its lock. Lines as they come; the last is `end`. */
export async function* ask(
  directory: string,
  question: string,
  body: unknown,
): AsyncGenerator<Line> {
  const answer = await askService(directory, question, body);
  yield* answer === undefined ? askDirectory(directory, question, body) : linesOf(answer);
}

/** Those storages that have this route, or a route of this exporter; all of them when none has, so that each says what it has. */
export async function storagesWith(
  directories: readonly string[],
  named: string,
): Promise<readonly string[]> {
  if (directories.length < 2) return directories;
  const found = new Set<string>();
  for (const directory of directories)
    for await (const { route } of ask(directory, "journal/list", {}))
      if (route !== undefined && isOfRoute(route.name, named)) found.add(directory);
  return found.size === 0 ? directories : [...found];
}

/** Undefined when nobody listens. */
async function askService(
  directory: string,
  question: string,
  body: unknown,
): Promise<IncomingMessage | undefined> {
  const socketPath = controlSocket(directory);
  if (socketPath === undefined) return undefined;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | undefined>();
  const sent = request({ socketPath, path: `/${question}`, method: "POST" }, resolve);
  sent.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
    else if (error.code === "EACCES")
      reject(new AskError(`${socketPath} belongs to another user: run the command as that user`));
    else reject(new AskError(`the service behind ${socketPath} does not answer: ${error.message}`));
  });
  sent.end(JSON.stringify(body));
  return promise;
}

async function* linesOf(answer: IncomingMessage): AsyncGenerator<Line> {
  const isOk = answer.statusCode === 200;
  let isWhole = false;
  let text = "";
  try {
    for await (const line of createInterface({ input: answer })) {
      text = line;
      if (!isOk) break;
      const parsed = JSON.parse(line) as Line;
      if (parsed.error !== undefined) throw new AskError(parsed.error);
      isWhole = "end" in parsed;
      yield parsed;
    }
  } catch (error) {
    if (error instanceof AskError) throw error;
  }
  if (!isOk) throw new AskError(text || `the service answered with status ${answer.statusCode}`);
  if (!isWhole)
    throw new AskError(
      "the service ended before its answer did: what it was doing may be done in part; ask again",
    );
}

/** Nothing is given back to the disk here: how long to retain segments is the configuration's to say. */
async function* askDirectory(
  directory: string,
  question: string,
  body: unknown,
): AsyncGenerator<Line> {
  const log = createLogger({ level: "warn", encoding: "console" });
  const options = {
    ...fileStorage.parse({ directory, create_directory: false }),
    retain: Number.POSITIVE_INFINITY,
    max_bytes: Number.MAX_SAFE_INTEGER,
  };
  const needs = { indexer: createIndexer(), log, nowMs: Date.now, cacheBytes: 0, took: () => {} };
  const storage = await openStorage(directory, options, needs).catch((error: Error) => {
    throw new AskError(`no service answers for this directory, and ${error.message}`);
  });
  try {
    const readers = new Set<string>();
    const replays = await Replays.open(storage.journal, storage.deadLetters, readers);
    const lines = new Desk(storage, replays, readers).ask(question, body);
    if (lines === undefined) throw new AskError(`nobody knows the question ${question}`);
    yield* lines;
  } catch (error) {
    throw error instanceof Error ? new AskError(error.message) : error;
  } finally {
    await storage.stop(AbortSignal.timeout(STOP_MS));
  }
}
