import { appendFile, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { Appender } from "../../src/exporters/file/appender.ts";
import { endOfLines, endOfRows, RowEnds } from "../../src/exporters/file/complete-lines.ts";
import { createFile } from "../../src/exporters/file/index.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { LineDoor } from "../../src/series/door.ts";
import { SLACK, withSlack } from "../../src/wire/slack.ts";
import {
  exportRig,
  LineWriter,
  recordingLog,
  recordingMeter,
  sending,
} from "../support/export-rig.ts";
import { rangeOf, slabOf, textOf } from "../support/line-writing.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const indexer = createIndexer();

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
