import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createJournal } from "../../src/journal/open.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { decodeRequest } from "../support/otlp.ts";
import { RestlessFiles } from "../support/restless-files.ts";
import { seeded } from "../support/seeded.ts";
import { freePorts, Service } from "../support/service.ts";

/** 50 files at 50,000 lines/s that are rotated all the time, and a service that is killed: every line once. WEIR_FUZZ=10: ten kills. */
const FILES = 50;
const LINES_PER_TURN = 20;
/** While the service starts: starting takes long where much else runs. */
const LINES_WHILE_DOWN = 2;
const TURN_MS = 20;
const { WEIR_FUZZ = "3" } = process.env;
const KILLS = Number(WEIR_FUZZ);

interface Request {
  readonly resourceLogs?: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body?: { readonly stringValue?: string } }[];
    }[];
  }[];
}

/** The bodies that the journal holds, in all its frames, and how often. */
async function journaled(directory: string): Promise<Map<string, number>> {
  await using io = await openDirectory(directory, { create: false });
  const journal = createJournal({
    ...{ io, indexer: createIndexer(), maxBytes: 8 << 30, nowMs: Date.now },
    log: { info() {}, warn() {}, error() {} },
  });
  await journal.start();
  const times = new Map<string, number>();
  for await (const { batch } of journal.frames()) {
    const request = decodeRequest("logs", batch.bytes.subarray(0, batch.length)) as Request;
    for (const { scopeLogs } of request.resourceLogs ?? [])
      for (const { logRecords } of scopeLogs)
        for (const { body } of logRecords) {
          const text = body?.stringValue ?? "";
          times.set(text, (times.get(text) ?? 0) + 1);
        }
  }
  await journal.stop(AbortSignal.timeout(2_000));
  return times;
}

test("files that grow, move, shrink and are packed, with kills: every line exactly once", async () => {
  const directory = await mkdtemp(join(tmpdir(), "weir-files-"));
  const logs = join(directory, "logs");
  const queue = join(directory, "queue");
  await mkdir(logs);
  const whole = seeded(7);
  const random = () => whole(1 << 20) / (1 << 20);
  const [health = 0, metrics = 0, nobody = 0] = await freePorts(3);
  const config = join(directory, "config.yaml");
  await writeFile(
    config,
    `
receivers:
  file_log: { include: ["${logs}/*.log*"], start_at: beginning, storage: file_storage }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${nobody}", sending_queue: { storage: file_storage } }
extensions:
  health_check: { endpoint: "127.0.0.1:${health}" }
  file_storage: { directory: "${queue}" }
service:
  extensions: [health_check, file_storage]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${metrics} } } } }] } }
  pipelines: { logs: { receivers: [file_log], exporters: [otlp_http] } }
`,
  );
  const files = new RestlessFiles(logs, FILES, random);
  const service = new Service(config, health, metrics);
  let isOver = false;
  let linesPerTurn = LINES_WHILE_DOWN;
  const writing = (async () => {
    for (let turn = 1; !isOver; turn++) {
      files.grow(linesPerTurn);
      if (turn % 8 === 0) files.rotate();
      await sleep(TURN_MS);
    }
  })();
  try {
    await service.start();
    for (let kill = 0; kill < KILLS; kill++) {
      linesPerTurn = LINES_PER_TURN;
      await sleep(200 + random() * 600);
      linesPerTurn = LINES_WHILE_DOWN;
      await service.kill("SIGKILL");
      await service.start();
    }
    isOver = true;
    await writing;
    const appended = () => service.metric("weir_route_appended_items_total");
    const end = Date.now() + 30_000;
    while ((await appended()) < files.count && Date.now() < end) await sleep(200);
    // More than there are would come now.
    await sleep(1_000);
    await service.kill("SIGTERM");
    const times = await journaled(queue);
    const missing: string[] = [];
    for (const line of files.expected()) {
      const n = times.get(line) ?? 0;
      if (n === 0) missing.push(line);
      if (n === 1) times.delete(line);
    }
    expect(missing.slice(0, 5)).toEqual([]);
    expect([...times].slice(0, 5)).toEqual([]);
    expect(files.count).toBeGreaterThan(20_000);
    expect(files.rotations).toBeGreaterThan(10);
  } finally {
    isOver = true;
    await writing;
    await service.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  }
}, 120_000);
