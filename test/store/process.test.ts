import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { ownMs } from "../support/core-waits.ts";
import { startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const directories: { remove: () => void }[] = [];
const stores: TestStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) if (store.child.exitCode === null) await store.kill();
  for (const directory of directories.splice(0)) directory.remove();
});
function fresh(): string {
  const directory = temporaryDirectory();
  directories.push(directory);
  return directory.path;
}
async function start(...args: Parameters<typeof startStore>): Promise<TestStore> {
  const store = await startStore(...args);
  stores.push(store);
  return store;
}

test("the second process on a directory ends with one clear line", async () => {
  const path = fresh();
  const store = await start(path);
  await expect(startStore(path)).rejects.toThrow(
    new RegExp(
      `^exit 1: weir store: the store \\S+ is in use by another process \\(PID ${store.child.pid}\\): stop it, or choose another --directory\\n$`,
    ),
  );
});

test("the store of a service that was killed may still be ending: its successor waits for it", async () => {
  const path = fresh();
  const before = await start(path);
  await before.write("m a=1i 1");
  const waiting = start(path, ["--exit-with-parent"]);
  // Long enough to meet the lock; the successor waits much longer.
  await sleep(1_000);
  before.child.kill("SIGTERM");
  expect(await (await waiting).rows("SELECT a FROM m")).toEqual([{ a: 1 }]);
});

test("an address in use is named", async () => {
  const store = await start(fresh());
  await expect(startStore(fresh(), ["--endpoint", store.url.slice(7)])).rejects.toThrow(
    /exit 1: weir store: 127\.0\.0\.1:\d+ is in use/,
  );
});

test("wrong arguments end with 2 and what is expected", async () => {
  await expect(startStore(fresh(), ["--memory-limit", "much"])).rejects.toThrow(/exit 2: .*512MiB/);
  await expect(startStore(fresh(), ["--query-timeout", "10"])).rejects.toThrow(/exit 2: .*10s/);
  await expect(startStore(fresh(), ["--nonsense"])).rejects.toThrow(/exit 2: /);
});

test("a token is asked for when there is one", async () => {
  const store = await start(fresh(), [], { WEIR_STORE_TOKEN: "secret" });
  const write = (headers: Record<string, string>) => store.write("m a=1 1", { headers });
  expect(await write({})).toEqual({
    status: 401,
    body: '{"error":"the request was not authenticated"}',
  });
  expect((await write({ authorization: "Bearer wrong" })).status).toBe(401);
  expect((await write({ authorization: "Bearer secret" })).status).toBe(204);
  expect((await write({ authorization: "Token secret" })).status).toBe(204);
  const basic = Buffer.from("any:secret").toString("base64");
  expect((await write({ authorization: `Basic ${basic}` })).status).toBe(204);
  expect((await fetch(`${store.url}/health`)).status).toBe(200);
});

test("a slow query is stopped at its deadline, and writes go on meanwhile", async () => {
  const store = await start(fresh(), ["--query-timeout", "3s"]);
  await store.write("m a=1 1");
  const slow = store.query(
    "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7",
  );
  expect((await store.write("m a=2 2")).status).toBe(204);
  expect(await slow).toMatchObject({
    status: 400,
    body: expect.stringContaining("stopped after 3000 ms"),
  });
  expect(await store.rows("SELECT count(*) AS n FROM m")).toEqual([{ n: 2 }]);
});

test("a query whose reader has gone is stopped and leaves its place", async () => {
  const store = await start(fresh(), ["--query-timeout", "60s"]);
  await store.write("m a=1 1");
  const q = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7";
  const gone = new AbortController();
  const asked = Array.from({ length: 4 }, () =>
    fetch(`${store.url}/api/v3/query_sql`, {
      method: "POST",
      body: JSON.stringify({ db: "weir", q }),
      signal: gone.signal,
    }).catch(() => "gone"),
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  gone.abort();
  expect(await Promise.all(asked)).toEqual(Array(4).fill("gone"));
  const answered = async () =>
    expect(await store.rows("SELECT count(*) AS n FROM m")).toEqual([{ n: 1 }]);
  expect(await ownMs(answered, store.child.pid ?? 0)).toBeLessThan(5_000);
});

test("a query that ignores its interrupt ends the process with 70, at once", async () => {
  const store = await start(fresh(), ["--query-timeout", "200ms", "--memory-limit", "8GB"]);
  await store.write("m a=1 1");
  const ended = new Promise((resolve) => store.child.once("close", (code) => resolve(code)));
  const cut = async () => {
    const query = store.query("SELECT length(repeat('x', 3000000000)) AS n").catch(() => "cut off");
    expect(await ended).toBe(70);
    expect(await query).toBe("cut off");
  };
  expect(await ownMs(cut, store.child.pid ?? 0)).toBeLessThan(8_000);
});
