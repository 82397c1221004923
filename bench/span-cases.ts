import { readFileSync } from "node:fs";
import { loadTables, shippedTables } from "../src/series/tables/load.ts";
import type { Table } from "../src/series/tables/tables.ts";
import { type Job, linesJob, payloads } from "./cases.ts";

/** Tables of served requests. */
export const REQUESTS = ["requests", "errors"];
const USER_TABLES = 50;

/** `n` tables as users write them: most of their columns are also in shipped ones, and no span of the payloads matches. */
export function userTables(n = USER_TABLES): Table[] {
  const files = Array.from({ length: n }, (_, i) => ({
    name: `user-${i}.yaml`,
    text: `measurement: user_${i}
doc: A table of a user.
identity: exact
ids: true
match: { spans: { record_has_one_of_each: [[user.key.${i}]] } }
columns:
  service: { kind: tag, doc: d, from: [service, service.name] }
  route: { kind: tag, doc: d, from: [route, http.route] }
  status: { kind: tag, doc: d, from: [http.response.status_code], otherwise: [{ value: none }] }
  value: { kind: text, doc: d, from: [user.key.${i}, url.path] }
  ms: { kind: float, doc: d, from: [{ span: duration_ms }] }
`,
  }));
  return loadTables(files, shippedTables());
}

/** Files of the tables of served requests without the field `attributes`, under names of their own: what that field costs. */
export function bareFiles(): { readonly name: string; readonly text: string }[] {
  return REQUESTS.map((name) => {
    const shipped = readFileSync(new URL(`../config/series/${name}.yaml`, import.meta.url), "utf8");
    const text = shipped
      .replace(`measurement: ${name}\n`, `measurement: bare_${name}\nattributes: false\n`)
      .replace("also_matches: requests", "also_matches: bare_requests");
    return { name: `bare-${name}.yaml`, text };
  });
}

/** Spans to the lines of these tables. */
export function bareJob(n: number): Job {
  const tables = loadTables(bareFiles(), shippedTables());
  const names = tables.map(({ measurement }) => measurement);
  return linesJob(payloads.spans(n), names, "traces", tables);
}

/** Spans to the lines of all tables, with so many tables of users loaded and chosen too. */
export function allTablesJob(n: number, more: readonly Table[] = []): Job {
  const names = [...shippedTables(), ...more].map(({ measurement }) => measurement);
  return linesJob(payloads.spans(n), names, "traces", more);
}

/** The three signals in turn through one process: what one has taught V8 must not slow the others. */
export function threeSignalsJob(n: number): { readonly all: Job; readonly spans: Job } {
  const spans = linesJob(payloads.spans(n), REQUESTS, "traces");
  const logs = linesJob(payloads.plain(n), ["function_logs"]);
  const points = linesJob(payloads.metrics(n), ["metrics"], "metrics");
  return { all: () => logs() + spans() + points(), spans };
}
