import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exampleRows } from "../../src/series/tables/example-rows.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import type { Kind } from "../../src/store/catalog.ts";
import { type DeclaredTable, declaredTables } from "../../src/store/declared.ts";
import { openStore } from "../../src/store/open.ts";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const directory = temporaryDirectory();
let store: TestStore;
beforeAll(async () => {
  store = await startStore(directory.path);
});
afterAll(async () => {
  await store.kill();
  directory.remove();
});

const TABLES = shippedTables();
const DECLARED = declaredTables(TABLES);
const SQL_TYPE: Readonly<Record<Kind, string>> = {
  tag: "VARCHAR",
  string: "VARCHAR",
  float: "DOUBLE",
  integer: "BIGINT",
  uinteger: "UBIGINT",
  boolean: "BOOLEAN",
};

test.each(DECLARED.map((table) => [table.measurement, table] as const))(
  "%s is there before its first row, with its types",
  async (name, { columns }) => {
    expect((await store.query(`SELECT * FROM "${name}"`)).body).toBe("[]");
    const csv = await store.query(`SELECT * FROM "${name}"`, { format: "csv" });
    const names = ["time", ...columns.map((column) => column.name)].sort();
    expect(csv.body).toBe(`${names.join(",")}\n`);
    const described = await store.rows(`DESCRIBE "${name}"`);
    expect(described.map((row) => [row["column_name"], row["column_type"]])).toEqual([
      ["time", "TIMESTAMP_NS"],
      ...columns.map((column) => [column.name, SQL_TYPE[column.kind]]),
    ]);
  },
);

test.each(TABLES.map((table) => [table.measurement, table] as const))(
  "the documented example of %s is stored, and its query runs",
  async (_name, table) => {
    const { example } = table;
    if (example === undefined) throw new Error("no example");
    const { rows } = exampleRows(table, example, TABLES);
    expect(await store.write(rows, { db: "examples" })).toEqual({ status: 204, body: "" });
    const { status, body } = await store.query(example.query, { db: "examples" });
    expect({ status, body }).toEqual({ status: 200, body: expect.stringMatching(/^\[/) });
  },
);

test("a database that a write makes has them too", async () => {
  expect((await store.query("SELECT * FROM requests", { db: "second" })).status).toBe(404);
  expect((await store.write("m a=1 1", { db: "second" })).status).toBe(204);
  expect(await store.query("SELECT * FROM requests", { db: "second" })).toEqual({
    status: 200,
    body: "[]",
  });
});

test("a line that does not keep a declared type is refused, the others are stored", async () => {
  const answer = await store.write(
    'requests,service=a execution_time=1.5 1\nrequests,service=a execution_time="slow" 2\nrequests route="GET:/" 3',
  );
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body)).toEqual({
    error: "partial write of line protocol occurred",
    data: [
      {
        error_message:
          "invalid column type for column 'execution_time', expected iox::column_type::field::float, got iox::column_type::field::string",
        line_number: 2,
        original_line: "requests,service=a e",
      },
      {
        error_message:
          "invalid column type for column 'route', expected iox::column_type::tag, got iox::column_type::field::string",
        line_number: 3,
        original_line: 'requests route="GET:',
      },
    ],
  });
  expect(await store.rows("SELECT execution_time FROM requests")).toEqual([
    { execution_time: 1.5 },
  ]);
});

test("columns beside the declared ones come with the rows that have them", async () => {
  await store.write("errors,service=a,mine=x theirs=1i 1");
  expect(await store.rows("SELECT service, mine, theirs FROM errors")).toEqual([
    { service: "a", mine: "x", theirs: 1 },
  ]);
});

test("tables of one's own are declared too, and mistakes in them stop the start", async () => {
  const { path, remove } = temporaryDirectory();
  const file = join(path, "builds.yaml");
  const text = `measurement: builds
doc: One row for each build.
identity: exact
columns: { took_s: { kind: float, unit: s, doc: How long it took., from: [took_s] } }
`;
  writeFileSync(file, text);
  const own = await startStore(path, ["--tables", file]);
  expect(await own.rows("DESCRIBE builds")).toMatchObject([
    { column_name: "time" },
    { column_name: "took_s", column_type: "DOUBLE" },
    { column_name: "attributes", column_type: "VARCHAR" },
  ]);
  await own.kill();
  writeFileSync(file, text.replace("float", "flaot"));
  await expect(startStore(path, ["--tables", file])).rejects.toThrow(
    `${file}:4:28: kind "flaot" is unknown; did you mean "float"?`,
  );
  remove();
});

test("a name that is no database is refused at the start", async () => {
  await expect(startStore(directory.path, ["--database", "a b"])).rejects.toThrow(
    /exit 2: .*--database "a b": db name must use only letters/,
  );
});

test("an older file gets what it lacks; a column of another type keeps it, and the log says so", async () => {
  const { path, remove } = temporaryDirectory();
  const said: string[] = [];
  const open = (tables: readonly DeclaredTable[]) =>
    openStore({
      directory: path,
      createDirectory: true,
      memoryLimit: "256MiB",
      databases: ["weir"],
      tables,
      log: (text) => said.push(text),
      nowMs: Date.now,
    });
  const table = (measurement: string, ...columns: [string, Kind][]) => ({
    measurement,
    columns: columns.map(([name, kind]) => ({ name, kind })),
  });
  const close = ({ duck }: Awaited<ReturnType<typeof open>>) => {
    duck.writer.closeSync();
    duck.instance.closeSync();
  };
  close(await open([table("a", ["t", "tag"], ["v", "integer"])]));
  for (let twice = 0; twice < 2; twice++) {
    const again = await open([
      table("a", ["t", "tag"], ["v", "float"], ["new", "string"]),
      table("b", ["w", "boolean"]),
    ]);
    const kinds = (name: string) =>
      [...(again.catalog.find("weir", name)?.columns.values() ?? [])].map((c) => [c.name, c.kind]);
    expect(kinds("a")).toEqual([
      ["t", "tag"],
      ["v", "integer"],
      ["new", "string"],
    ]);
    expect(kinds("b")).toEqual([["w", "boolean"]]);
    close(again);
  }
  expect(said).toEqual(
    Array(2).fill(
      "database weir keeps the types that these columns have, which are not the declared ones: a.v",
    ),
  );
  remove();
});
