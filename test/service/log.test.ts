import { expect, test } from "vitest";
import { createLogger, withFields } from "../../src/service/log.ts";

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
