import { afterAll, beforeAll, expect, test } from "vitest";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const directory = temporaryDirectory();
let store: TestStore;
beforeAll(async () => {
  // A query that is killed for its memory may take long before, where the machine is busy.
  store = await startStore(directory.path, ["--query-timeout", "100s"]);
  const now = BigInt(Date.now()) * 1_000_000n;
  const hour = 3_600_000_000_000n;
  const id = "550e8400-e29b-41d4-a716-446655440000";
  await store.write(
    [
      `function_logs,function_id=${id},status=success duration_ms=10,memory_used_mb=100,message="fine" ${now - 1n}`,
      `function_logs,function_id=${id},status=error duration_ms=30,memory_used_mb=300,message="an error, \\"quoted\\"" ${now - 2n}`,
      `function_logs,function_id=other,status=timeout duration_ms=50 ${now - 3n}`,
      `function_logs,function_id=other,status=success duration_ms=70,memory_used_mb=50 ${now - 30n * hour}`,
      `function_logs,function_id=other,status=error duration_ms=70 ${now - 24n * 40n * hour}`,
    ].join("\n"),
  );
});
afterAll(async () => {
  expect(await store.stop()).toBe(0);
  directory.remove();
});

const SEED: [string, (rows: Record<string, unknown>[]) => void][] = [
  [
    `SELECT * FROM function_logs
WHERE function_id = '550e8400-e29b-41d4-a716-446655440000'
ORDER BY time DESC
LIMIT 100;`,
    (rows) => expect(rows.map((r) => Object.keys(r))[0]).toEqual(Object.keys(rows[0] ?? {}).sort()),
  ],
  [
    `SELECT * FROM function_logs
WHERE status = 'error'
AND time > now() - interval '24 hours'
ORDER BY time DESC;`,
    (rows) => expect(rows).toMatchObject([{ message: 'an error, "quoted"' }]),
  ],
  [
    `SELECT function_id, AVG(duration_ms) as avg_duration, MAX(duration_ms) as max_duration, AVG(memory_used_mb) as avg_memory
FROM function_logs
WHERE time > now() - interval '7 days'
GROUP BY function_id
ORDER BY avg_duration DESC;`,
    (rows) =>
      expect(rows).toMatchObject([
        { function_id: "other", avg_duration: 60, max_duration: 70, avg_memory: 50 },
        { avg_duration: 20, max_duration: 30, avg_memory: 200 },
      ]),
  ],
  [
    `SELECT COUNT(*) as total_executions,
SUM(CASE WHEN status = 'success' THEN 1 ELSE 0 END) as successful,
SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END) as failed,
SUM(CASE WHEN status = 'timeout' THEN 1 ELSE 0 END) as timeouts
FROM function_logs
WHERE time > now() - interval '1 hour';`,
    (rows) =>
      expect(rows).toEqual([{ total_executions: 3, successful: 1, failed: 1, timeouts: 1 }]),
  ],
  [
    `SELECT time, function_id, duration_ms, status
FROM function_logs
WHERE time > now() - interval '24 hours'
ORDER BY time DESC;`,
    (rows) => expect(rows.map(({ duration_ms }) => duration_ms)).toEqual([10, 30, 50]),
  ],
  [
    `SELECT ROUND(100.0 * SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END) / COUNT(*), 2) as error_rate
FROM function_logs
WHERE time > now() - interval '1 hour';`,
    (rows) => expect(rows).toEqual([{ error_rate: 33.33 }]),
  ],
  [
    `SELECT time, AVG(memory_used_mb) as avg_memory
FROM function_logs
WHERE time > now() - interval '7 days'
GROUP BY time(1h)
ORDER BY time DESC;`,
    (rows) => {
      expect(rows.at(-1)).toMatchObject({ avg_memory: 50 });
      for (const row of rows) expect(String(Object.values(row)[0])).toMatch(/:00:00$/);
    },
  ],
  [
    "SELECT * FROM function_logs WHERE message LIKE '%error%';",
    (rows) => expect(rows.length).toBe(1),
  ],
];

test.each(SEED)("the documented query runs as it stands: %s", async (sql, check) => {
  check(await store.rows(sql));
});

const REFUSED = [
  "SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM read_text('/etc/passwd')",
  "SELECT * FROM read_blob('/etc/*')",
  "SELECT * FROM glob('/etc/*')",
  "SELECT * FROM '/etc/passwd'",
  "SELECT * FROM 'x.parquet'",
  "COPY function_logs TO './weir-x.csv'",
  "COPY (SELECT 1) TO './weir-x.csv'",
  "ATTACH './weir-x.db'",
  "DETACH memory",
  "INSTALL httpfs",
  "LOAD httpfs",
  "SET memory_limit='100GB'",
  "RESET memory_limit",
  "PRAGMA database_list",
  "CALL pragma_version()",
  "EXPORT DATABASE './weir-x'",
  "USE weir_catalog",
  "CHECKPOINT",
  "SELECT 1; SELECT 2",
  "SELECT 1; DELETE FROM function_logs WHERE true",
  "SELECT 1; DROP TABLE function_logs",
  "DROP TABLE function_logs",
  "DELETE FROM function_logs",
  "DELETE FROM weir_catalog.ranges WHERE true",
  "DELETE FROM function_logs WHERE true; DROP TABLE function_logs",
  "DELETE FROM function_logs WHERE true RETURNING *",
  "DELETE FROM function_logs WHERE true) RETURNING (1",
  "DELETE FROM function_logs WHERE true) GROUP BY (1",
  "DELETE FROM function_logs WHERE true) UNION (SELECT 1",
  "DELETE FROM function_logs WHERE true) OR (SELECT count(*) FROM read_text('/etc/passwd')) > (0",
  "DELETE FROM function_logs USING function_logs f WHERE true",
  "DELETE FROM read_csv('/etc/passwd') WHERE true",
  "WITH gone AS (DELETE FROM function_logs WHERE true RETURNING 1) SELECT * FROM gone",
  "TRUNCATE function_logs",
  "ALTER TABLE function_logs DROP COLUMN status",
  "MERGE INTO function_logs USING function_logs f ON true WHEN MATCHED THEN DELETE",
  "CREATE TEMP TABLE x AS SELECT 1",
  "CREATE VIEW x AS SELECT 1",
  "CREATE SECRET x (TYPE s3)",
  "COMMENT ON TABLE function_logs IS 'x'",
  "IMPORT DATABASE './weir-x'",
  "VACUUM",
  "FORCE CHECKPOINT",
  "EXECUTE a",
  "CALL force_checkpoint()",
  "SET VARIABLE x = 1",
  "EXPLAIN (FORMAT json) DELETE FROM function_logs WHERE true",
  "EXPLAIN ANALYZE EXPLAIN SELECT * FROM read_text('/etc/passwd')",
  "SUMMARIZE FROM read_csv('/etc/passwd')",
  "DESCRIBE FROM read_csv('/etc/passwd')",
  "SELECT * FROM parquet_scan('/etc/passwd')",
  "SELECT * FROM parquet_metadata('x')",
  "SELECT * FROM sniff_csv('/etc/passwd')",
  "SELECT * FROM sqlite_scan('x', 'y')",
  "SELECT * FROM which_secret('x', 's3')",
  "SELECT * FROM test_all_types()",
  "PIVOT read_csv('/etc/passwd') ON a USING count(*)",
  "SELECT * FROM \"read_csv\"('/etc/passwd')",
  "SELECT * FROM main.read_csv('/etc/passwd')",
  "SELECT * FROM query_table('function_logs')",
  "SELECT nextval('x')",
  "UPDATE function_logs SET status = 'x'",
  "INSERT INTO function_logs SELECT * FROM function_logs",
  "CREATE TABLE x (a INTEGER)",
  "CREATE MACRO now() AS 1",
  "EXPLAIN ANALYZE DELETE FROM function_logs",
  "/* a */ EXPLAIN -- b\n DROP TABLE function_logs",
  "SELECT * FROM duckdb_settings()",
  "SELECT * FROM (SELECT * FROM duckdb_secrets()) x",
  "WITH a AS (SELECT * FROM pragma_database_list()) SELECT * FROM a",
  "SELECT (SELECT count(*) FROM read_csv('/etc/passwd'))",
  "SELECT current_setting('memory_limit')",
  "SELECT getenv('HOME')",
  "SELECT * FROM query('SELECT 1')",
  "PREPARE a AS SELECT 1",
  "BEGIN",
  "",
  ";",
  "-- nothing",
  "SELECT nothing_of_this_name FROM function_logs",
  "SELECT FROM WHERE",
];

test.each(REFUSED)("refused: %s", async (sql) => {
  const { status, body } = await store.query(sql);
  expect({ status, body }).toMatchObject({ status: 400 });
  expect(body).not.toContain("root:");
  expect(await store.rows("SELECT count(*) AS n FROM function_logs")).toEqual([{ n: 5 }]);
});

test("long texts that end badly are answered at once, and too long ones refused", async () => {
  const startedMs = performance.now();
  for (const sql of [
    `${"/**/".repeat(5_000)}x`,
    `DELETE ${"/**/".repeat(5_000)}x`,
    `DELETE FROM m WHERE ${" ".repeat(500_000)}x`,
    "/*".repeat(90),
    "/*".repeat(200_000),
    `SELECT ${"'".repeat(100_001)}`,
    `SELECT ${", ".repeat(100_000)} time(1h)`,
  ])
    expect((await store.query(sql)).status).toBe(400);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  expect(await store.query(`SELECT 1 ${" ".repeat(1 << 20)}`)).toEqual({
    status: 400,
    body: "the query is longer than 1048576 characters",
  });
});

test.each([
  "SHOW TABLES",
  "DESCRIBE function_logs",
  "EXPLAIN SELECT 1",
  "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
])("allowed: %s", async (sql) => {
  expect((await store.rows(sql)).length).toBeGreaterThan(0);
});

test("csv and jsonl, and the Accept header instead of a format", async () => {
  const sql =
    "SELECT function_id, duration_ms, message FROM function_logs ORDER BY time DESC LIMIT 3";
  const csv = `function_id,duration_ms,message
550e8400-e29b-41d4-a716-446655440000,10.0,fine
550e8400-e29b-41d4-a716-446655440000,30.0,"an error, ""quoted"""
other,50.0,
`;
  expect((await store.query(sql, { format: "csv" })).body).toBe(csv);
  expect((await store.query("SELECT 1 AS a, NULL AS b", { format: "jsonl" })).body).toBe(
    '{"a":1}\n',
  );
  const url = `${store.url}/api/v3/query_sql?db=weir&q=${encodeURIComponent(sql)}`;
  const answer = await fetch(url, { headers: { accept: "text/csv" } });
  expect(answer.headers.get("content-type")).toBe("text/csv");
  expect(await answer.text()).toBe(csv);
  expect((await fetch(url, { headers: { accept: "image/png" } })).status).toBe(400);
  expect((await store.query(sql, { format: "xml" })).status).toBe(400);
});

test("an empty result is an empty array; an unknown database and table are named as InfluxDB does", async () => {
  expect((await store.query("SELECT * FROM function_logs WHERE false")).body).toBe("[]");
  expect(await store.query("SELECT 1", { db: "nowhere" })).toEqual({
    status: 404,
    body: '{"error":"query error: database not found: nowhere"}',
  });
  for (const sql of [
    "SELECT * FROM nowhere",
    "SELECT * FROM iox.nowhere",
    "SELECT * FROM public.iox.nowhere",
    "DELETE FROM nowhere WHERE true",
  ])
    expect(await store.query(sql)).toEqual({
      status: 400,
      body: "query error: error while planning query: Error during planning: table 'public.iox.nowhere' not found",
    });
});

test("of a schema that is not there, the table is named with it", async () => {
  expect((await store.query("SELECT * FROM foo.bar")).body).toContain(
    "table 'public.foo.bar' not found",
  );
});

test.each([
  ["SELECT count(*) AS n FROM iox.function_logs", [{ n: 5 }]],
  ['SELECT count(*) AS n FROM "public" . "iox"."function_logs"', [{ n: 5 }]],
  ["SELECT max(iox.function_logs.duration_ms) AS n FROM iox.function_logs", [{ n: 70 }]],
  ["SELECT 'iox.a' AS n -- iox.b", [{ n: "iox.a" }]],
  // What Grafana's editor asks.
  [
    "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
    [{ table_schema: "iox" }],
  ],
  [
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' AND table_name LIKE 'req%' ORDER BY table_name",
    [{ table_name: "requests" }],
  ],
  [
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'DFF_cron_job' ORDER BY ordinal_position LIMIT 4",
    [
      { column_name: "time", data_type: "Timestamp(Nanosecond, None)" },
      { column_name: "bizMetric", data_type: "Dictionary(Int32, Utf8)" },
      { column_name: "site_name", data_type: "Dictionary(Int32, Utf8)" },
      { column_name: "trigger_count_per_day", data_type: "Float64" },
    ],
  ],
  ["select 1", [{ "Int64(1)": 1 }]],
])("in InfluxDB's catalog: %s", async (sql, rows) => {
  expect(await store.rows(sql)).toEqual(rows);
});

test("SHOW TABLES and SHOW COLUMNS answer as InfluxDB does", async () => {
  const tables = await store.rows("show tables;");
  expect(tables).toContainEqual({
    ...{ table_catalog: "public", table_schema: "iox" },
    ...{ table_name: "function_logs", table_type: "BASE TABLE" },
  });
  for (const name of ["function_logs", "iox.function_logs", '"public".iox."FUNCTION_LOGS"']) {
    const columns = await store.rows(`SHOW COLUMNS FROM ${name}`);
    expect(columns[0]).toEqual({
      ...{ table_catalog: "public", table_schema: "iox", table_name: "function_logs" },
      ...{ column_name: "time", data_type: "Timestamp(Nanosecond, None)", is_nullable: "NO" },
    });
    expect(columns.find((one) => one["column_name"] === "exit_code")).toMatchObject({
      data_type: "Int64",
      is_nullable: "YES",
    });
  }
  expect(await store.rows("SHOW COLUMNS IN nowhere")).toEqual([]);
});

test("a long answer is streamed whole", async () => {
  const { status, body } = await store.query(
    "SELECT range AS n, repeat('x', 100) AS s FROM range(200000)",
  );
  expect(status).toBe(200);
  const rows = JSON.parse(body) as { n: number }[];
  expect([rows.length, rows.at(-1)?.n]).toEqual([200_000, 199_999]);
});

test("many readers at once all get their answer", async () => {
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      store.rows(`SELECT ${i} AS i, count(*) AS n FROM function_logs`),
    ),
  );
  expect(answers.map(([row]) => row)).toEqual(Array.from({ length: 30 }, (_, i) => ({ i, n: 5 })));
});

test("readers that go away in the middle leave their place to others", async () => {
  for (let i = 0; i < 4; i++) {
    const gone = new AbortController();
    const q = encodeURIComponent("SELECT repeat('x', 1000) AS s FROM range(1000000)");
    const response = await fetch(`${store.url}/api/v3/query_sql?db=weir&q=${q}`, {
      signal: gone.signal,
    });
    await response.body?.getReader().read();
    gone.abort();
  }
  expect(await store.rows("SELECT 1 AS a")).toEqual([{ a: 1 }]);
});

test.each([
  ["count(*)", "count(*)"],
  ["AVG(duration_ms)", "avg(function_logs.duration_ms)"],
  ["count(DISTINCT function_id)", "count(DISTINCT function_logs.function_id)"],
  ["count(1)", "count(Int64(1))"],
  ["round(avg(duration_ms))", "round(avg(function_logs.duration_ms))"],
  ["max(time)", "max(function_logs.time)"],
  ["min(duration_ms) AS least", "least"],
])("the column of %s is called %s", async (item, name) => {
  const [row = {}] = await store.rows(`SELECT ${item} FROM function_logs`);
  expect(Object.keys(row)).toEqual([name]);
});

test("a column of a table with another name in the query takes that name", async () => {
  const { body } = await store.query(
    "SELECT f.status, max(f.duration_ms), sum(duration_ms) FROM function_logs f GROUP BY 1 LIMIT 1",
    { format: "csv" },
  );
  expect(body.split("\n")[0]).toBe("status,max(f.duration_ms),sum(f.duration_ms)");
});

test("placeholders take their values from params, 64-bit integers exact", async () => {
  const ask = (q: string, params: string) =>
    fetch(`${store.url}/api/v3/query_sql`, {
      method: "POST",
      body: `{"db":"weir","q":${JSON.stringify(q)},"params":${params}}`,
    });
  const rows = async (q: string, params: string) => (await ask(q, params)).text();
  const where = "SELECT count(*) AS n FROM function_logs WHERE status = $status AND time > $from";
  expect(await rows(where, '{"status":"error","from":"2020-01-01T00:00:00Z","unused":1}')).toBe(
    '[{"n":2}]',
  );
  expect(await rows("SELECT $1 AS a, $2 AS b", '{"1":9007199254740993,"2":1.5}')).toBe(
    '[{"a":9007199254740993,"b":1.5}]',
  );
  expect(
    await rows("SELECT $a AS a, $b AS b FROM function_logs LIMIT $n", '{"a":true,"b":null,"n":1}'),
  ).toBe('[{"a":true}]');
  // A value is a value, whatever it looks like.
  const evil = JSON.stringify({ status: "x' OR true --", from: "2020-01-01T00:00:00Z" });
  expect(await rows(where, evil)).toBe('[{"n":0}]');
  const get = new URLSearchParams({ db: "weir", q: "SELECT $a AS a", params: '{"a":"x"}' });
  expect(await (await fetch(`${store.url}/api/v3/query_sql?${get}`)).text()).toBe('[{"a":"x"}]');
  for (const [params, words] of [
    ["{}", "no value for the placeholder $a"],
    ['{"a":[1]}', 'the value of "a" must be null'],
    ['{"a":{}}', 'the value of "a" must be null'],
    ["[1]", "params must be an object"],
    ['"nonsense"', "params must be a JSON object"],
  ] as const) {
    const answer = await ask("SELECT $a", params);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(words)]);
  }
});

test("pretty is a framed table; one that is too long is refused, and what is not written is named", async () => {
  const sql =
    "SELECT duration_ms, message, function_id = 'other' AS o FROM function_logs ORDER BY time DESC LIMIT 3";
  const { body } = await store.query(sql, { format: "pretty" });
  expect(body).toBe(`+-------------+--------------------+-------+
| duration_ms | message            | o     |
+-------------+--------------------+-------+
| 10.0        | fine               | false |
| 30.0        | an error, "quoted" | false |
| 50.0        |                    | true  |
+-------------+--------------------+-------+
`);
  const long = await store.query("SELECT repeat('x', 1000) AS s FROM range(20000)", {
    format: "pretty",
  });
  expect(long).toEqual({ status: 400, body: expect.stringContaining("add a LIMIT") });
  expect(await store.query("SELECT 1", { format: "parquet" })).toEqual({
    status: 400,
    body: 'unknown format "parquet": the embedded store does not write it: expected json, jsonl, csv, pretty',
  });
});

test("a query that wants all the memory costs itself: writes and other queries go on", async () => {
  const hungry = store.query("SELECT list(range) FROM range(1000000000)");
  let isDone = false;
  void hungry.then(() => {
    isDone = true;
  });
  for (let i = 0; !isDone; i++) {
    expect((await store.write(`beside a=${i} ${i}`)).status).toBe(204);
    expect(await store.rows("SELECT count(*) AS n FROM function_logs")).toEqual([{ n: 5 }]);
  }
  expect(await hungry).toEqual({
    status: 400,
    body: expect.stringContaining("needs more memory than the store may use"),
  });
});

test("health and ping", async () => {
  const health = await fetch(`${store.url}/health`);
  expect([health.status, await health.text()]).toEqual([200, "OK"]);
  const ping = await fetch(`${store.url}/ping`);
  expect(ping.headers.get("x-influxdb-version")).toMatch(/^\d/);
  expect(await ping.json()).toHaveProperty("process_id");
});
