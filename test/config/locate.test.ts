import { expect, test } from "vitest";
import { locate } from "../../src/config/locate.ts";
import type { Node } from "../../src/config/tree.ts";
import { toPlain } from "../../src/config/tree.ts";

function options(file: string, ...tables: (string | number)[]): Node {
  const place = { file, line: 1, column: 1 };
  const items = tables.map((value) => ({ kind: "scalar", value, place }) as const);
  const value: Node = { kind: "list", items, place };
  return { kind: "map", entries: new Map([["tables", { at: place, value }]]), place };
}

const located = (file: string, ...tables: (string | number)[]) =>
  toPlain(locate(options(file, ...tables), ["tables", "absent"], "/home/weir"));

test("paths that start with a dot begin at the file that they are written in", () => {
  expect(located("etc/weir.yaml", "./a.yaml", "../b.yaml")).toEqual({
    tables: ["/home/weir/etc/a.yaml", "/home/weir/b.yaml"],
  });
  expect(located("/etc/weir.yaml", "./a.yaml")).toEqual({ tables: ["/etc/a.yaml"] });
  expect(located("file:/etc/weir.yaml", "./a.yaml")).toEqual({ tables: ["/etc/a.yaml"] });
});

test("names, other paths and other values stay as they are", () => {
  const tables = ["requests", "/abs/a.yaml", "a.yaml", ".hidden", 7];
  expect(located("etc/weir.yaml", ...tables)).toEqual({ tables });
});

test("what is written in no file begins at the working directory", () => {
  expect(located("env:CONFIG", "./a.yaml")).toEqual({ tables: ["/home/weir/a.yaml"] });
  expect(located("--set", "./a.yaml")).toEqual({ tables: ["/home/weir/a.yaml"] });
});
