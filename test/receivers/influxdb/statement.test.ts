import { expect, test } from "vitest";
import { createdDatabase } from "../../../src/receivers/influxdb/statement.ts";
import { leastCpuMs } from "../../support/cpu.ts";

test.each([
  ["CREATE DATABASE telegraf", "telegraf"],
  [" \n create  database\tx ; ", "x"],
  ['CREATE DATABASE "my db"', "my db"],
  ['CREATE DATABASE "x\\"y\\\\z" WITH DURATION 3d REPLICATION 1 NAME "n";', 'x"y\\z'],
  ["CREATE DATABASE x WITH DURATION 3d", "x"],
  ["CREATE DATABASE x; CREATE DATABASE y", undefined],
  ["CREATE DATABASE x;;", undefined],
  ["CREATE DATABASE x y", undefined],
  ["CREATE DATABASE 1x", undefined],
  ["CREATE DATABASE", undefined],
  ["DROP DATABASE x", undefined],
  [`CREATE DATABASE ${"x".repeat(4_096)}`, undefined],
])("%j creates %j", (statement, name) => {
  expect(createdDatabase(statement)).toBe(name);
});

test.each([
  ["white space before semicolons", `create database x with ${" ".repeat(4_000)};;`],
  ["white space before a word", `create database x${" ".repeat(4_000)}y`],
  ["white space that is the rest", `create${" ".repeat(4_080)}x`],
  ["quotes", `create database "${'\\"'.repeat(2_000)}`],
])("the longest statement of %s is told in no time", async (_what, statement) => {
  expect(statement.length).toBeLessThanOrEqual(4_096);
  // It was 26 s for the first of them.
  expect(await leastCpuMs(() => createdDatabase(statement))).toBeLessThan(200);
});
