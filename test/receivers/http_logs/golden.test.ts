import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { recordsOf } from "../../../src/receivers/http_logs/bodies.ts";
import { tagOf } from "../../../src/receivers/http_logs/tags.ts";
import { compileLineWriter } from "../../../src/series/plan.ts";
import { RecordDoor } from "../../../src/series/records/record-door.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../../support/line-writing.ts";

/** test/golden/http_logs/<case>/{in.body, out.lp}; `UPDATE=1` writes out.lp anew. */
const ROOT = join(import.meta.dirname, "..", "..", "golden", "http_logs");
const NOW = 1_705_314_600_000;
const CASES = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test.each(CASES)("%s", (name) => {
  const content = Uint8Array.from(readFileSync(join(ROOT, name, "in.body")));
  const source = recordsOf(
    { bytes: withSlack(content), length: content.length },
    { low: 0, high: 0 },
  );
  const door = new RecordDoor();
  door.arrive(NOW);
  door.given = tagOf("/worker-logs", undefined);
  expect(source.fill(door, Number.POSITIVE_INFINITY)).toBe(false);
  expect(source.bad).toBe(0);
  const { bytes, length } = door.finish();
  const tables = shippedTables();
  const writer = compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v3" });
  const { text } = writeAll(
    writer,
    rangeOf([batchOfSignal("logs", bytes.subarray(0, length))], NOW),
  );
  const file = join(ROOT, name, "out.lp");
  if (process.env["UPDATE"] === "1") writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
});
