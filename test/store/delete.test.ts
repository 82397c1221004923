import { afterAll, beforeAll, expect, test } from "vitest";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const DAY = 86_400_000_000_000n;
const now = BigInt(Date.now()) * 1_000_000n;
const AS_PRINTED = "DELETE FROM function_logs WHERE time < now() - interval 30 days;";

/** Each test has a database of its own, most of them in one store. */
let shared: TestStore;
const cleanups: (() => Promise<void> | void)[] = [];
async function start(env: Record<string, string> = {}, args: string[] = []): Promise<TestStore> {
  const { path, remove } = temporaryDirectory();
  const store = await startStore(path, args, env);
  cleanups.push(() => (store.child.exitCode === null ? store.kill() : undefined), remove);
  return store;
}
beforeAll(async () => {
  shared = await start();
});
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

async function fill(
  store: TestStore,
  db: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const lines = [0n, 10n, 29n, 31n, 100n].map(
    (days) => `function_logs,function_id=f duration_ms=${days} ${now - days * DAY}`,
  );
  expect((await store.write(lines.join("\n"), { db, headers })).status).toBe(204);
}
const ask = (store: TestStore, db: string, q: string, init: RequestInit = {}) =>
  fetch(`${store.url}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({ db, q }),
    ...init,
  });
async function durations(store: TestStore, db: string): Promise<number[]> {
  const { body } = await store.query("SELECT duration_ms FROM function_logs ORDER BY 1", { db });
  return (JSON.parse(body) as { duration_ms: number }[]).map((row) => row.duration_ms);
}

test("rows that are older than the printed interval go, and the answer counts them", async () => {
  const { path, remove } = temporaryDirectory();
  cleanups.push(remove);
  const store = await startStore(path);
  await fill(store, "weir");
  const answer = await ask(store, "weir", AS_PRINTED);
  expect([answer.status, await answer.text()]).toEqual([200, '[{"count":2}]']);
  expect(await durations(store, "weir")).toEqual([0, 10, 29]);
  // What is gone stays gone, and what is written again is there again.
  await store.kill();
  const again = await startStore(path);
  expect(await durations(again, "weir")).toEqual([0, 10, 29]);
  await fill(again, "weir");
  expect(await durations(again, "weir")).toEqual([0, 10, 29, 31, 100]);
  await again.kill();
});

test("a condition may use placeholders, comments, subqueries and text that looks like SQL", async () => {
  await fill(shared, "conditions");
  const body = JSON.stringify({
    db: "conditions",
    q: `-- old ones
      DELETE /* really */ FROM "function_logs" WHERE function_id <> '; DROP TABLE x --' AND duration_ms >= $least
      AND duration_ms < (SELECT max(duration_ms) FROM function_logs) -- not the last`,
    params: { least: 29 },
  });
  expect(await (await ask(shared, "", "", { body })).text()).toBe('[{"count":2}]');
  expect(await durations(shared, "conditions")).toEqual([0, 10, 100]);
});

test("writes that come at the same time are neither lost nor refused", async () => {
  await fill(shared, "busy");
  const writes = Array.from({ length: 20 }, (_, i) =>
    shared.write(`function_logs,function_id=g duration_ms=1 ${now + BigInt(i)}`, { db: "busy" }),
  );
  const gone = ask(shared, "busy", AS_PRINTED);
  for (const { status } of await Promise.all(writes)) expect(status).toBe(204);
  expect((await gone).status).toBe(200);
  expect((await durations(shared, "busy")).length).toBe(23);
});

test("without a token, a web page and a GET are refused", async () => {
  await fill(shared, "pages");
  const headers = { origin: "http://127.0.0.1:8181" };
  const page = await ask(shared, "pages", AS_PRINTED, { headers });
  expect(page.status).toBe(403);
  expect(await page.json()).toEqual({
    error: expect.stringContaining("needs a POST with the store's token"),
  });
  const proxied = await ask(shared, "pages", AS_PRINTED, {
    headers: { "x-forwarded-for": "10.0.0.1" },
  });
  expect(proxied.status, "through a proxy on this machine anybody may come").toBe(403);
  const get = new URLSearchParams({ db: "pages", q: AS_PRINTED });
  expect((await fetch(`${shared.url}/api/v3/query_sql?${get}`)).status).toBe(403);
  expect((await durations(shared, "pages")).length).toBe(5);
});

test("without a token, on an address that others reach, nobody deletes", async () => {
  const store = await start({}, ["--endpoint", "0.0.0.0:0"]);
  const body = JSON.stringify({ db: "weir", q: AS_PRINTED });
  const url = store.url.replace("0.0.0.0", "127.0.0.1");
  expect((await fetch(`${url}/api/v3/query_sql`, { method: "POST", body })).status).toBe(403);
});

test("with a token, it alone decides", async () => {
  const store = await start({ WEIR_STORE_TOKEN: "secret" });
  const headers = { authorization: "Bearer secret" };
  await fill(store, "weir", headers);
  const status = async (init: RequestInit) => (await ask(store, "weir", AS_PRINTED, init)).status;
  expect(await status({})).toBe(401);
  expect(await status({ headers: { authorization: "Bearer other" } })).toBe(401);
  expect(await status({ headers: { ...headers, origin: "http://grafana" } })).toBe(200);
});

test("a DELETE that takes too long is stopped, and all rows are there", async () => {
  const store = await start({}, ["--query-timeout", "300ms"]);
  await fill(store, "weir");
  const endless =
    "DELETE FROM function_logs WHERE duration_ms < (SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7)";
  const answer = await ask(store, "weir", endless);
  expect([answer.status, await answer.text()]).toEqual([
    400,
    expect.stringContaining("stopped after 300 ms"),
  ]);
  expect((await durations(store, "weir")).length).toBe(5);
  expect((await store.write("function_logs duration_ms=1 1")).status).toBe(204);
});
