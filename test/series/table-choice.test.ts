import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { shippedTables } from "../../src/series/tables/load.ts";
import { TableChoice } from "../../src/series/tables/table-choice.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-tables-"));
afterAll(() => rmSync(directory, { recursive: true }));
const shipped = shippedTables();
const choice = new TableChoice(shipped);

function file(name: string, measurement: string, more = ""): string {
  const path = join(directory, name);
  writeFileSync(
    path,
    `measurement: ${measurement}\ndoc: d\nidentity: exact\ncolumns:\n  f: { kind: text, doc: d, from: [f] }\n${more}`,
  );
  return path;
}

const names = (entries?: string[]) =>
  choice.choose(entries).tables.map(({ measurement }) => measurement);

test("no entry: all shipped tables; names: those", () => {
  expect(names()).toEqual(shipped.map(({ measurement }) => measurement));
  expect(names(["requests", "errors"])).toEqual(["errors", "requests"]);
});

test("files add their tables: to all, or to choose from by name", () => {
  const own = file("own.yaml", "own_table");
  expect(names([own])).toHaveLength(shipped.length + 1);
  expect(names([own, "own_table"])).toEqual(["own_table"]);
  expect(choice.choose([own, "own_table"]).declared).toHaveLength(shipped.length + 1);
  expect(choice.mistakes([own, "own_table", "requests"])).toEqual([]);
});

test("a file may depend on the table of an earlier one", () => {
  const first = file("first.yaml", "first", "match: { spans: { kind: [server] } }\n");
  const second = file("second.yaml", "second", "match: { spans: { also_matches: first } }\n");
  expect(choice.mistakes([first, second])).toEqual([]);
  expect(choice.mistakes([second])[0]?.message).toContain('there is no table "first"');
});

test("every mistake is said, with its entry and its place in the file", () => {
  const twin = file("twin.yaml", "requests");
  const bad = file("bad.yaml", "bad", "bodi: f\nidentyti: exact\n");
  const missing = join(directory, "missing.yaml");
  expect(choice.mistakes([twin, bad, missing])).toEqual([
    {
      at: 0,
      message: `${twin}:1:14: measurement "requests" is a table already: choose another name`,
    },
    { at: 1, message: `${bad}:6:1: unknown key "bodi" in the file; did you mean "body"?` },
    { at: 1, message: expect.stringContaining(`${bad}:7:1: unknown key "identyti"`) },
    {
      at: 2,
      message: expect.stringMatching(/missing\.yaml: there is no such file; paths that start/),
    },
  ]);
  expect(() => choice.choose([bad])).toThrow(/unknown key "bodi"/);
});

test("an unknown name is said with the nearest", () => {
  expect(choice.mistakes(["request"])).toEqual([
    { at: 0, message: expect.stringContaining('did you mean "requests"?') },
  ]);
});
