import {
  appendFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { Appender } from "../../src/exporters/file/appender.ts";
import { endOfLines, endOfRows, RowEnds } from "../../src/exporters/file/complete-lines.ts";
import { createFile } from "../../src/exporters/file/index.ts";
import { endOfRecords, recordOf } from "../../src/exporters/file/records.ts";
import { Rotation } from "../../src/exporters/file/rotation.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { LineDoor } from "../../src/series/doors/door.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { SLACK, withSlack } from "../../src/wire/slack.ts";
import {
  exportRig,
  LineWriter,
  recordingLog,
  recordingMeter,
  sending,
} from "../support/export-rig.ts";
import { namesInOtlp } from "../support/fault-rig.ts";
import { batchOf, indexer, rangeOf, slabOf, textOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { until } from "../support/until.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "weir-file-"));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function fileBackend(options: object) {
  const log = recordingLog();
  const factory = createFile(
    [],
    () => new LineWriter(),
    pickItems,
    (batch) => JSON.stringify({ items: batch.items }),
  );
  const create = (signal: "logs" | "traces") =>
    factory.create(factory.schema.parse(options), {
      id: "file",
      route: `file/${signal}`,
      signal,
      log,
      meter: recordingMeter(),
      indexer,
      nowMs: Date.now,
      fail: () => {},
    });
  const backend = create("logs");
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  return { backend, create, log };
}

const never = new AbortController().signal;

test("appends in order, one lane, and continues after a restart", async () => {
  const path = join(await directory(), "deep", "er", "out.lp");
  const options = { path, format: "lines", create_directory: true, fsync: true };
  for (const round of [1, 2]) {
    const { backend } = await fileBackend(options);
    await backend.start();
    expect(backend.limits.lanes).toBe(1);
    const rig = exportRig({ frames: [2, 1], backend, lanes: 4 });
    await rig.untilSettled();
    await backend.stop(AbortSignal.abort());
    await backend.stop(AbortSignal.abort());
    expect(await readFile(path, "utf8")).toBe("1.0\n1.1\n2.0\n".repeat(round));
  }
});

test.each(["otlp_json", "json"])("format %s writes one line per request", async (format) => {
  const path = join(await directory(), "out.jsonl");
  const { backend } = await fileBackend({ path, format });
  await backend.start();
  const rig = exportRig({ frames: [2, 1], backend });
  await rig.untilSettled();
  expect(await readFile(path, "utf8")).toBe('{"items":2}\n{"items":1}\n');
});

test.each([
  [{}, false],
  [{ keep_line_shape: true }, true],
])("%j: line shape kept: %j", (options, isKept) => {
  const factory = createFile([], () => new LineWriter(), pickItems, writeRequestJson);
  const backend = factory.create(factory.schema.parse({ path: "out.jsonl", ...options }), {
    ...{ id: "file", route: "file/logs", signal: "logs", nowMs: Date.now, fail: () => {} },
    ...{ log: recordingLog(), meter: recordingMeter(), indexer },
  });
  const door = new LineDoor([], { precision: "auto" });
  const line = withSlack(bytes("plant,site=north v=1u 5"));
  door.append(line, new DataView(line.buffer), 0, line.length - SLACK, 0);
  const { bytes: sent, length } = door.finish();
  const indexed = indexer.index("logs", sent, length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const slab = slabOf(10_000);
  backend.writer.write(rangeOf([indexed.batch], 0), 0, 1, slab);
  const text = textOf(slab);
  expect(text).toContain('"key":"site"');
  expect([text.includes("weir.tags"), text.includes("weir.uint")]).toEqual([isKept, isKept]);
});

test("format lines: values that do not fit their column are counted once their row is in the file", async () => {
  const path = join(await directory(), "rows.lp");
  const meter = recordingMeter();
  const factory = createFile(shippedTables(), compileLineWriter, pickItems, writeRequestJson);
  const backend = factory.create(factory.schema.parse({ path, format: "lines" }), {
    ...{ id: "file", route: "file/logs", signal: "logs", nowMs: Date.now, fail: () => {} },
    ...{ log: recordingLog(), meter, indexer },
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  await backend.start();
  const given = Object.entries({ execution_id: "e1", exit_code: "soon" });
  const attributes = given.map(([key, stringValue]) => ({ key, value: { stringValue } }));
  const record = { eventName: "function_logs", attributes };
  const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] };
  const batch = batchOf(encodeRequest("logs", request));
  const slab = slabOf(10_000);
  backend.writer.write(rangeOf([batch], 0), 0, 1, slab);
  expect(meter.value("weir_fields_dropped_total")).toBe(0);
  await backend.post(slab.bytes.subarray(0, slab.length), sending, never);
  expect(await readFile(path, "utf8")).not.toContain("exit_code");
  expect(meter.value("weir_fields_dropped_total")).toBe(1);
});

test("a torn last line is cut off at the start, and said", async () => {
  const path = join(await directory(), "out.lp");
  await writeFile(path, 'a f="x\ny" 1\nb f="torn\nhere is no end');
  const { backend, log } = await fileBackend({ path, format: "lines" });
  await backend.start();
  await backend.post(bytes("c f=1 1\n"), sending, never);
  expect(await readFile(path, "utf8")).toBe('a f="x\ny" 1\nc f=1 1\n');
  expect(log.lines).toMatchObject([{ level: "warn", fields: { bytes: 24 } }]);
});

test("a start that cannot work says what to do", async () => {
  const missing = join(await directory(), "missing", "out");
  const { backend } = await fileBackend({ path: missing });
  await expect(backend.start()).rejects.toThrow(
    /does not exist: create it, or set create_directory/,
  );
});

test("a full disk is tried again", async () => {
  const { backend } = await fileBackend({ path: "/dev/full" });
  await backend.start();
  expect(await backend.post(bytes("x\n"), sending, never)).toMatchObject({
    is: "retry",
    alarm: true,
    why: "cannot write /dev/full: the disk is full",
  });
});

test.each(["ENOSPC", "EIO"])("half a write that ends with %s is taken back", async (code) => {
  const path = join(await directory(), "out");
  let faulty = true;
  const appender = new Appender({
    path,
    createDirectory: false,
    fsync: false,
    completeEnd: endOfRows,
    openFile: async (name) => {
      const file = await open(name, "a+");
      const write = file.write.bind(file);
      Object.assign(file, {
        write: async (body: Uint8Array, at: number, length: number) => {
          if (!faulty) return await write(body, at, length);
          if (at > 0) throw Object.assign(new Error(code), { code });
          return await write(body, at, 3);
        },
      });
      return file;
    },
  });
  await appender.open();
  await expect(appender.append(bytes("a f=1 1\n"))).rejects.toThrow(code);
  expect(await readFile(path, "utf8")).toBe("");
  faulty = false;
  await appender.append(bytes("b f=1 1\n"));
  await appender.close();
  expect(await readFile(path, "utf8")).toBe("b f=1 1\n");
});

test("a file that was renamed or removed is opened anew", async () => {
  const path = join(await directory(), "out");
  const { backend } = await fileBackend({ path });
  await backend.start();
  await backend.post(bytes("1\n"), sending, never);
  await rename(path, `${path}.1`);
  await backend.post(bytes("2\n"), sending, never);
  await rm(path);
  await backend.post(bytes("3\n"), sending, never);
  expect(await readFile(`${path}.1`, "utf8")).toBe("1\n");
  expect(await readFile(path, "utf8")).toBe("3\n");
});

test("routes that share a file never mix their lines, and the last one closes it", async () => {
  const path = join(await directory(), "out");
  const { backend, create } = await fileBackend({ path });
  const other = create("traces");
  await Promise.all([backend.start(), other.start()]);
  const body = (letter: string) => bytes(`${letter.repeat(200_000)}\n`);
  await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      (i % 2 ? backend : other).post(body(`${i}`), sending, never),
    ),
  );
  await other.stop(AbortSignal.abort());
  expect(await backend.post(bytes("end\n"), sending, never)).toMatchObject({ is: "sent" });
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  expect(lines).toHaveLength(11);
  for (const line of lines.slice(0, 10)) expect(new Set(line).size).toBe(1);
});

/** Messages of a file of records. */
async function recordsOf(path: string): Promise<Buffer[]> {
  const whole = await readFile(path);
  const messages: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 4 + whole.readUInt32BE(at))
    messages.push(whole.subarray(at + 4, at + 4 + whole.readUInt32BE(at)));
  return messages;
}

function realBackend(options: object) {
  const factory = createFile([], () => new LineWriter(), pickItems, writeRequestJson);
  const backend = factory.create(factory.schema.parse(options), {
    ...{ id: "file", route: "file/logs", signal: "logs", nowMs: Date.now, fail: () => {} },
    ...{ log: recordingLog(), meter: recordingMeter(), indexer },
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  return backend;
}

const named = (name: string) =>
  batchOf(
    encodeRequest("logs", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: name } }] }] }],
    }),
  );

test.each([
  [{ format: "proto" }, (bytes: Buffer) => namesInOtlp(bytes)],
  [
    { format: "proto", compression: "zstd" },
    (bytes: Buffer) => namesInOtlp(zstdDecompressSync(bytes)),
  ],
  [
    { format: "json", compression: "zstd" },
    (bytes: Buffer) => {
      const { resourceLogs } = JSON.parse(zstdDecompressSync(bytes).toString());
      return [...JSON.stringify(resourceLogs).matchAll(/"stringValue":"([^"]*)"/g)].map(
        ([, name]) => name,
      );
    },
  ],
])("%j: each write is one request behind its length", async (options, namesIn) => {
  const path = join(await directory(), "out");
  for (const [a, b] of [
    ["1", "2"],
    ["3", "4"],
  ] as const) {
    const backend = realBackend({ path, ...options });
    await backend.start();
    const slab = slabOf(10_000);
    backend.writer.write(rangeOf([named(a), named(b)], 0), 0, 2, slab);
    expect(await backend.post(slab.bytes.subarray(0, slab.length), sending, never)).toMatchObject({
      is: "sent",
    });
    await backend.stop(AbortSignal.abort());
  }
  expect((await recordsOf(path)).map(namesIn)).toEqual([
    ["1", "2"],
    ["3", "4"],
  ]);
});

test("a torn record is cut off, for every cut; a file that holds something else is left alone", async () => {
  const path = join(await directory(), "out");
  const records = Buffer.concat([
    recordOf(bytes("one")),
    recordOf(bytes("")),
    recordOf(bytes("x".repeat(5_000))),
  ]);
  const ends = [0, 7, 11, records.length];
  for (const cut of [0, 1, 3, 4, 6, 7, 9, 11, 14, 15, 5_000, records.length]) {
    await writeFile(path, records.subarray(0, cut));
    const { backend } = await fileBackend({ path, format: "proto" });
    await backend.start();
    await backend.post(bytes("new"), sending, never);
    await backend.stop(AbortSignal.abort());
    const end = ends.filter((one) => one <= cut).at(-1) ?? 0;
    const expected = Buffer.concat([records.subarray(0, end), recordOf(bytes("new"))]);
    expect((await readFile(path)).equals(expected), `${cut}`).toBe(true);
  }
  await writeFile(path, '{"resourceLogs":[]}\n');
  const { backend } = await fileBackend({ path, format: "proto" });
  await expect(backend.start()).rejects.toThrow(/holds no message of this exporter.*move the file/);
  expect(await readFile(path, "utf8")).toBe('{"resourceLogs":[]}\n');
});

test("the end of records is found across chunks", async () => {
  const path = join(await directory(), "out");
  const many = Array.from({ length: 3_000 }, (_, i) => recordOf(new Uint8Array((i * 7) % 1_500)));
  const large = recordOf(new Uint8Array(3 << 20));
  const whole = Buffer.concat([...many, large, ...many]);
  await writeFile(path, Buffer.concat([whole, Buffer.from([0, 0])]));
  const file = await open(path, "r");
  onTestFinished(() => file.close());
  expect(await endOfRecords(4 << 20)(file)).toBe(whole.length);
});

test("whatever bytes a file of records holds, its end is within it or it is left alone", async () => {
  const path = join(await directory(), "out");
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map(recordOf),
    fc.uint8Array({ maxLength: 12 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
      const whole = Buffer.concat(pieces);
      await writeFile(path, whole);
      await using file = await open(path, "r");
      const end = await endOfRecords(64)(file).catch((reason: Error) => reason.message);
      if (typeof end === "string") expect(end).toContain("move the file away");
      else {
        await writeFile(path, whole.subarray(0, end));
        expect(
          (await recordsOf(path)).map((one) => one.length + 4).reduce((a, b) => a + b, 0),
        ).toBe(end);
      }
    }),
    { numRuns: 100, seed: 3 },
  );
});

test("rotation: a full file is put aside, at most so many are kept, and none is lost in between", async () => {
  const made = await directory();
  const path = join(made, "out.jsonl");
  let nowMs = Date.UTC(2026, 10, 21, 12);
  const appenderWith = (more: object) =>
    new Appender({
      path,
      createDirectory: false,
      fsync: false,
      completeEnd: endOfLines,
      rotation: new Rotation(
        path,
        { maxBytes: 20, maxDays: 0, maxBackups: 0, localtime: false, ...more },
        () => nowMs,
      ),
    });
  const appender = appenderWith({});
  await appender.open();
  for (let i = 0; i < 10; i++) await appender.append(bytes(`line ${i}\n`)); // 7 bytes: two in a file
  const names = (await readdir(made)).sort();
  expect(names).toEqual([
    "out-2026-11-21T12-00-00.000.jsonl",
    "out-2026-11-21T12-00-00.001.jsonl",
    "out-2026-11-21T12-00-00.002.jsonl",
    "out-2026-11-21T12-00-00.003.jsonl",
    "out.jsonl",
  ]);
  const texts = await Promise.all(names.map((name) => readFile(join(made, name), "utf8")));
  expect(texts.join("")).toBe(Array.from({ length: 10 }, (_, i) => `line ${i}\n`).join(""));
  await appender.append(bytes(`${"long ".repeat(9)}\n`));
  expect((await readFile(path, "utf8")).length).toBe(46);
  await appender.close();

  nowMs += 60_000;
  await writeFile(join(made, "out-of-the-way.jsonl"), "not ours");
  const few = appenderWith({ maxBackups: 2 });
  await few.open();
  await few.append(bytes("next\n"));
  await few.close();
  expect((await readdir(made)).sort()).toEqual([
    "out-2026-11-21T12-00-00.004.jsonl",
    "out-2026-11-21T12-01-00.000.jsonl",
    "out-of-the-way.jsonl",
    "out.jsonl",
  ]);

  const old = new Date(nowMs - 2 * 86_400_000);
  await utimes(join(made, "out-2026-11-21T12-00-00.004.jsonl"), old, old);
  const young = appenderWith({ maxDays: 1 });
  await young.open();
  await young.append(bytes("a line of twenty bytes\n"));
  await young.close();
  expect(await readdir(made)).not.toContain("out-2026-11-21T12-00-00.004.jsonl");
  expect(await readFile(path, "utf8")).toBe("a line of twenty bytes\n");
});

test("rotation through the options, and with the defaults of the Collector", async () => {
  const path = join(await directory(), "out");
  const { backend } = await fileBackend({ path, rotation: { max_megabytes: 1 } });
  await backend.start();
  const body = bytes(`${"x".repeat(600_000)}\n`);
  for (let i = 0; i < 3; i++)
    expect(await backend.post(body, sending, never)).toMatchObject({ is: "sent" });
  expect(await readdir(dirname(path))).toHaveLength(3);
  const factory = createFile(
    [],
    () => new LineWriter(),
    pickItems,
    () => "",
  );
  expect(factory.schema.parse({ path, rotation: null }).rotation).toEqual({
    max_megabytes: 100,
    max_days: 0,
    max_backups: 100,
    localtime: false,
  });
});

test("SIGHUP: flushed and opened anew where it was moved; afterwards nobody listens any more", async () => {
  const before = process.listenerCount("SIGHUP");
  const path = join(await directory(), "out");
  const { backend, create, log } = await fileBackend({ path });
  const other = create("traces");
  await backend.start();
  await other.start();
  expect(process.listenerCount("SIGHUP")).toBe(before + 1);
  await backend.post(bytes("1\n"), sending, never);
  await rename(path, `${path}.1`);
  process.kill(process.pid, "SIGHUP");
  await until(() => log.lines.length === 2);
  expect(await readFile(path, "utf8")).toBe("");
  await backend.post(bytes("2\n"), sending, never);
  expect(await readFile(path, "utf8")).toBe("2\n");
  expect(await readFile(`${path}.1`, "utf8")).toBe("1\n");
  await backend.stop(AbortSignal.abort());
  await other.stop(AbortSignal.abort());
  expect(process.listenerCount("SIGHUP")).toBe(before);
});

test("an unknown table is a configuration error", () => {
  const { schema } = createFile(
    [],
    () => new LineWriter(),
    pickItems,
    () => "",
  );
  const { error } = schema.safeParse({ path: "x", tables: ["nope"] });
  expect(error?.issues[0]?.message).toContain('no series table is called "nope"');
});

/** Rows with everything that could be taken for the end of a row or of a string. */
const ROWS = [
  "m f=1 1\n",
  'm,t="a f="x\ny=\\"z\\" \n" 5\n',
  "m\\ m,t\\,\\ =v\\\\ f=1i,g=t 7\n",
  '# a comment with "a quote and f="\n',
  'm f="\\\\",g="\n\n" 8\n',
  "\n",
  'é,t=ü f="日\n本",h=-1.5e-7 -9\n',
];

test("for every cut of any rows, the end is that of the last whole row", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ROWS), { maxLength: 8 }), fc.nat(60), (rows, size) => {
      const whole = bytes(rows.join(""));
      const ends = rows.map((_, i) => bytes(rows.slice(0, i + 1).join("")).length);
      for (let cut = 0; cut <= whole.length; cut++) {
        const scan = new RowEnds();
        for (let at = 0; at < cut; at += size + 1)
          scan.feed(whole.subarray(at, Math.min(cut, at + size + 1)));
        expect(scan.end).toBe(ends.filter((end) => end <= cut).at(-1) ?? 0);
      }
    }),
    { numRuns: 60, seed: 5 },
  );
});

test("large files: the end of the last line is found across chunks", async () => {
  const path = join(await directory(), "out");
  await writeFile(path, `short\n${"x".repeat(3 << 20)}`);
  const file = await open(path, "r");
  onTestFinished(() => file.close());
  expect(await endOfLines(file)).toBe(6);
  expect(await endOfRows(file)).toBe(6);
  await appendFile(path, "\n");
  expect(await endOfLines(file)).toBe(7 + (3 << 20));
  await writeFile(path, "no line at all");
  expect(await endOfLines(file)).toBe(0);
});
