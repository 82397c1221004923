import { expect, test } from "vitest";
import { createLeanLogger } from "../../src/service/lean-log.ts";
import { createLogger } from "../../src/service/log.ts";
import { withFields } from "../../src/service/log-text.ts";

function capture(
  encoding: "json" | "console",
  level: "debug" | "info" | "warn" | "error" = "info",
) {
  const lines: string[] = [];
  return { lines, log: createLogger({ level, encoding }, (line) => lines.push(line)) };
}

test("json: one object per line with time, level, text and fields", () => {
  const { lines, log } = capture("json");
  withFields(log, { component: "otlp" }).warn({ items: 3 }, "the queue is full");
  expect(lines).toHaveLength(1);
  const line = JSON.parse(lines[0] as string);
  expect(line).toMatchObject({
    level: "warn",
    msg: "the queue is full",
    component: "otlp",
    items: 3,
  });
  expect(Date.parse(line.time)).not.toBeNaN();
});

test("console: telemetry in a field can forge neither a line nor an escape sequence", () => {
  const { lines, log } = capture("console");
  log.error({ why: "bad\n2026-01-01 ERROR forged \u001b[2J\u2028" }, "a request failed");
  expect(lines).toHaveLength(1);
  const line = lines[0] as string;
  expect(line.endsWith("\n")).toBe(true);
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028]/u);
  expect(line).toContain("error a request failed why=");
});

test("lines below the level are not written", () => {
  const { lines, log } = capture("console", "warn");
  log.info({}, "quiet");
  log.warn({}, "loud");
  expect(lines).toHaveLength(1);
});

test.each(["json", "console"] as const)("the lean logger writes the same lines, %s", (encoding) => {
  const fields = [
    {},
    { items: 3, why: 'a "b"\nc', none: undefined, nested: { a: [1, null] }, on: true },
    { at: "2026-11-21 é\u2028" },
  ];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    const written = [createLogger, createLeanLogger].map((create) => {
      const lines: string[] = [];
      const log = withFields(
        create({ level, encoding }, (line) => lines.push(line)),
        { component: "loki" },
      );
      for (const own of fields)
        for (const of of ["debug", "info", "warn", "error"] as const) log[of](own, `a ${of} line`);
      return lines.map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, "<time>"));
    });
    expect(written[0]).toHaveLength(
      fields.length * (4 - ["debug", "info", "warn", "error"].indexOf(level)),
    );
    expect(written[1]).toEqual(written[0]);
  }
});

test("the lean logger writes numbers that JSON does not know", () => {
  const lines: string[] = [];
  createLeanLogger({ level: "info", encoding: "console" }, (line) => lines.push(line)).warn(
    { n: 7n },
    "x",
  );
  expect(lines[0]).toMatch(/ warn {2}x n=7\n$/);
});
