import { afterAll, afterEach, expect, test } from "vitest";
import { lineShapes } from "../../../src/series/doors/line-shapes.ts";
import { compileLineWriter } from "../../../src/series/plan.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { CAPTURES, POINTS, replayCapture } from "../../support/dff-captures.ts";
import { rangeOf, writeAll } from "../../support/line-writing.ts";
import { type Row, readRows } from "../../support/rows.ts";
import { type DatakitDoor, datakitDoor } from "./door.ts";

/** What the unmodified client of DataFlux Func sends, byte for byte. */
const tables = shippedTables();
let door: DatakitDoor | undefined;
const told: object[] = [];
afterEach(async () => {
  await door?.stop();
  door = undefined;
});
afterAll(() => console.table(told));

const replay = ({ url }: DatakitDoor, capture: string) =>
  replayCapture(url.slice("http://".length), capture);

/** What InfluxDB gets. */
function rowsOf({ rig }: DatakitDoor): Row[] {
  const { keys } = rig.context.indexer;
  const writer = compileLineWriter({ signal: "logs", tables, keys, dialect: "v3" });
  const batches = rig.batches as Parameters<typeof rangeOf<"logs">>[0];
  return readRows(writeAll(writer, rangeOf(batches, Date.now())).text);
}

const identity = ({ table, tags, time }: Row) => JSON.stringify([table, tags, time]);

test.each(CAPTURES)("%s: taken, and stored as the mapping says", async (capture) => {
  door = await datakitDoor({ tokens: ["tkn_0123456789abcdef0123456789abcdef", "x"] });
  const answer = await replay(door, capture);
  if (!capture.startsWith("metric")) {
    // What was captured of logs carries no token.
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    await door.stop();
    door = await datakitDoor();
    expect(await replay(door, capture)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  } else expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(door.rig.said).toEqual([]);
  const rows = rowsOf(door);
  expect(rows).toHaveLength(POINTS[capture] as number);
  const shapes = new Map(lineShapes(tables).map((shape) => [shape.measurement, shape]));
  for (const { table, tags, fields } of rows) {
    const shape = shapes.get(table);
    expect(shape, table).toBeDefined();
    expect(Object.keys(tags).filter((name) => shape?.tags.has(name) === false)).toEqual([]);
    expect(Object.keys(fields).filter((name) => shape?.fields.has(name) === false)).toEqual([]);
  }
  told.push({ sender: "DataFlux Func", capture, requests: 1, rows: rows.length });
});

test("an upload that is repeated, whole or in part, adds no rows", async () => {
  door = await datakitDoor();
  for (const capture of CAPTURES) await replay(door, capture);
  const once = new Set(rowsOf(door).map(identity));
  expect(once.size).toBe(Object.values(POINTS).reduce((sum, n) => sum + n, 0));
  for (const capture of [...CAPTURES, ...CAPTURES.slice(3)].toReversed())
    await replay(door, capture);
  const rows = rowsOf(door);
  expect(rows.length).toBeGreaterThan(2 * once.size);
  expect(new Set(rows.map(identity))).toEqual(once);
});
