import { expect, test } from "vitest";
import { createDebug, type Out } from "../../src/exporters/debug/index.ts";
import { Sampler } from "../../src/exporters/debug/sampler.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { recordingLog, recordingMeter } from "../support/export-rig.ts";
import { encodeRequest } from "../support/otlp.ts";

const indexer = createIndexer();
const request = {
  resourceLogs: [
    {
      scopeLogs: [
        {
          logRecords: [
            {
              body: { stringValue: "he said \u001b[31m\n\u009b" },
              severityText: "INFO",
              traceId: "0102030405060708090a0b0c0d0e0f10",
              attributes: [{ key: "n", value: { intValue: "7" } }],
            },
            { body: { stringValue: "x".repeat(1_000) } },
          ],
        },
      ],
    },
  ],
};

async function shown(verbosity: string, options: object = {}) {
  const parts: Uint8Array[] = [];
  const paths: string[] = [];
  const { log, post, backend } = connect(verbosity, options, async (bytes, path) => {
    parts.push(bytes.slice());
    paths.push(path);
  });
  await backend.start();
  expect(await post(new AbortController().signal)).toEqual({ is: "sent", unconfirmed: false });
  await backend.stop(AbortSignal.abort());
  return { text: Buffer.concat(parts).toString(), log: log.lines, paths };
}

/** The exporter in front of `out`; `post` sends it two records. */
function connect(verbosity: string, options: object, out: Out) {
  const log = recordingLog();
  const factory = createDebug(pickItems, (batch) => JSON.stringify({ items: batch.items }), out);
  const backend = factory.create(factory.schema.parse({ verbosity, ...options }), {
    id: "debug",
    route: "debug/logs",
    signal: "logs",
    log,
    meter: recordingMeter(),
    indexer,
    nowMs: Date.now,
    fail: () => {},
  });
  const wire = encodeRequest("logs", request);
  const indexed = indexer.index("logs", wire, wire.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  const { batch } = indexed;
  const frames = [{ seq: 4, batch, arrivalMs: 0, note: new Uint8Array(0) }];
  const slab = makeSlab(backend.limits.bytes);
  const { rows, to } = backend.writer.write({ first: 4, last: 4, frames, items: 2 }, 0, 2, slab);
  expect(to).toBe(2);
  const sending = {
    journal: "j",
    route: "debug/logs",
    from: [4, 0],
    to: [4, 1],
    rows,
    attempt: 1,
  } as const;
  const body = slab.bytes.subarray(0, slab.length);
  return { log, backend, post: (stop: AbortSignal) => backend.post(body, sending, stop) };
}

test("basic says how much in the log", async () => {
  const { text, log } = await shown("basic");
  expect(text).toBe("");
  expect(log).toEqual([{ level: "info", text: "debug", fields: { route: "debug/logs", logs: 2 } }]);
});

test("normal writes one line per item, and nothing that steers a terminal", async () => {
  const { text } = await shown("normal");
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toBe(
    'logs severity=INFO body="he said \\u001b[31m\\n\\u009b" trace_id=0102030405060708090a0b0c0d0e0f10 n=7',
  );
  expect(lines[1]?.length).toBeLessThan(300);
});

test("detailed writes OTLP/JSON", async () => {
  expect((await shown("detailed")).text).toBe('{"items":2}\n');
});

test("without the internal logger it shows where output_paths says", async () => {
  const options = { use_internal_logger: false, output_paths: ["stdout", "stderr", "stdout"] };
  expect((await shown("detailed", options)).paths).toEqual(["stdout", "stderr"]);
  expect((await shown("detailed", { use_internal_logger: false })).paths).toEqual(["stdout"]);
  expect((await shown("detailed", { output_paths: ["stdout"] })).paths).toEqual(["stderr"]);
});

test.each([
  [2, 1, [0, 0, 0, 0, 0, 0, 0]],
  [2, 3, [0, 0, -1, -1, 20, -1, -1]],
  [0, 2, [-1, 10, -1, 10, -1, 10, -1]],
  [1, 0, [0, -1, -1, -1, -1, -1, -1]],
])(
  "sampling: the first %i of a second, then each %i. one; what is held back is told later",
  (initial, thereafter, expected) => {
    let nowMs = 5_000;
    const sampler = new Sampler(initial, thereafter, () => nowMs);
    const take = () => sampler.take(10) ?? -1;
    expect(expected.map(take)).toEqual(expected);
    nowMs = 6_000;
    const held = expected.length - 1 - expected.findLastIndex((one) => one >= 0);
    if (initial > 0) expect(take()).toBe(held * 10);
    else expect([take(), take()]).toEqual([-1, (held + 1) * 10]);
  },
);

test("sends that are not shown are delivered all the same", async () => {
  const { text, log } = await shown("normal", { sampling_initial: 0, sampling_thereafter: 0 });
  expect({ text, log }).toEqual({ text: "", log: [] });
});

test("a reader that is gone costs what it would have read, counted, and nothing else", async () => {
  const { log, post } = connect("normal", {}, () => Promise.reject(new Error("write EPIPE")));
  const verdict = { is: "sent", unconfirmed: false, dropped: new Map([["not_shown", 2]]) };
  expect(await post(new AbortController().signal)).toEqual(verdict);
  expect(await post(new AbortController().signal)).toEqual(verdict);
  expect(log.lines).toMatchObject([{ level: "warn", fields: { error: "write EPIPE" } }]);
});

test("a reader that has stopped reading is given nothing more until it has read", async () => {
  const reading = Promise.withResolvers<void>();
  let given = 0;
  const { post } = connect("normal", {}, () => {
    given += 1;
    return reading.promise;
  });
  const first = post(new AbortController().signal);
  const stop = new AbortController();
  const second = post(stop.signal);
  stop.abort(new Error("too late"));
  expect(await second).toMatchObject({ is: "retry" });
  expect(given).toBe(1);
  reading.resolve();
  expect(await first).toMatchObject({ is: "sent" });
  expect(await post(new AbortController().signal)).toMatchObject({ is: "sent" });
  expect(given).toBe(2);
});
