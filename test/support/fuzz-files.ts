import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { Config } from "../../src/receivers/file_log/config.ts";
import { readMemo } from "../../src/receivers/file_log/followed.ts";
import { Given } from "../../src/receivers/file_log/given.ts";
import { fileLog } from "../../src/receivers/file_log/index.ts";
import { LogsJson, type LogsJsonMark } from "../../src/receivers/file_log/logs-json.ts";
import { parterOf } from "../../src/receivers/file_log/reading.ts";
import { GzipSource } from "../../src/receivers/file_log/source.ts";
import { RecordDoor } from "../../src/series/records/record-door.ts";
import { SLACK, withSlack } from "../../src/wire/slack.ts";
import { anyObject, jsonOf } from "../series/records/nodes.ts";
import { expectText } from "./otlp-text.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/**
 * Child process: files of every format, most of them damaged, `rounds` times. Reading them ends, gives the same records however the file
 * grew, and takes every byte; what is taken is fit for the pipelines. Archives and memos, whole and damaged, beside them.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const indexer = createIndexer();
const given = new Given([["log.file.name", "x"]]);
const directory = mkdtempSync(join(tmpdir(), "weir-fuzz-files-"));
process.on("exit", () => rmSync(directory, { recursive: true }));

const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
const told = (content: Uint8Array) => Buffer.from(content).toString("base64");

const WORDS = ["", " ", "a", "grün 😀", "2026 begins", "ends;", "x".repeat(70), "\r", "\t{", "{}"];
const TIMES = ["2024-01-15T10:30:00.5Z", "2024-01-15T10:30:00+02:00", "no-time", ""];
const text = () => Array.from({ length: random(4) }, () => pick(WORDS)).join(" ");

function line(): string {
  const stream = pick(["stdout", "stderr", "stdxxx"]);
  switch (random(5)) {
    case 0:
      return jsonOf(anyObject(random));
    case 1:
      return `${pick(TIMES)} ${stream} ${pick(["P", "F", "P:x", "Q"])} ${text()}`;
    case 2:
      return JSON.stringify({
        log: `${text()}${pick(["\n", "", "\\n"])}`,
        stream,
        time: pick(TIMES),
      });
    case 3:
      return `${jsonOf(anyObject(random))} ${jsonOf(anyObject(random))}${pick(["", " rest"])}`;
    default:
      return text();
  }
}

function anyConfig(): Config {
  const encoding = pick(["utf-8", "utf-8", "utf-8", "utf-16le", "utf-16be", "latin1", "nop"]);
  const isWide = encoding.startsWith("utf-16");
  const formats = isWide
    ? ["auto", "text"]
    : ["auto", "text", "json", "container", "docker", "cri"];
  const format = encoding === "nop" ? "auto" : pick(formats);
  const mayBlock = encoding !== "nop" && ["auto", "text", "json"].includes(format);
  const pattern = pick([{ line_start_pattern: "^2026" }, { line_end_pattern: ";$" }]);
  return fileLog.schema.parse({
    ...{ include: ["x"], encoding, format },
    ...(mayBlock && random(3) === 0 && { multiline: pattern }),
    max_log_size: pick([64, 66, 1_000, 1 << 20]),
    max_log_size_behavior: pick(["split", "truncate", "skip"]),
    preserve_leading_whitespaces: random(2) === 0,
    preserve_trailing_whitespaces: random(2) === 0,
  });
}

function encoded(content: string, { encoding }: Config): Uint8Array {
  if (encoding === "utf-16le") return Buffer.from(content, "utf16le");
  if (encoding === "utf-16be") return Buffer.from(content, "utf16le").swap16();
  return Buffer.from(content, encoding === "latin1" ? "latin1" : "utf8");
}

/** As the receiver has it: what it is given must be UTF-8. */
function newDoor(): RecordDoor {
  const door = new RecordDoor();
  door.isKnownUtf8 = true;
  return door;
}

/** The request of what the door has, fit for the pipelines, as text. */
function finished(door: RecordDoor): string {
  const { bytes, length, items } = door.finish();
  expectText("logs", bytes.subarray(0, length));
  const indexed = indexer.index("logs", bytes, length);
  if (items > 0 && ("refused" in indexed || indexed.rejected > 0 || indexed.batch.items !== items))
    throw new Error("not fit for the pipelines");
  return `${items} ${told(bytes.subarray(0, length))}`;
}

/** Reads a file that grows by up to `step` bytes at a time. */
function read(config: Config, content: Uint8Array, step: number, mayBeFull: boolean): string {
  const parter = parterOf(config);
  const door = newDoor();
  door.arrive(1_800_000_000_000);
  let from = 0;
  let to = 0;
  let isInside = false;
  let [skipped, replaced] = [0, 0];
  for (let turns = 0; from < content.length; turns++) {
    if (turns > 10 * content.length + 100) throw new Error("it does not end");
    const isEnd = to === content.length;
    const isFull = mayBeFull && to - from > 2 * config.max_log_size + 16;
    const bytes = withSlack(Uint8Array.from(content.subarray(0, to)));
    const view = new DataView(bytes.buffer);
    const ways = { isStart: from === 0, isEnd, isFull, isInside };
    const taken = parter.part({ bytes, view, from, to, ...ways }, door, given);
    const { used } = taken;
    if (used < from || used > to) throw new Error(`${used} is not between ${from} and ${to}`);
    if (used === from && (isEnd || isFull) && from < to) throw new Error("nothing was taken");
    from = used;
    ({ isInside } = taken);
    skipped += taken.skipped;
    replaced += taken.replaced;
    if (from === to || used === from || random(2) === 0)
      to = Math.min(content.length, to + 1 + random(step));
  }
  return `${finished(door)} ${skipped} ${replaced}`;
}

function oneFile(): void {
  const config = anyConfig();
  const lines = Array.from({ length: 1 + random(8) }, line);
  const good = encoded(`${lines.join("\n")}${pick(["\n", ""])}`, config);
  const content = random(2) === 0 ? good : damagedCopy(good, random);
  const whole = read(config, content, content.length + 1, false);
  const parts = read(config, content, 1 + random(30), false);
  if (whole !== parts) {
    const { encoding, format, max_log_size: most, multiline } = config;
    const how = JSON.stringify({ encoding, format, most, multiline: multiline !== undefined });
    throw new Error(`${whole}, not ${parts}: ${how} ${told(content)}`);
  }
  read(config, content, 1 + random(30), true);
}

type Sections = Record<string, object[]>;
const LEVELS = ["error", "debug", "info", "other"];
const entry = (n: number) => ({ message: `${n} ${text()}`, timestamp: `2024-01-15T10:30:${n}`, n });

/** What the obvious implementation takes of the file: its entries by time, those of `seen` left out. */
function expected(content: string, seen: Readonly<Record<string, number>>): string | undefined {
  const door = newDoor();
  door.arrive(1_800_000_000_000);
  door.given = given.plain;
  let sections: unknown;
  try {
    sections = JSON.parse(content);
  } catch {
    return undefined;
  }
  if (typeof sections !== "object" || sections === null || Array.isArray(sections))
    return undefined;
  const { function_logs: inner = sections } = sections as Record<string, object>;
  const entries = LEVELS.flatMap((level) =>
    level === "other"
      ? []
      : ((inner as Sections)[level] ?? [])
          .slice(seen[level] ?? 0)
          .map((one) => ({ level, ...one })),
  ) as { timestamp?: string }[];
  entries.sort((a, b) => ((a.timestamp ?? "") < (b.timestamp ?? "") ? -1 : 1));
  for (const one of entries) {
    const bytes = withSlack(Buffer.from(JSON.stringify(one)));
    door.json(bytes, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length - SLACK);
  }
  return finished(door);
}

/** Takes a file in parts of up to `most` entries. */
function take(content: Uint8Array, mark: LogsJsonMark, most: number) {
  const door = newDoor();
  door.arrive(1_800_000_000_000);
  const logs = new LogsJson(withSlack(Uint8Array.from(content)), content.length, mark);
  for (let steps = 0; logs.step(); steps++) if (steps > 1e6) throw new Error("it does not end");
  if (logs.problem !== "") return { records: undefined, mark };
  for (let isMore = true, parts = 0; isMore; parts++) {
    if (parts > 1e6) throw new Error("it does not end");
    isMore = logs.take(door, given, most);
    if (random(4) === 0) logs.rewind(logs.mark());
  }
  return { records: finished(door), mark: logs.mark() };
}

function oneLogsJson(): void {
  const sections: Sections = {};
  let n = 10;
  const more = () => entry(n++);
  const grow = () => {
    for (const level of LEVELS)
      if (random(3) > 0)
        sections[level] = [...(sections[level] ?? []), ...Array.from({ length: random(4) }, more)];
  };
  const written = () =>
    random(3) === 0
      ? JSON.stringify({ function_logs: sections, a: [1] })
      : JSON.stringify(sections);
  grow();
  const first = written();
  const seen = Object.fromEntries(Object.entries(sections).map(([k, list]) => [k, list.length]));
  const one = take(Buffer.from(first), {}, Number.POSITIVE_INFINITY);
  if (one.records !== expected(first, {})) throw new Error(`not all of ${first}`);
  if (one.records !== take(Buffer.from(first), {}, 1).records) throw new Error(`parts: ${first}`);
  grow();
  const second = written();
  const two = take(Buffer.from(second), one.mark, 1 + random(3));
  if (two.records !== expected(second, seen)) throw new Error(`${first}, then ${second}`);
  const damaged = damagedCopy(Buffer.from(second), random);
  const cut = random(2) === 0 ? damaged.subarray(0, random(damaged.length + 1)) : damaged;
  const { records } = take(cut, one.mark, 1 + random(3));
  const isWhole = expected(Buffer.from(cut).toString(), {}) !== undefined;
  if (isWhole !== (records !== undefined)) throw new Error(`${isWhole}: ${told(cut)}`);
}

/** An archive reads as its content, from any place on; a damaged one ends with an error or with what there was before the damage. */
async function oneArchive(): Promise<void> {
  const content = Buffer.from(Array.from({ length: 1 + random(200) }, line).join("\n"));
  const cut = random(content.length + 1);
  const good = Buffer.concat([gzipSync(content.subarray(0, cut)), gzipSync(content.subarray(cut))]);
  const isGood = random(2) === 0;
  const path = join(directory, "archive");
  writeFileSync(path, isGood ? good : damagedCopy(good, random));
  const source = new GzipSource(await open(path));
  try {
    for (let at = 0, reads = 0; reads < 20; reads++) {
      const into = new Uint8Array(1 + random(content.length + 10));
      const length = await source.read(into, at);
      const wanted = content.subarray(at, at + into.length);
      if (isGood && !wanted.equals(into.subarray(0, length))) throw new RangeError(`at ${at}`);
      at = random(content.length + 1);
    }
  } catch (error) {
    if (isGood || error instanceof RangeError) throw error;
  } finally {
    await source.close();
  }
}

function oneMemo(): void {
  const memo = JSON.stringify({
    ...{ path: "/a", inode: "1:2", offset: random(9), head: [3, "abc"], tail: [3, "abc"] },
    ...{ isInside: random(2) === 0, mark: { error: { length: 3, hash: "x" } } },
  });
  const file = readMemo("1", Buffer.from(damagedCopy(Buffer.from(memo), random)).toString());
  if (file !== undefined && !(file.offset >= 0)) throw new Error(memo);
}

for (let round = 0; round < rounds; round++) {
  oneFile();
  oneLogsJson();
  oneMemo();
  if (round % 20 === 0) await oneArchive();
}
process.stdout.write(`${rounds} rounds\n`);
