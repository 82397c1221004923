/** Lines of files: the parter of file_log and the door beside String.split, JSON.parse and template strings. */

import type { Chunk } from "../src/receivers/file_log/chunk.ts";
import { config as fileLogConfig } from "../src/receivers/file_log/config.ts";
import { Given } from "../src/receivers/file_log/given.ts";
import { Lines } from "../src/receivers/file_log/lines.ts";
import { RecordDoor } from "../src/series/records/record-door.ts";
import { withSlack } from "../src/wire/slack.ts";
import { requestType } from "../test/support/otlp.ts";
import type { Job } from "./cases.ts";
import { FILE_LINES } from "./files.ts";
import { linesOfRecords } from "./records.ts";

type Kind = keyof typeof FILE_LINES;

const NOW_MS = 1_705_314_600_000;
const NAME = "app.log";
const FILE_NAME = "log.file.name";

/** The lines of one stretch of a file → OTLP requests, one for each turn. */
export function fileLinesJob(kind: Kind): Job {
  const text = Buffer.from(`${FILE_LINES[kind]().join("\n")}\n`);
  const bytes = withSlack(Uint8Array.from(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines = new Lines(fileLogConfig.parse({ include: [NAME] }));
  const given = new Given([[FILE_NAME, NAME]]);
  const door = new RecordDoor();
  door.arrive(NOW_MS);
  const stretch = { bytes, view, to: text.length, isEnd: false, isFull: false, isInside: false };
  return () => {
    let items = 0;
    for (let from = 0; from < text.length; ) {
      const chunk: Chunk = { ...stretch, from, isStart: from === 0 };
      from = lines.part(chunk, door, given).used;
      items += door.finish().items;
    }
    return items;
  };
}

/** What the obvious way uses. */
export const FILE_TWINS: Readonly<Record<Kind, string>> = {
  json: "String.split + JSON.parse + template strings",
  text: "String.split + objects + protobufjs",
};

/** The obvious way: every line a string, and an object. */
export function fileStringsJob(kind: Kind): Job {
  const bytes = Buffer.from(`${FILE_LINES[kind]().join("\n")}\n`);
  const type = requestType("logs");
  return () => {
    const lines = bytes.toString().split("\n").slice(0, -1);
    if (kind === "json") linesOfRecords(lines);
    else {
      const attributes = [{ key: FILE_NAME, value: { stringValue: NAME } }];
      const logRecords = lines.map((line) => ({
        observedTimeUnixNano: NOW_MS * 1e6,
        body: { stringValue: line.trim() },
        attributes,
      }));
      type.encode(type.fromObject({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] })).finish();
    }
    return lines.length;
  };
}
