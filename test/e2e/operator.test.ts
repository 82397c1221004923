import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { DURABLE, isEmpty, RETRY, taken, weir } from "./operating.ts";
import { Stand } from "./stand.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** The service with one exporter per sink; what is delivered stays for an hour. */
function yamlWith(sinks: Readonly<Record<string, HttpSink>>) {
  return (it: Stand) => `${it.frame.replace('queue"', 'queue", retain: 1h')}
exporters:
${Object.entries(sinks)
  .map(
    ([name, { url }]) =>
      `  influxdb/${name}: { endpoint: "${url}", database: d, tables: [function_logs], ${DURABLE}, ${RETRY} }`,
  )
  .join("\n")}
${it.serviceWith(`logs: { receivers: [otlp], exporters: [${Object.keys(sinks).map((name) => `influxdb/${name}`)}] }`)}`;
}

test("where says when an item was accepted, where it is, and what each route did with it", async () => {
  await using good = await httpSink({ status: 204 });
  await using picky = await httpSink();
  await using dead = await httpSink({ status: 503 });
  picky.answer = ({ body }) =>
    body.includes("bad-") ? { status: 400, body: '{"error":"bad type"}' } : { status: 204 };
  await using stand = await Stand.open(yamlWith({ good, picky, dead }));
  await stand.service.start();
  await stand.post(["e-1", "bad-2", "e-3"]);
  await stand.until((laws) => laws.some((law) => law.dead_lettered === 1 && law.delivered === 2));
  await stand.until((laws) => laws.some((law) => law.delivered === 3));
  const bad = await weir(stand, "where", "bad-2");
  expect(bad.status).toBe(0);
  const place = String.raw`number 1 of frame 1, \S+/queue/\S+ at \d+`;
  expect(bad.out).toMatch(
    new RegExp(
      [
        String.raw`^20\S+Z accepted: 1 item of logs \(${place}\)`,
        "  influxdb/good/logs: delivered",
        String.raw`  influxdb/picky/logs: dead letter [0-9a-f]{16} \(rejected\)`,
        "  influxdb/dead/logs: (queued|being sent)",
        String.raw`20\S+Z accepted: item 1 of frame 1`,
        String.raw`  influxdb/picky/logs: dead letter [0-9a-f]{16} since 20\S+Z: rejected, ".*bad type.*"`,
        "$",
      ].join("\n"),
    ),
  );
  const trace = await weir(stand, "where", TRACE.toUpperCase());
  expect(trace.out).toContain("3 items of logs (number 0, 1, 2 of frame 1,");
  const nothing = await weir(stand, "where", "e-99");
  expect(nothing).toMatchObject({
    status: 1,
    err: expect.stringMatching(/^weir where: e-99: not retained/),
  });
  await stand.service.kill("SIGKILL");
  const offline = await weir(stand, "where", "e-1");
  expect(offline.out).toMatch(/influxdb\/dead\/logs: queued/);
});

test("journal list shows routes; journal drop empties the queue of an exporter that is gone, and only that", async () => {
  await using good = await httpSink({ status: 204 });
  await using dead = await httpSink({ status: 503 });
  await using stand = await Stand.open(yamlWith({ good, dead }));
  await stand.service.start();
  await stand.post(["e-1", "e-2"]);
  await stand.until((laws) => laws.some((law) => law.delivered === 2));
  const refused = await weir(stand, "journal", "drop", "influxdb/dead/logs");
  expect(refused).toMatchObject({
    status: 1,
    err: expect.stringMatching(/reads route influxdb\/dead\/logs/),
  });
  await stand.service.kill("SIGTERM");
  await stand.configure(yamlWith({ good }));
  await stand.service.start();
  await expect
    .poll(() => stand.service.log)
    .toMatch(/no pipeline names any more.*weir journal drop/);
  const listed = await weir(stand, "journal", "list");
  expect(listed.out).toMatch(/influxdb\/dead\/logs +\d+ +2 +\d+ +\d+ +no\n/);
  expect(listed.out).toMatch(/influxdb\/good\/logs +\d+ +0 +0 +0 +yes\n/);
  expect(listed.out).toMatch(/journal [0-9a-f]{32}, \d+ segments, \d+ bytes, 1 frames/);
  expect(await weir(stand, "journal", "drop", "influxdb/dead/logs")).toMatchObject({
    status: 0,
    out: expect.stringMatching(/2 items of influxdb\/dead\/logs dropped/),
  });
  expect((await weir(stand, "journal", "list")).out).toMatch(
    /influxdb\/dead\/logs +\d+ +0 +0 +\d+ +no\n/,
  );
  const unknown = await weir(stand, "journal", "drop", "influxdb/ded/logs");
  expect(unknown.err).toMatch(
    /no route influxdb\/ded\/logs; there are influxdb\/good\/logs, influxdb\/dead\/logs/,
  );
  await stand.service.kill("SIGTERM");
  await stand.configure(yamlWith({ good, dead }));
  await stand.service.start();
  expect((await stand.service.law()).every(isBalanced)).toBe(true);
  expect(
    (await stand.service.law()).find(({ exporter }) => exporter === "influxdb/dead"),
  ).toMatchObject({
    appended: 2,
    dropped: 2,
    queued: 0,
  });
});

test("replay fills a new exporter with what is retained, once, and sends to an old one again", async () => {
  await using old = await httpSink({ status: 204 });
  await using fresh = await httpSink({ status: 204 });
  await using stand = await Stand.open(yamlWith({ old }));
  await stand.service.start();
  for (const id of ["a", "b", "c"]) await stand.post([id]);
  await stand.until(isEmpty);
  await stand.service.kill("SIGTERM");
  // A command that opens the directory itself keeps what the configuration retains.
  expect((await weir(stand, "journal", "list")).out).toMatch(/ 3 frames/);
  await stand.configure(yamlWith({ old, fresh }));
  await stand.service.start();
  await stand.post(["d"]);
  await stand.until((laws) => laws.length === 2 && laws.every(({ delivered }) => delivered > 0));
  const to = ["replay", "--from", "1h", "--to", "influxdb/fresh"];
  expect((await weir(stand, ...to)).out).toMatch(/3 items in 3 frames queued again/);
  const laws = await stand.until(isEmpty);
  expect(laws.every(isBalanced)).toBe(true);
  expect(taken(fresh)).toEqual(["a", "b", "c", "d"]);
  expect(taken(old)).toEqual(["a", "b", "c", "d"]);
  expect((await weir(stand, ...to)).out).toMatch(/0 items in 0 frames queued again\n.*\n.* --of;/);
  const again = await weir(
    stand,
    "replay",
    "--from",
    "1h",
    "--to",
    "influxdb/old/logs",
    "--of",
    "influxdb/old",
  );
  expect(again.out).toMatch(/4 items in 4 frames queued again/);
  await stand.until(isEmpty);
  await sleep(50);
  expect(taken(old)).toEqual(["a", "a", "b", "b", "c", "c", "d", "d"]);
  expect(await stand.service.metric("weir_replayed_items_total")).toBe(7);
  expect((await weir(stand, "replay", "--from", "1h", "--to", "nowhere")).err).toMatch(
    /no route nowhere/,
  );
  expect((await weir(stand, "replay", "--to", "influxdb/old")).err).toMatch(/say from when/);
});
