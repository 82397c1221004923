import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { expect, test } from "vitest";
import { isBalanced, type Law } from "../support/service.ts";
import { Stand } from "./stand.ts";

const configOf = (format: string) => (it: Stand) =>
  `${it.frame}
exporters:
  file: { path: "${it.path("out")}", ${format}, sending_queue: { storage: file_storage } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`;

const delivered = (items: number) => (laws: readonly Law[]) =>
  laws.some((law) => law.delivered === items && law.queued === 0);

/** All log records of a file of requests. */
async function recordsOf(path: string): Promise<{ body?: { stringValue?: string } }[]> {
  const lines = (await readFile(path, "utf8")).trim().split("\n");
  return lines.flatMap((line) =>
    JSON.parse(line).resourceLogs.flatMap(
      ({ scopeLogs }: { scopeLogs: { logRecords: object[] }[] }) =>
        scopeLogs.flatMap(({ logRecords }) => logRecords),
    ),
  );
}

test("what Node's own exporter sends arrives: JSON, all kinds of values", async () => {
  await using stand = await Stand.open(configOf("format: otlp_json"));
  await stand.service.start();
  const url = `http://127.0.0.1:${stand.ports.http}/v1/logs`;
  const provider = new LoggerProvider({
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) })],
  });
  const logger = provider.getLogger("e2e");
  const attributes = {
    int: 1,
    double: 1.5,
    bool: true,
    list: ["a", "b"],
    map: { none: null, 'q"': "ü\n" },
    bytes: new Uint8Array([1, 255]),
  };
  for (let i = 0; i < 500; i++)
    logger.emit({ body: `record ${i}`, severityNumber: 9, severityText: "INFO", attributes });
  await provider.shutdown();
  await stand.until(delivered(500));
  const records = await recordsOf(stand.path("out"));
  expect(new Set(records.map(({ body }) => body?.stringValue)).size).toBe(500);
  expect(records[0]).toMatchObject({
    severityNumber: 9,
    severityText: "INFO",
    attributes: [
      { key: "int", value: { intValue: "1" } },
      { key: "double", value: { doubleValue: 1.5 } },
      { key: "bool", value: { boolValue: true } },
      {
        key: "list",
        value: { arrayValue: { values: [{ stringValue: "a" }, { stringValue: "b" }] } },
      },
      {
        key: "map",
        value: {
          kvlistValue: {
            values: [
              { key: "none", value: {} },
              { key: 'q"', value: { stringValue: "ü\n" } },
            ],
          },
        },
      },
      { key: "bytes", value: { bytesValue: "Af8=" } },
    ],
  });
});

/** A JSON request of `count` records with about `bytes` of text each. */
function largeRequest(count: number, bytes: number): string {
  const text = 'a "quoted" line of a log with a backslash \\ and an ü; '.repeat(
    Math.ceil(bytes / 55),
  );
  const logRecords = Array.from({ length: count }, (_, i) => ({
    timeUnixNano: String(1_705_314_600_000_000_000n + BigInt(i)),
    observedTimeUnixNano: "1705314600000000000",
    severityNumber: 9,
    body: { stringValue: `${i} ${text}` },
    attributes: [
      { key: "function.id", value: { stringValue: "f" } },
      { key: "execution.id", value: { stringValue: `e-${i}` } },
      { key: "exit_code", value: { intValue: 0 } },
    ],
    traceId: "0AF7651916CD43DD8448EB211C80319C",
    spanId: "b7ad6b7169203331",
  }));
  return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

test("bodies of 5 to 20 MiB, plain and with gzip, do not hold the event loop", async () => {
  await using stand = await Stand.open(configOf("format: lines, tables: [function_logs]"));
  await stand.service.start();
  const send = (body: string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8", ...more },
      body,
    });
  const zip = (text: string) => Uint8Array.from(gzipSync(text, { level: 1 }));
  const gzip = { "content-encoding": "gzip" };
  const many = largeRequest(30_000, 100);
  expect([many.length > 10e6, many.length < 20e6]).toEqual([true, true]);
  for (const answer of [
    await send(largeRequest(1_000, 5 << 10)),
    await send(zip(largeRequest(1_000, 20 << 10)), gzip),
    await send(many),
    await send(zip(many), gzip),
  ])
    expect([answer.status, await answer.text()]).toEqual([200, "{}"]);
  const broken = await send(`${many.slice(0, -4)}!`);
  expect([broken.status, await broken.text()]).toEqual([
    400,
    expect.stringMatching(/resourceLogs\[0\]: expected .* at byte \d+, found/),
  ]);
  const laws = await stand.until(delivered(62_000));
  expect(laws.every(isBalanced)).toBe(true);
  expect(await stand.service.metric("weir_budget_used_bytes")).toBe(0);
});
