import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { runQuery } from "../../src/commands/query.ts";
import { encodeRequest } from "../support/otlp.ts";
import { Stand } from "./stand.ts";

/**
 * The queries that the platform's document prints, as they stand, over a generated day that came as OTLP through the real service. What they
 * must answer is computed here from the list of executions, without SQL.
 */
const SQL = readFileSync(new URL("../fixtures/seeds/dart/queries.sql", import.meta.url), "utf8");
/** Each query behind the comment that names it. */
const QUERIES = SQL.replace(/^--.*$/gm, "")
  .split(";")
  .map((query) => query.trim())
  .filter((query) => query !== "");

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LINES = 20;
const RESIZE = "550e8400-e29b-41d4-a716-446655440000";
const now = Date.now();

interface Execution {
  readonly id: string;
  readonly fn: string;
  readonly ageMs: number;
  readonly status: "success" | "error" | "timeout";
  readonly ms: number;
  readonly mb: number;
}
const execution = (ageMs: number, i: number): Execution => ({
  id: `${ageMs}-${i}`,
  fn: i % 3 === 0 ? RESIZE : "thumbnails",
  ageMs,
  status: i % 5 === 1 ? "error" : i % 10 === 7 ? "timeout" : "success",
  ms: 10 + ((i * 37) % 900),
  mb: 30 + ((i * 11) % 64),
});
/** Ten of the last hour, one every half hour of the day, and some that lie further back. */
const EXECUTIONS = [
  ...Array.from({ length: 10 }, (_, i) => (i + 1) * 300_000),
  ...Array.from({ length: 45 }, (_, i) => HOUR + (i + 1) * 1_800_000),
  ...[2, 3, 6, 8, 12, 29, 31, 40].map((days) => days * DAY + HOUR / 2),
].map(execution);

const nanos = (ms: number) => String(BigInt(Math.floor(ms)) * 1_000_000n);
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** What an SDK sends of one execution: its lines of output, and the record of its end. */
function records({ id, fn, ageMs, status, ms, mb }: Execution): object[] {
  const lines = Array.from({ length: LINES }, (_, line) => ({
    timeUnixNano: nanos(now - ageMs - LINES + line),
    body: { stringValue: `line ${line}: no error here` },
    attributes: [text("execution.id", id), text("function.id", fn), text("stream", "stdout")],
  }));
  const end = {
    timeUnixNano: nanos(now - ageMs),
    body: { stringValue: status === "error" ? "ended with an error" : "done" },
    attributes: [
      text("execution.id", id),
      text("function.id", fn),
      text("status", status),
      { key: "duration_ms", value: { doubleValue: ms } },
      { key: "memory_used_mb", value: { doubleValue: mb } },
    ],
  };
  return [...lines, end];
}

let stand: Stand;
let out = "";
beforeAll(async () => {
  stand = await Stand.open(
    (it) => `${it.frame.replace(
      "receivers:",
      `  embedded_store: { endpoint: "127.0.0.1:${it.ports.store}", directory: "${it.path("store")}" }
receivers:`,
    )}
exporters:
  influxdb: { endpoint: "http://127.0.0.1:${it.ports.store}", database: dart_cloud_logs, sending_queue: { storage: file_storage } }
${it
  .serviceWith("logs: { receivers: [otlp], exporters: [influxdb] }")
  .replace("[health_check,", "[health_check, embedded_store,")}`,
  );
  await stand.service.start();
  const logRecords = EXECUTIONS.flatMap(records);
  const body = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.from(body),
  });
  expect(answer.status).toBe(200);
  await stand.until((laws) =>
    laws.some(({ delivered, queued }) => delivered === logRecords.length && queued === 0),
  );
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(() => {
  vi.spyOn(process.stdout, "write").mockImplementation((written) => {
    out += written;
    return true;
  });
  return () => vi.restoreAllMocks();
});

type Row = Record<string, unknown>;
async function ask(sql: string, format = "json"): Promise<string> {
  out = "";
  const args = ["--db", "dart_cloud_logs", "--endpoint", `127.0.0.1:${stand.ports.store}`];
  expect(await runQuery([sql, "--format", format, ...args])).toBe(0);
  return out;
}
const rows = async (sql: string) => JSON.parse(await ask(sql)) as Row[];

const within = (ageMs: number) => EXECUTIONS.filter((e) => e.ageMs < ageMs);
const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
const groups = <K>(list: readonly Execution[], key: (e: Execution) => K) => [
  ...Map.groupBy(list, key),
];
const newestFirst = (list: readonly Execution[]) => [...list].sort((a, b) => a.ageMs - b.ageMs);
const ids = (list: readonly Execution[]) => list.map(({ id }) => id);
const timeOf = ({ ageMs }: Execution) =>
  new Date(now - ageMs).toISOString().replace(/(?:\.000)?Z$/, "");

/** By the number of the query: what its rows must be. */
const EXPECTED: readonly ((answer: Row[]) => void)[] = [
  (answer) => {
    const mine = newestFirst(EXECUTIONS.filter(({ fn }) => fn === RESIZE)).slice(0, 100);
    expect(answer.map((row) => row["execution_id"])).toEqual(ids(mine));
  },
  (answer) => {
    const failed = newestFirst(within(DAY).filter(({ status }) => status === "error"));
    expect(failed.length).toBeGreaterThan(8);
    expect(answer.map((row) => row["execution_id"])).toEqual(ids(failed));
    expect(new Set(answer.map((row) => row["message"]))).toEqual(new Set(["ended with an error"]));
  },
  (answer) => {
    const expected = groups(within(7 * DAY), ({ fn }) => fn)
      .map(([function_id, list]) => ({
        function_id,
        avg_duration: mean(list.map(({ ms }) => ms)),
        max_duration: Math.max(...list.map(({ ms }) => ms)),
        avg_memory: mean(list.map(({ mb }) => mb)),
      }))
      .sort((a, b) => b.avg_duration - a.avg_duration);
    expect(answer).toEqual(
      expected.map((row) => ({
        ...row,
        avg_duration: expect.closeTo(row.avg_duration, 6),
        avg_memory: expect.closeTo(row.avg_memory, 6),
      })),
    );
  },
  (answer) =>
    expect(answer).toEqual([{ total_executions: 10, successful: 7, failed: 2, timeouts: 1 }]),
  (answer) =>
    expect(answer).toEqual(
      newestFirst(within(DAY)).map((e) => ({
        time: timeOf(e),
        function_id: e.fn,
        duration_ms: e.ms,
        status: e.status,
      })),
    ),
  (answer) => expect(answer).toEqual([{ error_rate: 20 }]),
  (answer) => {
    const hour = (e: Execution) => Math.floor((now - e.ageMs) / HOUR);
    const expected = groups(newestFirst(within(7 * DAY)), hour).map(([start, list]) => ({
      time: new Date(start * HOUR).toISOString().replace(/\.000Z$/, ""),
      avg_memory: expect.closeTo(mean(list.map(({ mb }) => mb)), 6),
    }));
    expect(expected.length).toBeGreaterThan(24);
    expect(answer).toEqual(expected);
  },
  (answer) => expect(answer.length).toBe(EXECUTIONS.length),
  (answer) => expect(answer).toEqual([{ count: 2 }]),
  (answer) => {
    const mine = EXECUTIONS.filter(({ fn, ageMs }) => fn === RESIZE && ageMs < 30 * DAY);
    expect(answer.map((row) => row["execution_id"]).sort()).toEqual(ids(mine).sort());
  },
  (answer) => {
    const failed = within(30 * DAY).filter(({ status }) => status === "error");
    expect(answer.map((row) => row["execution_id"]).sort()).toEqual(ids(failed).sort());
  },
];

test("every printed query has its answer here", () => {
  expect(QUERIES.length).toBe(EXPECTED.length);
});

test.each(QUERIES.map((query, i) => [query, i] as const))("%s", async (query, i) => {
  EXPECTED[i]?.(await rows(query));
});

test("an execution of 20 lines is one row of function_logs, and its lines are in logs", async () => {
  const kept = within(30 * DAY).length;
  expect(await rows("SELECT count(*) FROM function_logs")).toEqual([{ "count(*)": kept }]);
  expect(
    await rows("SELECT count(*) AS n, count(DISTINCT execution_id) AS executions FROM logs"),
  ).toEqual([{ n: EXECUTIONS.length * (LINES + 1), executions: EXECUTIONS.length }]);
});

test("the CSV export, asked for by its Accept header and nothing else", async () => {
  const q = "SELECT execution_id, duration_ms, message FROM function_logs ORDER BY time LIMIT 1000";
  const answer = await fetch(`http://127.0.0.1:${stand.ports.store}/api/v3/query_sql`, {
    method: "POST",
    headers: { accept: "text/csv", "content-type": "application/x-www-form-urlencoded" },
    body: JSON.stringify({ db: "dart_cloud_logs", q }),
  });
  expect(answer.headers.get("content-type")).toBe("text/csv");
  const lines = newestFirst(within(30 * DAY))
    .reverse()
    .map(
      ({ id, ms, status }) =>
        `${id},${ms}.0,${status === "error" ? "ended with an error" : "done"}\n`,
    );
  expect(await answer.text()).toBe(`execution_id,duration_ms,message\n${lines.join("")}`);
});
