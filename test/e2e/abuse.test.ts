import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { CROOKED, type Huge } from "../otlp/huge.ts";
import { isBalanced } from "../support/service.ts";
import { request, Stand } from "./stand.ts";

const config = (it: Stand) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], sending_queue: { storage: file_storage } }
${it.serviceWith("logs: { receivers: [otlp, line_protocol], exporters: [file] }")}`;

/** Opens a connection, writes, and leaves it as it is; errors of the far end are what we asked for. */
function throwAt(port: number, ...parts: (string | Uint8Array)[]): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.on("data", () => {});
  for (const part of parts) socket.write(part);
  return socket;
}

/** A head that promises `length` bytes of protobuf. */
const head = (length: number | string, more = "") =>
  `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: ${length}\r\n${more}\r\n`;

test("garbage on every port costs nobody else anything", async () => {
  await using stand = await Stand.open(config);
  await stand.service.start();
  const { http, grpc, line } = stand.ports;
  const sockets: Socket[] = [];
  const udp = createSocket("udp4");
  const good: number[] = [];
  const bomb = gzipSync(Buffer.alloc(80 << 20));
  for (let round = 0; round < 30; round++) {
    const noise = randomBytes(1 + ((round * 997) % 9_000));
    const body = request([`good-${round}`]);
    sockets.push(
      throwAt(http, noise),
      throwAt(http, head(body.length + 500), body), // lies: more is never sent
      throwAt(http, head(10), body), // lies: less was promised
      throwAt(http, head(body.length), body.subarray(0, 20)), // half-open
      throwAt(http, head(noise.length), noise),
      throwAt(http, head(1e15)),
      throwAt(http, head("-5")),
      throwAt(grpc, noise),
      throwAt(grpc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", noise),
      throwAt(line, noise, "\n"),
      throwAt(line, 'open,t="quote f="never closed'),
    );
    if (round % 10 === 0)
      sockets.push(throwAt(http, head(bomb.length, "Content-Encoding: gzip\r\n"), bomb));
    udp.send(noise, line, "127.0.0.1");
    udp.send(`${"a".repeat(60_000)} v=1`, line, "127.0.0.1");
    good.push((await stand.post([`good-${round}`])).status);
  }
  expect(new Set(good)).toEqual(new Set([200]));
  await stand.until((laws) =>
    laws.every(({ delivered, queued }) => delivered >= 30 && queued === 0),
  );
  expect((await stand.service.law()).every(isBalanced)).toBe(true);
  expect(await stand.service.metric("weir_budget_used_bytes")).toBeLessThan(
    await stand.service.metric("weir_budget_limit_bytes"),
  );
  for (const socket of sockets) socket.destroy();
  udp.close();
  await expect.poll(() => stand.service.metric("weir_budget_used_bytes")).toBe(0);
  expect(await stand.service.metric("otelcol_process_memory_rss")).toBeLessThan(450e6);
});

test("the pipeline's law counts what was rejected beside what was appended", async () => {
  await using stand = await Stand.open(config);
  await stand.service.start();
  const json = {
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                eventName: "function_logs",
                attributes: [{ key: "execution_id", value: { stringValue: "e" } }],
              },
              { traceId: "bad" },
            ],
          },
        ],
      },
    ],
  };
  const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(json),
  });
  expect(await answer.json()).toMatchObject({ partialSuccess: { rejectedLogRecords: "1" } });
  await stand.datagram("good v=1i 1705314600\nthis is not a line\nalso_good v=2i 1705314600");
  const terms = ["received", "appended", "rejected", "refused"];
  const counts = () =>
    Promise.all(terms.map((term) => stand.service.metric(`weir_pipeline_${term}_items_total`)));
  await expect.poll(counts).toEqual([5, 3, 2, 0]);
});

test("a flood beyond the byte budget is refused before it is read, and the memory stays bounded", async () => {
  await using stand = await Stand.open((it) =>
    `${config(it)}`
      .replace("exporters: [file]", "processors: [memory_limiter], exporters: [file]")
      .replace(
        "exporters:\n",
        "processors:\n  memory_limiter: { check_interval: 1s, limit_mib: 128 }\nexporters:\n",
      ),
  );
  await stand.service.start();
  const sockets = Array.from({ length: 40 }, () =>
    throwAt(stand.ports.http, head(8 << 20), randomBytes(64 << 10)),
  );
  const used = () => stand.service.metric("weir_budget_used_bytes");
  await expect.poll(used).toBeGreaterThan(24 << 20); // not even one more fits
  const late = throwAt(stand.ports.http, head(8 << 20));
  const answer = await new Promise<string>((resolve) =>
    late.once("data", (data) => resolve(String(data))),
  );
  expect(answer).toMatch(/^HTTP\/1\.1 503 .*Retry-After: [1-9]/is);
  expect((await stand.post(["small ones still fit"])).status).toBe(200);
  expect(await used()).toBeLessThanOrEqual(32 << 20);
  for (const socket of [late, ...sockets]) socket.destroy();
  await sleep(300);
  expect((await stand.post(["after"])).status).toBe(200);
});

test("a few kilobytes that decompress to millions of tiny parts cost bounded memory", async () => {
  const { make } = CROOKED["empty parts of a body"] as Huge;
  const bomb = gzipSync(make(12 << 20));
  expect(bomb.length).toBeLessThan(20_000);
  await using stand = await Stand.open(config);
  await stand.service.start();
  const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", "content-encoding": "gzip" },
    body: bomb,
  });
  expect(answer.status).toBe(200);
  expect(await stand.service.metric("otelcol_process_memory_rss")).toBeLessThan(350e6);
  expect(await stand.service.metric("weir_budget_used_bytes")).toBe(0);
});
