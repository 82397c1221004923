import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Parter } from "../../../src/receivers/file_log/chunk.ts";
import { Given } from "../../../src/receivers/file_log/given.ts";
import { fileLog } from "../../../src/receivers/file_log/index.ts";
import { parterOf as parterFor } from "../../../src/receivers/file_log/reading.ts";
import { RecordDoor } from "../../../src/series/records/record-door.ts";
import { SLACK } from "../../../src/wire/slack.ts";
import { decodeRequest } from "../../support/otlp.ts";
import { FileRig } from "./rig.ts";

const SEED = join(import.meta.dirname, "../../fixtures/seeds/dart/logs.json");

interface Request {
  readonly resourceLogs?: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly body?: { readonly stringValue?: string };
        readonly attributes?: readonly {
          readonly key: string;
          readonly value: { readonly stringValue?: string };
        }[];
      }[];
    }[];
  }[];
}

function parterOf(options: object): Parter {
  const config = fileLog.schema.parse({ include: ["x"], ...options });
  return parterFor(config);
}

/** Reads the content as a file that grows: the first `cut` bytes, then all of it; what is left at the end is flushed. */
function bodies(parter: Parter, content: Uint8Array, cut: number): string[] {
  const door = new RecordDoor();
  const given = new Given([]);
  door.arrive(0);
  let from = 0;
  let isInside = false;
  const ends = [cut, content.length, content.length];
  for (const [i, to] of ends.entries())
    for (let isMore = true; isMore; ) {
      const bytes = new Uint8Array(content.length + SLACK);
      bytes.set(content.subarray(0, to));
      const view = new DataView(bytes.buffer);
      const ways = { isStart: from === 0, isEnd: i === 2, isFull: false, isInside };
      const taken = parter.part({ bytes, view, from, to, ...ways }, door, given);
      isMore = taken.used > from && taken.used < to;
      from = taken.used;
      isInside = taken.isInside;
    }
  expect(from).toBe(content.length);
  const { bytes, length } = door.finish();
  const { resourceLogs = [] } = decodeRequest("logs", bytes.subarray(0, length)) as Request;
  return resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ body, attributes = [] }) => {
        const stream = attributes.find(({ key }) => key === "stream")?.value.stringValue;
        return `${stream === undefined ? "" : `${stream}: `}${body?.stringValue}`;
      }),
    ),
  );
}

function cutAnywhere(options: object, content: Uint8Array, ...expected: string[]): void {
  const parter = parterOf(options);
  for (let cut = 0; cut <= content.length; cut++)
    expect(bodies(parter, content, cut), `cut at ${cut}`).toEqual(expected);
}

const TEXT = "first\r\n\n  grün 😀 \nlast";
const wide = (text: string) => Buffer.from(`\ufeff${text}`, "utf16le");

test("encodings, cut at every byte", () => {
  const expected = ["first", "grün 😀", "last"];
  cutAnywhere({}, Buffer.from(TEXT), ...expected);
  cutAnywhere({}, Buffer.from(`\ufeff${TEXT}`), ...expected);
  cutAnywhere({ encoding: "UTF-16LE" }, wide(TEXT), ...expected);
  cutAnywhere({ encoding: "utf-16be" }, wide(TEXT).swap16(), ...expected);
  cutAnywhere({ encoding: "latin1" }, Buffer.from("grün\nz\n", "latin1"), "grün", "z");
  cutAnywhere({ encoding: "ascii" }, Buffer.from([65, 0xff, 10, 66]), "A\ufffd", "B");
  const whites = { preserve_leading_whitespaces: true, preserve_trailing_whitespaces: true };
  cutAnywhere(whites, Buffer.from(" a \n\tb\t\r\n"), " a ", "\tb\t");
});

test("UTF-16 goes on where it was when a stretch ends in the middle of a character", () => {
  const content = wide(`a\n${"é".repeat(80)}\nb\n`);
  for (const behavior of ["skip", "truncate"]) {
    const options = { encoding: "utf-16le", max_log_size: 64, max_log_size_behavior: behavior };
    const first = behavior === "skip" ? [] : ["é".repeat(32)];
    cutAnywhere(options, content, "a", ...first, "b");
  }
});

test("nop: what is there is one record", () => {
  const parter = parterOf({ encoding: "nop", max_log_size: 64 });
  expect(bodies(parter, Buffer.from(" a\nb\n"), 0)).toEqual([" a\nb\n"]);
  expect(bodies(parter, Buffer.from("x".repeat(100)), 0)).toEqual(["x".repeat(64), "x".repeat(36)]);
});

test("nop: records end between characters, cut at every byte", () => {
  const content = Buffer.from("é😀".repeat(30));
  const pairs = (n: number) => "é😀".repeat(n);
  const even = [pairs(11), pairs(11), pairs(8)];
  cutAnywhere({ encoding: "nop", max_log_size: 66 }, content, ...even);
  const odd = [`${pairs(10)}é`, `😀${pairs(10)}`, pairs(9)];
  cutAnywhere({ encoding: "nop", max_log_size: 65 }, content, ...odd);
});

test("long lines: split, truncate or skip, cut at every byte; no character is parted", () => {
  const long = "é".repeat(80);
  const content = Buffer.from(`a\n${long}\nb\n`);
  const parts = [32, 32, 16].map((n) => "é".repeat(n));
  cutAnywhere({ max_log_size: 64 }, content, "a", ...parts, "b");
  const options = { max_log_size: 64, max_log_size_behavior: "truncate" };
  cutAnywhere(options, content, "a", parts[0] as string, "b");
  cutAnywhere({ ...options, max_log_size_behavior: "skip" }, content, "a", "b");
  const emoji = Buffer.from(`${"😀".repeat(20)}\n`, "utf16le");
  const halves = [16, 4].map((n) => "😀".repeat(n));
  cutAnywhere({ max_log_size: 66, encoding: "utf-16le" }, emoji, ...halves);
});

test("records of several lines, by their first line or their last, cut at every byte", () => {
  const content = Buffer.from("junk\n2026 a\n  at x\n\n2026 b\n2026 c");
  const start = { multiline: { line_start_pattern: "^\\d{4} " } };
  cutAnywhere(start, content, "junk", "2026 a\n  at x", "2026 b", "2026 c");
  const ends = { multiline: { line_end_pattern: ";$" } };
  cutAnywhere(ends, Buffer.from("select\n1;\nselect 2;\nrest"), "select\n1;", "select 2;", "rest");
  const large = { ...start, max_log_size: 64 };
  const many = Array.from({ length: 10 }, (_, i) => `line ${i} of a long one`).join("\n");
  const found = bodies(parterOf(large), Buffer.from(`2026 a\n${many}\n`), 0);
  expect(found.join("\n")).toBe(`2026 a\n${many}`);
  expect(Math.max(...found.map(({ length }) => length))).toBeLessThanOrEqual(64);
});

test("JSON lines, texts among them, and what only looks like JSON", () => {
  const content = Buffer.from(
    '{"message":"one"}\n{"message":"two"} {"message":"three"}\n{not json}\n{"a":1} rest}\n[1]\n',
  );
  const expected = ["one", "two", "three", "{not json}", "undefined", "rest}", "[1]"];
  cutAnywhere({}, content, ...expected);
  cutAnywhere({ format: "text" }, Buffer.from('{"message":"one"}\n'), '{"message":"one"}');
});

test("CRI: partial records are joined by their stream, cut at every byte", () => {
  const content = Buffer.from(
    [
      "2024-01-15T10:30:00.000000001Z stdout F whole",
      "2024-01-15T10:30:00.1Z stdout P one ",
      "2024-01-15T10:30:00.2Z stderr P bad ",
      "2024-01-15T10:30:00.3Z stdout P two ",
      "2024-01-15T10:30:00.4Z stderr F news",
      "2024-01-15T10:30:00.5Z stdout F three",
      '2024-01-15T10:30:00.6Z stderr F {"message":"json"}',
      "2024-01-15T10:30:00.7Z stdout F ",
      "no such line\n",
    ].join("\n"),
  );
  const expected = ["stdout: whole", "stderr: bad news", "stdout: one two three"];
  cutAnywhere({ format: "cri" }, content, ...expected, "stderr: json", "no such line");
});

test("Docker's json-file: partial records are joined, escapes stay, cut at every byte", () => {
  const line = (log: string, stream: string) =>
    JSON.stringify({ log, stream, time: "2024-01-15T10:30:00.000000001Z" });
  const content = Buffer.from(
    `${[
      line('whole "quoted" \\\n', "stdout"),
      line("ends with a backslash and n: \\n", "stdout"),
      line(" next\n", "stdout"),
      line("one ", "stderr"),
      line("between\n", "stdout"),
      line("two\n", "stderr"),
      line('{"message":"json"}\n', "stdout"),
      '{"other":"object","message":"plain"}',
    ].join("\n")}\n`,
  );
  cutAnywhere(
    { format: "docker" },
    content,
    'stdout: whole "quoted" \\',
    "stdout: ends with a backslash and n: \\n next",
    "stdout: between",
    "stderr: one two",
    "stdout: json",
    "plain",
  );
});

test("a line of nobody's, an empty part and JSON in parts: a record ends with its last part only", () => {
  const content = [
    "2024-01-15T10:30:00.1Z stdout P one ",
    "of nobody's",
    '{"of nobody":1,"message":"either"}',
    "2024-01-15T10:30:00.2Z stdout P ",
    "2024-01-15T10:30:00.3Z stdout F two",
    '2024-01-15T10:30:00.4Z stderr P {"log":"a',
    '2024-01-15T10:30:00.5Z stderr F b"}',
    "2024-01-15T10:30:00.6Z stdout P cut off",
    '{"log":"of Docker\\n","stream":"stdout"}\n',
  ].join("\n");
  const expected = ["of nobody's", "either", "stdout: one two", "stderr: ab"];
  const ends = ["stdout: cut off", "stdout: of Docker"];
  cutAnywhere({ format: "container" }, Buffer.from(content), ...expected, ...ends);
  const empty = '{"log":"","stream":"stdout"}\n{"log":"end\\n","stream":"stdout"}\n';
  cutAnywhere({ format: "docker" }, Buffer.from(`${empty}plain\n`), "stdout: end", "plain");
});

test("bytes that are no UTF-8 are replaced in joined records, too", () => {
  const content = Buffer.from(
    "2024-01-15T10:30:00Z stdout P a\xe9\n2024-01-15T10:30:00Z stdout F b\xe9\n",
    "latin1",
  );
  cutAnywhere({ format: "cri" }, content, "stdout: a\ufffdb\ufffd");
});

test("a partial record that never ends is taken when it is long enough", () => {
  const part = "2024-01-15T10:30:00Z stdout P 0123456789012345678901234567890\n";
  const found = bodies(
    parterOf({ format: "cri", max_log_size: 64 }),
    Buffer.from(part.repeat(7)),
    0,
  );
  const whole = "0123456789012345678901234567890".repeat(3);
  expect(found).toEqual([`stdout: ${whole}`, `stdout: ${whole}`, `stdout: ${whole.slice(0, 31)}`]);
});

test("times of containers, and fields from the path", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("shop_web-7.log"), "2024-01-15T10:30:00.000000001Z stdout F hello\n");
  await rig.start({
    format: "container",
    path_pattern: "(?P<namespace>[^/_]+)_(?P<pod>[^/]+)\\.log$",
    attributes: { region: "eu" },
    service_name: "shop",
  });
  await rig.expectBodies("hello");
  expect(rig.records).toEqual([
    {
      body: "hello",
      time: "1705314600000000001",
      service: "shop",
      attributes: {
        region: "eu",
        namespace: "shop",
        pod: "web-7",
        stream: "stdout",
        "log.file.name": "shop_web-7.log",
        "log.file.path": rig.path("shop_web-7.log"),
      },
    },
  ]);
});

test("a line without a newline is taken when nothing follows, and one of 1 MB that comes slowly is one", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "unfinished");
  await rig.start({ force_flush_period: "2s" });
  await rig.expectBodies("unfinished");
  const long = "y".repeat(1_000_000);
  for (let at = 0; at < long.length; at += 100_000) {
    await appendFile(rig.path("b.log"), long.slice(at, at + 100_000));
    await sleep(20);
  }
  await appendFile(rig.path("b.log"), "\n");
  await rig.expectBodies("unfinished", long);
});

test("lines that are left out are counted and said", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), `one\n${"x".repeat(2_000_000)}\ntwo\n`);
  await rig.start({ max_log_size: "1kb", max_log_size_behavior: "skip" });
  await rig.expectBodies("one", "two");
  expect(rig.rig.lost).toBe(1);
  expect(rig.rig.said.join()).toContain("max_log_size (1000 bytes)");
});

test("logs.json of the Dart Cloud logger: each entry once, however often the file is written anew", async () => {
  await using rig = await FileRig.make();
  const seed = await readFile(SEED, "utf8");
  const options = { include: [rig.path("**/logs.json")], format: "logs_json" };
  await writeFile(rig.path("logs.json"), "{}");
  await rig.start(options);
  await writeFile(rig.path("logs.json"), seed.slice(0, 100));
  await sleep(100);
  await writeFile(rig.path("logs.json"), seed);
  const first = ["Function started", "Processing request", "Something went wrong"];
  await rig.expectBodies(...first, "Function execution completed");
  expect(rig.records[1]).toMatchObject({
    time: "1705314599000000000",
    severity: "debug",
    attributes: { "metadata.requestId": "123", "log.file.name": "logs.json" },
  });
  const grown = JSON.parse(seed) as Record<string, object[]>;
  grown["info"]?.push({ message: "more", timestamp: "2024-01-15T10:31:00.000" });
  await writeFile(rig.path("new"), JSON.stringify(grown));
  await rename(rig.path("new"), rig.path("logs.json"));
  await rig.expectCount(5);
  await rig.restart(options);
  await rig.expectCount(5);
  await writeFile(rig.path("logs.json"), "{}");
  await sleep(60);
  const next = { message: "a new run", timestamp: "2024-01-16T10:31:00.000" };
  await writeFile(rig.path("logs.json"), JSON.stringify({ error: [], debug: [], info: [next] }));
  await rig.expectCount(6);
  expect(rig.bodies.slice(4)).toEqual(["more", "a new run"]);
});

test.each([
  [{}, "include"],
  [{ include: [] }, "include"],
  [{ include: ["a"], multiline: {} }, "needs one of"],
  [{ include: ["a"], multiline: { line_start_pattern: "(" } }, "RE2"],
  [{ include: ["a"], max_log_size: "9MiB" }, "8388608"],
  [{ include: ["a"], fingerprint_size: 8 }, "16"],
  [{ include: ["a"], encoding: "nop", format: "cri" }, "nop knows no lines"],
  [{ include: ["a"], encoding: "utf-16le", format: "cri" }, "UTF-8"],
  [{ include: ["a"], format: "cri", multiline: { line_end_pattern: "x" } }, "records of its own"],
])("options that cannot be: %j", (options, why) => {
  const { error } = fileLog.schema.safeParse(options);
  expect(JSON.stringify(error?.issues)).toContain(why);
});
