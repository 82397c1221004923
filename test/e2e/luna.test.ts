import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeRequest } from "../support/otlp.ts";
import {
  answersAsDocumented,
  documentedCommands,
  ShippedService,
} from "../support/shipped-config.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** docs/from/luna.md and config/luna.yaml, as they stand. */
const COMMANDS = await documentedCommands("docs/from/luna.md");
const POINTS = readFileSync(new URL("../fixtures/seeds/luna/write.lp", import.meta.url));

let luna: ShippedService;
beforeAll(async () => {
  luna = await ShippedService.start("config/luna.yaml");
});
afterAll(() => luna[Symbol.asyncDispose]());

test("the page has commands", () => {
  expect(COMMANDS.length).toBeGreaterThanOrEqual(6);
});

test.each(COMMANDS.map((documented, i) => [i + 1, documented] as const))(
  "command %i of the page answers what the page says",
  async (_number, documented) => {
    expect(await answersAsDocumented(luna, documented)).toBe("");
  },
);

async function rows(q: string): Promise<Record<string, unknown>[]> {
  const url = `http://127.0.0.1:${luna.port(8086)}/api/v3/query_sql`;
  const answer = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ db: "luna_monitoring", q }),
  });
  return answer.ok ? ((await answer.json()) as Record<string, unknown>[]) : [];
}

async function oneRow(q: string): Promise<Record<string, unknown>> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(100)) {
    const found = await rows(q);
    if (found[0] !== undefined) return found[0];
  }
  throw new Error(`no row: ${q}\n${luna.service.log}`);
}

test("the points of the captured lines are there to the last field", async () => {
  const url = `http://127.0.0.1:${luna.port(8086)}/api/v2/write?org=luna&bucket=luna_monitoring&precision=ns`;
  const headers = { authorization: "Token t", "content-type": "text/plain" };
  expect((await fetch(url, { method: "POST", headers, body: POINTS })).status).toBe(204);
  const account = "6d071cca-fda5-4a03-84d5-5bea65904480";
  expect(await oneRow(`SELECT * FROM requests WHERE account_id = '${account}'`)).toMatchObject({
    service: "luna-backport4",
    route: "POST:/extractor",
    status_code: "201",
    request_id: "1705314600,3f2b1c9e-0b7a-4a2e-9a55-0a4a2f6f6d10",
    execution_time: 0.123456,
    time: "2024-01-15T10:30:00.123456768",
  });
  expect(await oneRow("SELECT * FROM requests WHERE n = 1")).toMatchObject({
    handler_id: "0b7a4a2e-9a55-4a2f-8f6d-103f2b1c9e00",
    load_images_for_processing_time: 0.01,
    ok: true,
    failed: false,
    n: 1,
  });
  expect(await oneRow("SELECT * FROM errors WHERE request_id LIKE '%6d11'")).toMatchObject({
    error_code: "12010",
    account_id: "none",
  });
});

test("a server span becomes rows of the same series, with its trace id", async () => {
  const span = {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    name: "POST /extractor",
    kind: 2,
    startTimeUnixNano: "1705314605000000000",
    endTimeUnixNano: "1705314605250000000",
    attributes: [
      { key: "http.request.method", value: { stringValue: "POST" } },
      { key: "http.route", value: { stringValue: "/extractor" } },
      { key: "http.response.status_code", value: { intValue: "500" } },
    ],
  };
  const body = encodeRequest("traces", { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
  const answer = await fetch(`http://127.0.0.1:${luna.port(4318)}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.from(body),
  });
  expect(answer.status).toBe(200);
  const where = `WHERE trace_id = '${span.traceId}'`;
  expect(await oneRow(`SELECT * FROM requests ${where}`)).toMatchObject({
    route: "POST:/extractor",
    status_code: "500",
    execution_time: 0.25,
  });
  expect(await oneRow(`SELECT * FROM errors ${where}`)).toMatchObject({ status_code: "500" });
});

test("Flux is answered with an error that a client can read", async () => {
  const url = `http://127.0.0.1:${luna.port(8086)}/api/v2/query?org=luna`;
  const answer = await fetch(url, { method: "POST", body: 'from(bucket: "luna_monitoring")' });
  expect([answer.status, await answer.text()]).toEqual([404, "Not found"]);
});
