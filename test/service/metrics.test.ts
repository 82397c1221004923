import { expect, test } from "vitest";
import { Metrics } from "../../src/service/metrics.ts";

test("counters and gauges are printed as Prometheus text, families in order of name", () => {
  const metrics = new Metrics();
  metrics.counter("b_total", "Second.", { receiver: "otlp", transport: "http" }).add(3);
  metrics.observe("a", "First.", {}, "gauge", () => 1.5);
  expect(metrics.text()).toBe(
    [
      "# HELP a First.",
      "# TYPE a gauge",
      "a 1.5",
      "# HELP b_total Second.",
      "# TYPE b_total counter",
      'b_total{receiver="otlp",transport="http"} 3',
      "",
    ].join("\n"),
  );
});

test("text in labels cannot become structure", () => {
  const metrics = new Metrics();
  metrics.counter("n", 'Help with a \\ and a\nline "end".', { id: 'a"} 1\nforged{x="\\' }).add(1);
  expect(metrics.text().split("\n")).toEqual([
    '# HELP n Help with a \\\\ and a\\nline "end".',
    "# TYPE n counter",
    'n{id="a\\"} 1\\nforged{x=\\"\\\\"} 1',
    "",
  ]);
});

test("two counters of one name and equal labels add up; a gauge that is registered again is replaced", () => {
  const metrics = new Metrics();
  metrics.counter("n", "N.", { a: "1" }).add(1);
  metrics.counter("n", "N.", { a: "1" }).add(2);
  metrics.observe("g", "G.", {}, "gauge", () => 1);
  metrics.observe("g", "G.", {}, "gauge", () => 7);
  expect(metrics.value("n", { a: "1" })).toBe(3);
  expect(metrics.value("g", {})).toBe(7);
});

test("odd numbers are written as Prometheus knows them", () => {
  const metrics = new Metrics();
  for (const [name, value] of [
    ["p", Number.POSITIVE_INFINITY],
    ["m", Number.NEGATIVE_INFINITY],
    ["x", Number.NaN],
  ] as const)
    metrics.observe(name, "Odd.", {}, "gauge", () => value);
  expect(
    metrics
      .text()
      .split("\n")
      .filter((line) => !line.startsWith("#")),
  ).toEqual(["m -Inf", "p +Inf", "x NaN", ""]);
});
