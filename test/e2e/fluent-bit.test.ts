import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SENT } from "../receivers/http_logs/senders.ts";
import {
  answersAsDocumented,
  documentedCommands,
  ShippedService,
} from "../support/shipped-config.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** docs/from/fluent-bit.md and config/fluent-bit.yaml, as they stand. */
const PAGE = "docs/from/fluent-bit.md";
const COMMANDS = await documentedCommands(PAGE);

let weir: ShippedService;
beforeAll(async () => {
  weir = await ShippedService.start("config/fluent-bit.yaml");
});
afterAll(() => weir[Symbol.asyncDispose]());

async function rows(q: string): Promise<Record<string, unknown>[]> {
  const url = `http://127.0.0.1:${weir.port(8181)}/api/v3/query_sql`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ db: "weir", q }) });
  return answer.ok ? ((await answer.json()) as Record<string, unknown>[]) : [];
}

test("the page has commands", () => {
  expect(COMMANDS.length).toBeGreaterThanOrEqual(8);
});

test.each(COMMANDS.map((documented, i) => [i + 1, documented] as const))(
  "command %i of the page answers what the page says",
  async (_number, documented) => {
    expect(await answersAsDocumented(weir, documented)).toBe("");
  },
);

test("the requests of all senders: each record is one row, in every format; a request that comes again adds none", async () => {
  let expected = 0;
  for (const [i, { sender, path, headers, body, records }] of SENT.entries()) {
    // Each sender is a machine of its own: records of one machine at the same nanosecond are one row.
    const own = body.toString("latin1").replaceAll("machine-prod-01", `machine-prod-${10 + i}`);
    const url = `http://127.0.0.1:${weir.port(8080)}/replay/${i}${path}`;
    const { "X-Tag": _, ...rest } = headers;
    for (let times = 0; times < 2; times++) {
      const answer = await fetch(url, {
        method: "POST",
        headers: rest,
        body: Uint8Array.from(Buffer.from(own, "latin1")),
      });
      expect([sender, answer.status]).toEqual([sender, 200]);
    }
    // A record that has no time has another one when it comes again.
    expected += sender.startsWith("curl") ? 2 * records : records;
  }
  const q = "SELECT count(*) AS n FROM logs WHERE attributes LIKE '%replay.%'";
  const count = async () => Number((await rows(q))[0]?.["n"]);
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && (await count()) < expected; )
    await sleep(100);
  expect(await count()).toBe(expected);
});

test("the page names what the configuration has", () => {
  const page = readFileSync(new URL(`../../${PAGE}`, import.meta.url), "utf8");
  for (const port of ["8080", "9880", "24224", "2020"]) {
    expect(page).toContain(port);
    expect(weir.port(Number(port))).toBeGreaterThan(0);
  }
});
