import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { compileLineWriter } from "../../../src/series/plan.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, writeAll } from "../../support/line-writing.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

/** test/golden/fluent_forward/<case>/{in.bin, out.lp}; `UPDATE=1` writes out.lp anew. */
const ROOT = join(import.meta.dirname, "..", "..", "golden", "fluent_forward");
const NOW = 1_705_314_600_000;
const CASES = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test.each(CASES)("%s", async (name) => {
  const rig = new ReceiverRig("fluent_forward");
  Object.assign(rig.context, { nowMs: () => NOW });
  const { port } = await start({}, rig);
  const sender = new Sender(port).send(readFileSync(join(ROOT, name, "in.bin")));
  sender.socket.end();
  await sender.closed;
  await until(() => rig.batches.length > 0);
  expect(rig.rejected).toEqual([]);
  const batches = rig.batches.map(({ bytes, length }) =>
    batchOfSignal("logs", bytes.subarray(0, length)),
  );
  const tables = shippedTables();
  const writer = compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v3" });
  const { text } = writeAll(writer, rangeOf(batches, NOW));
  const file = join(ROOT, name, "out.lp");
  if (process.env["UPDATE"] === "1") writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
});
