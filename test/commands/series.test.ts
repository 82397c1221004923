import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { main } from "../../src/commands/dispatch.ts";
import { shippedTables } from "../../src/series/tables/load.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-series-"));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, text: string) => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

async function series(...args: string[]) {
  let out = "";
  let err = "";
  const code = await main(["series", ...args], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

const TABLE = `measurement: builds
doc: One row for each build.
identity: exact
match: { logs: { record_has_one_of_each: [[build.id]] } }
columns:
  build_id: { kind: tag, doc: The build., from: [build.id] }
  took_s: { kind: float, unit: s, doc: How long it took., from: [{ attribute: took_ms, divide_by: 1000 }] }
example:
  log: { body: done, attributes: { build.id: b-1, took_ms: 1500 } }
  query: SELECT * FROM builds
`;

test("list names every table with its identity and file", async () => {
  const { code, out } = await series("list");
  expect(code).toBe(0);
  for (const { measurement, identity } of shippedTables())
    expect(out).toMatch(
      new RegExp(`^${measurement} +${identity} +config/series/${measurement}\\.yaml +\\S`, "m"),
    );
});

test("show tells what makes a row, each column with its sources in order, and an example", async () => {
  const { code, out } = await series("show", "function_logs");
  expect(code).toBe(0);
  expect(out).toContain("A log record whose event_name is function_logs. It needs execution_id.");
  expect(out).toContain(
    "  duration_ms (float, ms): How long it ran.\n    from duration_ms, function.duration_ms, execution.duration_ms, the span's duration in ms\n",
  );
  expect(out).toContain("else timeout where exit_code is -1");
  expect(out).toContain('"spanId": "b7ad6b7169203331"');
  expect(out).toContain(
    "becomes\n  function_logs,function_id=550e8400-e29b-41d4-a716-446655440000,",
  );
  expect(out).toContain("and is found by\n  SELECT ");
});

test.each(shippedTables().map(({ measurement }) => measurement))("show %s", async (name) => {
  const { code, out } = await series("show", name);
  expect(code).toBe(0);
  expect(out).toContain("What makes a row");
  expect(out).toContain("An example");
  expect(out).not.toContain("undefined");
});

test("show of a file of one's own", async () => {
  const { code, out } = await series("show", file("builds.yaml", TABLE));
  expect(code).toBe(0);
  expect(out).toContain("A log record that has itself build.id.");
  expect(out).toContain("  builds,build_id=b-1 took_s=1.5 1705314600123456789\n");
});

test("check of right files says what is in them", async () => {
  const path = file("builds.yaml", TABLE);
  expect(await series("check", path)).toEqual({
    code: 0,
    out: `${path}: table builds with 2 columns\n`,
    err: "",
  });
});

test("check names every mistake of every file with its place and the nearest key", async () => {
  const one = file("one.yaml", TABLE.replace("identity", "identiti").replace("tag,", "tagg,"));
  const two = file("two.yaml", TABLE.replace("builds", "requests"));
  const gone = join(directory, "gone.yaml");
  const { code, out, err } = await series("check", one, two, gone);
  expect(code).toBe(1);
  expect(out).toBe("");
  expect(err.trimEnd().split("\n").sort()).toEqual(
    [
      `${gone}: there is no such file`,
      `${one}:1:1: the file lacks "identity"`,
      `${one}:3:1: unknown key "identiti" in the file; did you mean "identity"?`,
      `${one}:6:21: kind "tagg" is unknown; did you mean "tag"?`,
      `${two}:1:14: measurement "requests" is a table already: choose another name`,
    ].sort(),
  );
});

test.each([
  ["no row", TABLE.replace("build.id: b-1, ", ""), "the example of builds makes no row of it"],
  [
    "a line that is none",
    TABLE.replace(/ {2}log: .*/, "  line: builds x"),
    "the line of the example is wrong: ",
  ],
])("check refuses an example that makes %s", async (_what, text, words) => {
  const path = file("example.yaml", text);
  const { code, err } = await series("check", path);
  expect([code, err]).toEqual([1, expect.stringContaining(`${path}:8:1: ${words}`)]);
});

test("help, and what cannot be understood", async () => {
  for (const args of [["--help"], ["list", "--help"]]) {
    const { code, out } = await series(...args);
    expect([code, out]).toEqual([0, expect.stringContaining("weir series check <file.yaml>")]);
  }
  expect(await main(["--help"], { out: () => {}, err: () => {} })).toBe(0);
  for (const args of [[], ["show"], ["check"], ["list", "x"], ["shwo", "logs"]]) {
    const { code, err } = await series(...args);
    expect([code, err]).toEqual([1, expect.stringContaining("expected one of these")]);
  }
  expect((await series("list", "--al")).err).toBe(
    "weir: unknown flag: --al (see weir series --help)\n",
  );
  expect((await series("show", "request")).err).toBe(
    'weir: there is no table "request" (did you mean "requests"?)\n',
  );
  expect((await series("show", "zzzz")).err).toContain("tables: DFF_cache_db, ");
});
