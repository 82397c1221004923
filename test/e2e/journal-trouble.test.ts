import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type HttpSink, httpSink } from "../support/http-sink.ts";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

const FILLER = "x".repeat(2_000);
const texts = (request: number) =>
  Array.from({ length: 20 }, (_, i) => `t-${request}-${i}z ${FILLER}`);

/** One route; `storage` are options of file_storage beside the directory. */
function standWith(sink: HttpSink, storage: string): Promise<Stand> {
  return Stand.open(
    (stand) => `${stand.frame.replace(/(file_storage: \{ )/, `$1${storage}, `)}
exporters:
  otlp_http: { endpoint: "${sink.url}", sending_queue: { storage: file_storage }, retry_on_failure: { initial_interval: 20ms, max_interval: 100ms } }
${stand.serviceWith("logs: { receivers: [otlp], exporters: [otlp_http] }")}`,
  );
}

function arrived(sink: HttpSink): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { body } of sink.requests)
    for (const [text] of body.toString("latin1").matchAll(/t-\d+-\d+z/g)) found.add(text);
  return found;
}

test("a segment deleted under the running process costs what stood in it, counted as corrupt; the rest is delivered", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await standWith(sink, "segment_bytes: 65536");
  await stand.service.start();
  for (let i = 0; i < 30; i++) expect((await stand.post(texts(i))).status).toBe(200);
  // what was just received is still in memory; a new process has only the files
  await stand.service.kill("SIGTERM");
  await stand.service.start();
  const queue = stand.path("queue");
  const segments = (await readdir(queue)).filter((name) => name.endsWith(".segment")).sort();
  expect(segments.length).toBeGreaterThan(10);
  for (const name of segments.slice(12, 14)) await rm(join(queue, name));
  sink.requests.length = 0;
  sink.answer = () => ({ status: 200 });
  const [law] = await stand.until(([own]) => own?.queued === 0);
  if (law === undefined) throw new Error("no route");
  expect(isBalanced(law)).toBe(true);
  expect(law.appended).toBe(600);
  expect(law.dropped).toBeGreaterThan(0);
  expect(law.delivered).toBe(600 - law.dropped);
  expect(arrived(sink).size).toBe(law.delivered);
  expect([...((await stand.service.dropped()).get("otlp_http") ?? [])]).toEqual([
    ["corrupt", law.dropped],
  ]);
  await expect
    .poll(() => stand.service.log)
    .toContain("a journaled frame cannot be read; counted as dropped");
  expect((await stand.post(texts(99))).status).toBe(200);
});

test("a full journal refuses with a Retry-After and takes again once its destination does; nothing acknowledged is lost", async () => {
  await using sink = await httpSink({ status: 503 });
  await using stand = await standWith(sink, "segment_bytes: 65536, max_bytes: 600000");
  await stand.service.start();
  let acknowledged = 0;
  let refusal: Response | undefined;
  for (let i = 0; i < 40 && refusal === undefined; i++) {
    const answer = await stand.post(texts(i));
    if (answer.status === 200) acknowledged += 20;
    else refusal = answer;
  }
  expect(refusal?.status).toBe(503);
  expect(Number(refusal?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refusal?.text()).toContain("the journal is full");
  expect(acknowledged).toBeGreaterThan(100);
  sink.requests.length = 0;
  sink.answer = () => ({ status: 200 });
  await stand.until(([law]) => law?.queued === 0 && law.delivered === acknowledged);
  expect(arrived(sink).size).toBe(acknowledged);
  const isTaken = async () => (await stand.post(texts(99))).status === 200;
  await expect.poll(isTaken).toBe(true);
});
