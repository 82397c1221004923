import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const directory = temporaryDirectory();
let store: TestStore;
beforeAll(async () => {
  store = await startStore(directory.path, ["--max-request-bytes", "1000000"]);
});
afterAll(async () => {
  await store.kill();
  directory.remove();
});

const T = 1_705_314_600_123_456_789n;
const detail = (body: string) => JSON.parse(body) as { error: string; data: unknown };

test("every kind of value comes back as it was sent", async () => {
  const line = `kinds,t=a\\ b\\,c f=1.5,i=-9223372036854775808i,u=18446744073709551615u,b=t,s="q\\"\\\\ ü\nnext" ${T}`;
  expect(await store.write(line)).toEqual({ status: 204, body: "" });
  const { body } = await store.query("SELECT * FROM kinds");
  expect(body).toBe(
    '[{"b":true,"f":1.5,"i":-9223372036854775808,"s":"q\\"\\\\ ü\\nnext","t":"a b,c","time":"2024-01-15T10:30:00.123456789","u":18446744073709551615}]',
  );
});

test("a type conflict costs its line, in InfluxDB's words", async () => {
  await store.write(`conflict x=1 1`);
  const { status, body } = await store.write(
    `conflict x=2 2\n# a comment\n\nconflict x=3i 3\nconflict x="s" 4\nconflict x=5 5`,
  );
  expect(status).toBe(400);
  expect(detail(body)).toEqual({
    error: "partial write of line protocol occurred",
    data: [
      {
        error_message:
          "invalid column type for column 'x', expected iox::column_type::field::float, got iox::column_type::field::integer",
        line_number: 2,
        original_line: "conflict x=3i 3",
      },
      {
        error_message:
          "invalid column type for column 'x', expected iox::column_type::field::float, got iox::column_type::field::string",
        line_number: 3,
        original_line: 'conflict x="s" 4',
      },
    ],
  });
  expect(await store.rows("SELECT x FROM conflict ORDER BY time")).toEqual([
    { x: 1 },
    { x: 2 },
    { x: 5 },
  ]);
});

test("tag against field, the name time and a field given twice are refused", async () => {
  const { status, body } = await store.write(
    "odd,a=1 a=2 1\nodd time=1 1\nodd,time=x a=1 1\nodd b=1,b=2 1\nodd fine=1 1",
  );
  expect(status).toBe(400);
  const messages = (detail(body).data as { error_message: string }[]).map((e) => e.error_message);
  expect(messages).toEqual([
    "invalid column type for column 'a', expected iox::column_type::tag, got iox::column_type::field::float",
    "invalid column type for column 'time', expected iox::column_type::timestamp, got iox::column_type::field::float",
    "invalid column type for column 'time', expected iox::column_type::timestamp, got iox::column_type::tag",
    "invalid line protocol - multiple instances of 'b' field found",
  ]);
  expect(await store.rows("SELECT * FROM odd")).toEqual([
    { fine: 1, time: "1970-01-01T00:00:00.000000001" },
  ]);
});

test("accept_partial=false stores nothing when one line is bad", async () => {
  const params = "precision=ns&accept_partial=false";
  const { status, body } = await store.write("whole a=1 1\nwhole a= 2", { params });
  expect(status).toBe(400);
  expect(detail(body)).toMatchObject({
    error: "line protocol parsing error",
    data: { line_number: 2, original_line: "whole a= 2" },
  });
  expect((await store.query("SELECT * FROM whole")).status).toBe(400);
  expect((await store.write("whole a=1 1", { params })).status).toBe(204);
});

test("new columns and tags are added; earlier rows have no value there", async () => {
  await store.write("grow a=1 1");
  await store.write("grow,t=x a=2,b=3i 2");
  expect(await store.rows("SELECT * FROM grow ORDER BY time")).toEqual([
    { a: 1, time: "1970-01-01T00:00:00.000000001" },
    { a: 2, b: 3, t: "x", time: "1970-01-01T00:00:00.000000002" },
  ]);
});

test("equal measurement, tags and time are one row; the last write wins per field", async () => {
  await store.write("same,t=x a=1,b=1 1\nsame,t=x a=2 1\nsame a=9 1");
  await store.write("same,t=x c=3 1\nsame,t=y a=4 1");
  await store.write("same,t=x b=5 1");
  expect(await store.rows("SELECT t, a, b, c FROM same ORDER BY t")).toEqual([
    { t: "x", a: 2, b: 5, c: 3 },
    { t: "y", a: 4 },
    { a: 9 },
  ]);
  // The order in which tags are written does not matter, and their texts cannot run into one another.
  await store.write("order,a=1,b=2 x=1 1\norder,b=2,a=1 x=2 1\norder,a=12 x=3 1\norder,b=12 x=4 1");
  expect(await store.rows("SELECT count(*) AS n FROM order_".replace("order_", '"order"'))).toEqual(
    [{ n: 3 }],
  );
});

test("rows of a wide table may have any of its columns, in any order of requests", async () => {
  const fields = Array.from({ length: 40 }, (_, i) => `f${i}`);
  const tags = ["t0", "t1", "t2"];
  let random = 7;
  const next = (n: number) => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return (random >>> 8) % n;
  };
  /** By tags and time: the fields as the last write left them. */
  const expected = new Map<string, Record<string, unknown>>();
  for (let request = 0; request < 60; request++) {
    const lines = Array.from({ length: 1 + next(4) }, () => {
      const own = tags.filter(() => next(2) === 0).map((tag) => [tag, `v${next(2)}`] as const);
      const time = next(6);
      const values = fields.filter(() => next(12) === 0).map((name) => [name, next(100)] as const);
      if (values.length === 0) values.push(["f0", next(100)]);
      const row = { ...Object.fromEntries(own), time: `1970-01-01T00:00:0${time}` };
      const key = JSON.stringify([own, time]);
      expected.set(key, { ...row, ...expected.get(key), ...Object.fromEntries(values) });
      const head = own.map(([name, value]) => `,${name}=${value}`).join("");
      return `wide_rows${head} ${values.map(([name, value]) => `${name}=${value}`).join(",")} ${time}`;
    });
    const answer = await store.write(lines.join("\n"), { params: "precision=s" });
    expect(answer.status).toBe(204);
  }
  const sorted = (rows: Iterable<Record<string, unknown>>) =>
    [...rows]
      .map((row) => JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))
      .sort();
  expect(sorted(await store.rows("SELECT * FROM wide_rows"))).toEqual(sorted(expected.values()));
});

test("names that differ only in case are kept apart", async () => {
  await store.write("Case,Host=a,host=b v=1,V=2 1\ncase v=7 1");
  expect(await store.rows('SELECT * FROM "Case"')).toEqual([
    { Host: "a", V: 2, host: "b", time: "1970-01-01T00:00:00.000000001", v: 1 },
  ]);
  expect(await store.rows('SELECT v FROM "case~2"')).toEqual([{ v: 7 }]);
});

test.each([
  ["1", "1970-01-01T00:00:01"],
  ["4999999999", "2128-06-11T08:53:19"],
  ["5000000000", "1970-02-27T20:53:20"],
  ["5000000000000", "1970-02-27T20:53:20"],
  ["5000000000000000", "1970-02-27T20:53:20"],
])("auto precision reads %s as %s", async (time, text) => {
  await store.write(`auto,k=${time} a=1 ${time}`, { params: "precision=auto" });
  expect(await store.rows(`SELECT time FROM auto WHERE k = '${time}'`)).toEqual([{ time: text }]);
});

test("times without a place in 64 bits of nanoseconds are refused, a missing time is now", async () => {
  const params = "precision=second";
  expect((await store.write("far a=1 9223372036854775807", { params })).status).toBe(400);
  expect((await store.write("far a=1", { params })).status).toBe(204);
  const [{ time = "" } = {}] = (await store.rows("SELECT time FROM far")) as { time: string }[];
  expect(Math.abs(Date.now() - Date.parse(`${time}Z`))).toBeLessThan(60_000);
  expect(time).not.toContain(".");
});

test("gzip is read, other encodings are refused, the limit holds for both sizes", async () => {
  const headers = { "content-encoding": "gzip" };
  const zip = (text: string) => new Uint8Array(gzipSync(text));
  expect((await store.write("", { headers, body: zip("zip a=1 1") })).status).toBe(204);
  expect((await store.write("", { headers, body: zip("x".repeat(2_000_000)) })).status).toBe(413);
  expect((await store.write("x", { headers })).status).toBe(400);
  expect(await store.write("x", { headers: { "content-encoding": "zstd" } })).toEqual({
    status: 400,
    body: "unacceptable content-encoding: zstd",
  });
  expect(await store.write(`big a="${"x".repeat(1_000_001)}"`)).toEqual({
    status: 413,
    body: "max request size (1000000 bytes) exceeded",
  });
});

test.each(["", "_a", "a%2Fb%2Fc", "a%20b", `${"a".repeat(512)}`, "a%22b"])(
  "the database name %j is refused",
  async (db) => {
    const { status, body } = await store.write("m a=1 1", { db });
    expect(status).toBe(400);
    expect(detail(body).error).toContain("db name");
  },
);

test("odd names cannot leave their quotes", async () => {
  const name = `x"';DROP\\ SCHEMA\\ weir_catalog;--`;
  expect((await store.write(`${name},${name}=1 ${name}2=1 1`)).status).toBe(204);
  expect((await store.write(`${name},${name}=1 ${name}2=2 1`)).status).toBe(204);
  const table = name.replaceAll("\\", "").replaceAll('"', '""');
  expect(await store.rows(`SELECT "${table}2" AS v FROM "${table}"`)).toEqual([{ v: 2 }]);
});

test("the limit of columns is answered with 422 and costs only the line that breaks it", async () => {
  const fields = (from: number, n: number) =>
    Array.from({ length: n }, (_, i) => `f${from + i}=1`).join(",");
  expect((await store.write(`wide ${fields(0, 499)} 1`)).status).toBe(204);
  const { status, body } = await store.write(`wide ${fields(499, 1)} 2\nwide f0=2 3`);
  expect(status).toBe(422);
  expect(body).toContain("exceed number of columns per table limit of 500 columns");
  expect(await store.rows("SELECT count(*) AS n FROM wide")).toEqual([{ n: 2 }]);
});

test("a range that is stored changes nothing, whole or as a part; a range with refused lines is not kept", async () => {
  const range = (text: string) => ({ headers: { "x-weir-range": `j/influxdb%2Flogs/${text}` } });
  await store.write("ranged a=1 1", range("1.0-1.9"));
  await store.write("ranged a=2 2", range("1.10-2.4"));
  await store.write("ranged a=3 3", range("1.5-2.2"));
  await store.write("ranged a=4 4", range("2.3-2.5"));
  const bad = "ranged a=5 5\nranged a=6i 6";
  expect((await store.write(bad, range("3.0-3.1"))).status).toBe(400);
  expect((await store.write(bad, range("3.0-3.1"))).status).toBe(400);
  expect(await store.rows("SELECT a FROM ranged ORDER BY a")).toEqual(
    [1, 2, 4, 5].map((a) => ({ a })),
  );
  expect((await store.write("ranged a=1 1", range("3.1-3.0"))).status).toBe(400);
  expect((await store.write("ranged a=1 1", range("x"))).status).toBe(400);
});

test("missing parameters are named", async () => {
  const post = (path: string) => fetch(store.url + path, { method: "POST", body: "m a=1" });
  expect(await (await post("/api/v3/write_lp")).text()).toBe("missing query parameter 'db'");
  expect((await post("/api/v3/write_lp?db=a&precision=fortnight")).status).toBe(400);
  expect((await post("/api/v3/write_lp?db=a&accept_partial=maybe")).status).toBe(400);
  const unknown = await post("/nowhere");
  expect([unknown.status, await unknown.text()]).toEqual([404, "Not found"]);
});

test("bytes of any kind are stored or refused, and the store goes on", async () => {
  const seed = Buffer.from('fuzz,t=a\\ b f=1.5,i=2i,u=3u,b=t,s="x\\"y" 1\n# c\nfuzz f=2 2\n');
  let random = 42;
  const next = (n: number) => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return (random >>> 8) % n;
  };
  const { WEIR_FUZZ = "300" } = process.env;
  for (let i = 0; i < Number(WEIR_FUZZ); i++) {
    const body = new Uint8Array(seed);
    for (let k = next(6); k >= 0; k--) body[next(body.length)] = next(256);
    const { status } = await store.write("", {
      body,
      headers: next(5) === 0 ? { "content-encoding": "gzip" } : {},
    });
    expect([204, 400]).toContain(status);
  }
  expect((await store.write("fuzz_after a=1 1")).status).toBe(204);
  expect(await store.rows("SELECT count(*) AS n FROM fuzz_after")).toEqual([{ n: 1 }]);
}, 600_000);
