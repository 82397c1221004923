import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

/**
 * Everything that the mapping cases send goes through the real service into the store with its declared tables: no row of our own writers
 * may have another type than the store declares.
 */
const ROOT = join(import.meta.dirname, "..", "fixtures", "mapping");
interface Input {
  readonly kind: "otlp_logs" | "otlp_traces" | "otlp_metrics" | "line" | "json";
  readonly body?: object;
  readonly text?: string;
}
const INPUTS = readdirSync(ROOT)
  .filter((name) => name.endsWith(".json"))
  .flatMap(
    (name) =>
      JSON.parse(readFileSync(join(ROOT, name), "utf8")) as { readonly input: Input | Input[] }[],
  )
  .flatMap(({ input }) => input);

const config = (it: Stand) => `${it.frame.replace(
  "receivers:",
  `  embedded_store: { endpoint: "127.0.0.1:${it.ports.store}", directory: "${it.path("store")}" }
receivers:`,
)}
exporters:
  influxdb: { endpoint: "http://127.0.0.1:${it.ports.store}", database: weir, sending_queue: { storage: file_storage } }
${it
  .serviceWith(
    `logs: { receivers: [otlp, line_protocol], exporters: [influxdb] }
traces: { receivers: [otlp], exporters: [influxdb] }
metrics: { receivers: [otlp], exporters: [influxdb] }`,
  )
  .replace("[health_check,", "[health_check, embedded_store,")}`;

test("no row of the mapping cases is refused by the declared tables", async () => {
  await using stand = await Stand.open(config);
  await stand.service.start();
  for (const { kind, body, text } of INPUTS) {
    if (text !== undefined) {
      await stand.datagram(text);
      continue;
    }
    const answer = await fetch(
      `http://127.0.0.1:${stand.ports.http}/v1/${kind.replace("otlp_", "")}`,
      {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      },
    );
    expect([kind, answer.status]).toEqual([kind, 200]);
  }
  const laws = await stand.until((all) =>
    all.every(({ queued, appended }) => queued === 0 && appended > 0),
  );
  expect(laws.every(isBalanced)).toBe(true);
  expect(laws.map(({ exporter, dead_lettered }) => [exporter, dead_lettered])).toEqual(
    laws.map(({ exporter }) => [exporter, 0]),
  );
  const answer = await fetch(`http://127.0.0.1:${stand.ports.store}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({
      db: "weir",
      q: 'SELECT (SELECT count(*) FROM function_logs) AS f, (SELECT count(*) FROM errors) AS e, (SELECT count(*) FROM spans) AS s, (SELECT count(*) FROM "DFF_func_call") AS d',
    }),
  });
  const [counts = {}] = (await answer.json()) as Record<string, number>[];
  for (const [table, n] of Object.entries(counts)) expect([table, n > 0]).toEqual([table, true]);
});
