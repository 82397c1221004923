import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { runQuery } from "../../src/commands/query.ts";
import { parseCsv, tableText } from "../../src/commands/table-text.ts";
import { startStore, type TestStore, temporaryDirectory } from "../store/harness.ts";

/** An address where nothing listens. */
async function freeUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return `http://127.0.0.1:${port}`;
}

const directory = temporaryDirectory();
let store: TestStore;
let out = "";
let err = "";
beforeAll(async () => {
  store = await startStore(directory.path);
  await store.write('m,t=x a=1.5,b=9223372036854775807i,s="two\nlines \u001b[31m" 1\nm a=2 2');
});
afterAll(async () => {
  await store.kill();
  directory.remove();
});
beforeEach(() => {
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

test("a table: aligned, int64 exact, control characters shown and not sent", async () => {
  expect(await runQuery(["SELECT * FROM m ORDER BY time", "--endpoint", store.url])).toBe(0);
  expect(out).toBe(
    [
      "  a                    b  s                      t  time",
      "---  -------------------  ---------------------  -  -----------------------------",
      "1.5  9223372036854775807  two\\nlines \\u001b[31m  x  1970-01-01T00:00:00.000000001",
      "2.0                                                 1970-01-01T00:00:00.000000002",
      "(2 rows)",
      "",
    ].join("\n"),
  );
});

test.each([
  ["json", '[{"n":2}]\n'],
  ["jsonl", '{"n":2}\n'],
  ["csv", "n\n2\n"],
])("format %s is passed through", async (format, expected) => {
  const args = ["SELECT count(*) AS n FROM m", "--format", format, "--endpoint", store.url];
  expect(await runQuery(args)).toBe(0);
  expect(out).toBe(expected);
});

test("no rows", async () => {
  await runQuery(["SELECT a FROM m WHERE false", "--endpoint", store.url]);
  expect(out).toBe("a\n-\n(0 rows)\n");
});

test.each([
  [["SELECT nope FROM m"], "nope"],
  [["SELECT 1 FROM nope"], "table 'public.iox.nope' not found. SHOW TABLES lists"],
  [
    ["SELECT 1", "--db", "nowhere"],
    "database not found: nowhere. A database appears with the first row",
  ],
])("a refused query %j ends with 1 and the server's words", async (args, words) => {
  expect(await runQuery([...args, "--endpoint", store.url])).toBe(1);
  expect(err).toContain(words);
  expect(out).toBe("");
});

test("nothing there: how to start it", async () => {
  expect(await runQuery(["SELECT 1", "--endpoint", await freeUrl()])).toBe(1);
  expect(err).toContain("npm start");
});

test.each([
  [[]],
  [["a", "b"]],
  [["a", "--format", "xml"]],
  [["a", "--nope"]],
  [["a", "--endpoint", "http://"]],
])("wrong arguments %j end with 2 and the usage", async (args) => {
  expect(await runQuery(args)).toBe(2);
  expect(err).toContain("weir query");
});

test("CSV is read as it is written", () => {
  expect(parseCsv('a,b\n"x ""y""\n,",\n,\n')).toEqual([
    ["a", "b"],
    ['x "y"\n,', ""],
    ["", ""],
  ]);
  expect(parseCsv("")).toEqual([]);
  expect(tableText(parseCsv("a,bb\n1,x\n22,\u202ey\n"))).toBe(
    " a  bb\n--  -------\n 1  x\n22  \\u202ey\n(2 rows)\n",
  );
});
