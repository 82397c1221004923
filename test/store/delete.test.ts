import { afterEach, beforeEach, expect, test } from "vitest";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const DAY = 86_400_000_000_000n;
const now = BigInt(Date.now()) * 1_000_000n;
const AS_PRINTED = "DELETE FROM function_logs WHERE time < now() - interval 30 days;";

let directory: { path: string; remove: () => void };
let store: TestStore;
async function start(env: Record<string, string> = {}, args: string[] = []): Promise<void> {
  directory = temporaryDirectory();
  store = await startStore(directory.path, args, env);
}
async function fill(headers: Record<string, string> = {}): Promise<void> {
  const lines = [0n, 10n, 29n, 31n, 100n].map(
    (days) => `function_logs,function_id=f duration_ms=${days} ${now - days * DAY}`,
  );
  expect((await store.write(lines.join("\n"), { headers })).status).toBe(204);
}
beforeEach(() => start());
afterEach(async () => {
  await store.kill();
  directory.remove();
});

const ask = (sql: string, init: RequestInit = {}) =>
  fetch(`${store.url}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({ db: "weir", q: sql }),
    ...init,
  });
const count = async () => (await store.rows("SELECT count(*) AS n FROM function_logs"))[0]?.["n"];

test("rows that are older than the printed interval go, and the answer counts them", async () => {
  await fill();
  const answer = await ask(AS_PRINTED);
  expect([answer.status, await answer.text()]).toEqual([200, '[{"count":2}]']);
  expect(await store.rows("SELECT duration_ms FROM function_logs ORDER BY 1")).toEqual(
    [0, 10, 29].map((duration_ms) => ({ duration_ms })),
  );
  // What is gone stays gone, and what is written again is there again.
  await store.kill();
  store = await startStore(directory.path);
  expect(await count()).toBe(3);
  await fill();
  expect(await count()).toBe(5);
});

test("a condition may use placeholders, comments, subqueries and text that looks like SQL", async () => {
  await fill();
  const body = JSON.stringify({
    db: "weir",
    q: `-- old ones
      DELETE /* really */ FROM "function_logs" WHERE function_id <> '; DROP TABLE x --' AND duration_ms >= $least
      AND duration_ms < (SELECT max(duration_ms) FROM function_logs) -- not the last`,
    params: { least: 29 },
  });
  expect(await (await ask("", { body })).text()).toBe('[{"count":2}]');
  expect(await count()).toBe(3);
});

test("writes that come at the same time are neither lost nor refused", async () => {
  await fill();
  const writes = Array.from({ length: 20 }, (_, i) =>
    store.write(`function_logs,function_id=g duration_ms=1 ${now + BigInt(i)}`),
  );
  const gone = ask(AS_PRINTED);
  for (const { status } of await Promise.all(writes)) expect(status).toBe(204);
  expect((await gone).status).toBe(200);
  expect(await count()).toBe(23);
});

test("without a token, a web page and a GET are refused", async () => {
  await fill();
  const page = await ask(AS_PRINTED, { headers: { origin: "http://127.0.0.1:8181" } });
  expect(page.status).toBe(403);
  expect(await page.json()).toEqual({
    error: expect.stringContaining("needs a POST with the store's token"),
  });
  const get = new URLSearchParams({ db: "weir", q: AS_PRINTED });
  expect((await fetch(`${store.url}/api/v3/query_sql?${get}`)).status).toBe(403);
  expect(await count()).toBe(5);
});

test("without a token, on an address that others reach, nobody deletes", async () => {
  await store.kill();
  directory.remove();
  await start({}, ["--endpoint", "0.0.0.0:0"]);
  const url = store.url.replace("0.0.0.0", "127.0.0.1");
  const body = JSON.stringify({ db: "weir", q: AS_PRINTED });
  expect((await fetch(`${url}/api/v3/query_sql`, { method: "POST", body })).status).toBe(403);
});

test("with a token, it alone decides", async () => {
  await store.kill();
  directory.remove();
  await start({ WEIR_STORE_TOKEN: "secret" });
  const headers = { authorization: "Bearer secret" };
  await fill(headers);
  expect((await ask(AS_PRINTED)).status).toBe(401);
  expect((await ask(AS_PRINTED, { headers: { authorization: "Bearer other" } })).status).toBe(401);
  const answer = await ask(AS_PRINTED, { headers: { ...headers, origin: "http://grafana" } });
  expect([answer.status, await answer.text()]).toEqual([200, '[{"count":2}]']);
});

test("a DELETE that takes too long is stopped, and all rows are there", async () => {
  await store.kill();
  directory.remove();
  await start({}, ["--query-timeout", "300ms"]);
  await fill();
  const endless =
    "DELETE FROM function_logs WHERE duration_ms < (SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7)";
  const answer = await ask(endless);
  expect([answer.status, await answer.text()]).toEqual([
    400,
    expect.stringContaining("stopped after 300 ms"),
  ]);
  expect(await count()).toBe(5);
  expect((await store.write("function_logs duration_ms=1 1")).status).toBe(204);
});
