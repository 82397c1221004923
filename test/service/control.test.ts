import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { config } from "../../src/extensions/file_storage/config.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { controlSocket, createControl } from "../../src/service/control.ts";
import { Desk } from "../../src/service/desk.ts";
import { Replays } from "../../src/service/replays.ts";
import { openStorage } from "../../src/service/storage.ts";
import { recordingLog } from "../support/export-rig.ts";

async function directoryOfOwn(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "weir-control-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function started() {
  const directory = await directoryOfOwn();
  const log = recordingLog();
  const needs = { indexer: createIndexer(), log, nowMs: Date.now, cacheBytes: 0, took: () => {} };
  const storage = await openStorage("file_storage", config.parse({ directory }), needs);
  const replays = await Replays.open(storage.journal, storage.deadLetters, new Set());
  const control = createControl(directory, new Desk(storage, replays, new Set()), log);
  await control.start();
  onTestFinished(async () => {
    await control.stop(AbortSignal.timeout(1_000));
    await storage.stop(AbortSignal.timeout(60_000));
  });
  return { directory, control };
}

function post(directory: string, path: string, body: string, method = "POST") {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const socketPath = join(directory, "control.sock");
  const sent = httpRequest({ socketPath, path, method }, (answer) => {
    let text = "";
    answer.on("data", (part) => {
      text += String(part);
    });
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

test("only its owner can open the socket; it answers a line per object and the end at last", async () => {
  const { directory, control } = await started();
  expect((await stat(join(directory, "control.sock"))).mode & 0o777).toBe(0o600);
  const { status, text } = await post(directory, "/dead-letter/list", '{"limit":10}');
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual({
    end: { found: 0, kept: 0, bytes: expect.any(Number), maxBytes: 268_435_456 },
  });
  await control.stop(AbortSignal.timeout(1_000));
  await expect(stat(join(directory, "control.sock"))).rejects.toThrow("ENOENT");
});

test.each([
  ["/dead-letter/list", "{", "POST", 400, /cannot be read/],
  ["/dead-letter/list", '{"limit":"ten"}', "POST", 400, /cannot be read/],
  ["/dead-letter/drop", '{"everything":true}', "POST", 400, /use the command of the version/],
  ["/dead-letter/burn", "{}", "POST", 404, /does not know the question/],
  ["/constructor", "{}", "POST", 404, /does not know/],
  ["/dead-letter/list", "", "GET", 405, /^$/],
  ["/dead-letter/list", `"${"x".repeat(9 << 20)}"`, "POST", 413, /./],
])("%s with %.20j by %s is answered with %i", async (path, body, method, status, text) => {
  const { directory } = await started();
  const answer = await post(directory, path, body, method).catch((error: Error) => error);
  // A body that nobody wants may be cut off before it was sent.
  if (status === 413 && answer instanceof Error) expect(answer.message).toMatch(/EPIPE|ECONNRESET/);
  else expect(answer).toEqual({ status, text: expect.stringMatching(text) });
});

test("of two paths the shorter one is used, and none that is too long for a socket", () => {
  expect(controlSocket(join(tmpdir(), "x".repeat(120)))).toBeUndefined();
  expect(controlSocket("data/queue")).toBe("data/queue/control.sock");
});

test.each([
  ["a path that is too long", async () => join(tmpdir(), "x".repeat(120)), /too long/],
  [
    "a directory in the socket's place",
    async () => {
      const directory = await directoryOfOwn();
      await mkdir(join(directory, "control.sock", "x"), { recursive: true });
      return directory;
    },
    /EADDRINUSE/,
  ],
])("%s is no reason not to start: it is said in the log", async (_, make, why) => {
  const directory = await make();
  const log = recordingLog();
  const desk = { ask: () => undefined, stop() {} };
  const control = createControl(directory, desk, log);
  await control.start();
  await control.stop(AbortSignal.timeout(100));
  expect(log.lines).toMatchObject([
    {
      level: "warn",
      text: expect.stringMatching(/only while the service is stopped/),
      fields: { error: expect.stringMatching(why) },
    },
  ]);
});
