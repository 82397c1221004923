import { afterAll, beforeAll, expect, test } from "vitest";
import { ShippedService } from "../support/shipped-config.ts";
import { delivered, storeRows } from "../support/store-rows.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { CAPTURES, type Capture } from "./captures.ts";

/** Every capture and fixture, sent to one service with all doors open as its sender sent it; the table is printed at the end. */
let weir: ShippedService;
const told: object[] = [];
beforeAll(async () => {
  weir = await ShippedService.start("test/support/all-doors.yaml");
});
afterAll(async () => {
  console.table(told);
  await weir[Symbol.asyncDispose]();
});

const query = (sql: string) => storeRows(weir.port(8181), sql);

/** Rows by table, of the tables that have some. */
async function counted(): Promise<Map<string, number>> {
  const tables = await query(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox'",
  );
  const counts = await query(
    tables
      .map(({ table_name: name }) => `SELECT '${name}' AS name, count(*) AS n FROM "${name}"`)
      .join(" UNION ALL "),
  );
  return new Map(
    counts.flatMap(({ name, n }) => (Number(n) > 0 ? [[String(name), Number(n)] as const] : [])),
  );
}

/** Rows that a capture made, once they are as many as expected or nothing more comes; they are removed, so that equal ones come anew. */
async function rowsOf({ rows, tables }: Capture): Promise<number> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    await delivered(weir.service);
    const counts = await counted();
    const stored = [...counts]
      .filter(([name]) => tables === undefined || tables.includes(name))
      .reduce((sum, [, n]) => sum + n, 0);
    if (stored < rows && Date.now() < end) continue;
    for (const name of counts.keys()) await query(`DELETE FROM "${name}" WHERE true`);
    return stored;
  }
}

test.each(CAPTURES.map((capture) => [`${capture.sender}: ${capture.name}`, capture] as const))(
  "%s",
  async (_name, capture) => {
    const problem = await capture.send(weir);
    const { sender, version, name, requests, rows: expected } = capture;
    const stored = await rowsOf(capture);
    told.push({ sender, version, capture: name, requests, expected, stored });
    expect([problem, stored]).toEqual(["", expected]);
  },
);
