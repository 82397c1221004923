import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ID, invocation, TRACE_ID } from "../receivers/telemetry_api/events.ts";
import { startExtension, streamsOf } from "../support/lambda-extension.ts";

const ROOT = join(import.meta.dirname, "..", "..");

test("config/lambda-loki.yaml as it stands: lines and a row for each invocation are in Loki when the next event is asked for", async () => {
  const directory = await mkdtemp(join(tmpdir(), "weir-lambda-"));
  const file = join(directory, "lambda-loki.yaml");
  const text = await readFile(join(ROOT, "config", "lambda-loki.yaml"), "utf8");
  await using running = await startExtension({
    env: { WEIR_CONFIG: file, LOKI_IP: "127.0.0.1" },
    before: (loki) =>
      writeFile(file, text.replace(":4323", ":0").replace(":3100", `:${new URL(loki.url).port}`)),
  });
  const { lambda, loki, ended } = running;
  lambda.invoke(ID);
  expect(await lambda.post(invocation(ID, Date.now() - Date.UTC(2026, 10, 21, 12)))).toEqual([200]);
  await lambda.asked(2);
  const entries = streamsOf(loki).flatMap(({ stream, values }) =>
    values.map(([, line, metadata]) => ({ stream, line, metadata })),
  );
  expect(entries.map(({ line }) => line).sort()).toEqual([
    expect.stringMatching(/^REPORT RequestId: /),
    `hello from ${ID}\n`,
  ]);
  for (const { stream, metadata } of entries) {
    expect(stream).toMatchObject({ source: "Lambda", function: "resize" });
    expect(metadata["trace_id"]).toBe(TRACE_ID);
  }
  lambda.shutDown();
  expect(await ended).toMatchObject({ code: 0 });
  await rm(directory, { recursive: true });
});
