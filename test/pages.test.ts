import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

/** What the pages for people say about the tree is so. */
const ROOT = join(import.meta.dirname, "..");
const PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

test.each(PAGES)("%s: files, links and scripts that it names are there", (page) => {
  const text = read(page);
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target]) => target as string);
  const named = [...text.matchAll(/`((?:src|test|config|docs|tools|bench|\.ci)\/[\w./-]+)`/g)].map(
    ([, file]) => file as string,
  );
  const missing = [...links, ...named].filter(
    (file) => !existsSync(join(ROOT, dirname(page), file)),
  );
  expect(missing).toEqual([]);
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const asked = [...text.matchAll(/npm (?:run )?(start|test|(?<=run )[\w-]+)/g)].map(
    ([, name]) => name as string,
  );
  expect(asked.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});

test("each way to lose data names the test that holds it", () => {
  const section = /## When can data be lost\?\n(.*?)\n## /s.exec(read("README.md"))?.[1] ?? "";
  const rows = section.split("\n").filter((line) => /^\| (?!case)/.test(line));
  expect(rows.length).toBeGreaterThan(10);
  for (const row of rows) expect(row).toMatch(/`test\/[\w/-]+\.test\.ts` \|$/);
});

test("the ports of the README are those of otel-config.yaml", () => {
  const table = /\| port \| what \|\n(.*?)\n\n/s.exec(read("README.md"))?.[1] ?? "";
  const told = [...table.matchAll(/\b\d{4,5}\b/g)].map(([port]) => port);
  // Comments and addresses to connect to are not listeners.
  const config = read("otel-config.yaml").replace(/#.*|http:\/\/\S+/g, "");
  const listening = [...config.matchAll(/(?:127\.0\.0\.1:|port: )(\d+)/g)].map(([, port]) => port);
  expect(new Set(told)).toEqual(new Set(listening));
});
