import { expect, onTestFinished, test } from "vitest";
import { delivery } from "../support/influx-delivery.ts";
import { influxSink } from "../support/influx-sink.ts";
import { encodeRequest } from "../support/otlp.ts";
import { until } from "../support/until.ts";

const FRAMES = 100;
const PER_FRAME = 1_000;
const POISON = "f42-e567";
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

function request(frame: number): Uint8Array {
  const logRecords = Array.from({ length: PER_FRAME }, (_, item) => ({
    timeUnixNano: String(1_700_000_000_000_000_000n + BigInt(frame * PER_FRAME + item)),
    attributes: [
      text("function.id", "f"),
      text("execution.id", `f${frame}-e${item}`),
      { key: "duration_ms", value: { intValue: String(item) } },
    ],
  }));
  return encodeRequest("logs", { resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords }] }] });
}

/** What each version says of a line that it will not take, until somebody changes a setting of the server. */
const REASONS = {
  v3: "Update to schema would exceed number of columns per table limit of 500 columns",
  v2: "max key length exceeded: 70000 > 65535",
  v1: 'max-values-per-tag limit exceeded (99999/99999): measurement="function_logs" tag="execution_id" value="x"',
} as const;

test.each(["v3", "v2", "v1"] as const)(
  "%s: one poisoned line among 100,000 is one dead letter, and is stored once its cause is mended",
  async (api) => {
    const sink = await influxSink(api);
    onTestFinished(() => sink[Symbol.asyncDispose]());
    sink.refuses = (line) => (line.includes(`${POISON},`) ? REASONS[api] : undefined);
    await using weir = await delivery(sink.http.url, { api, tables: ["function_logs"] });
    for (let frame = 0; frame < FRAMES; frame++) await weir.append(request(frame));
    weir.run();
    await until(() => weir.counts().queuedItems === 0);
    const stored = sink.rows.get("weir") ?? new Map();
    expect(stored.size).toBe(FRAMES * PER_FRAME - 1);
    expect(weir.counts()).toMatchObject({ delivered: 99_999, deadLettered: 1, queuedItems: 0 });
    const [letter] = weir.deadLetters.letters.values();
    expect(weir.deadLetters.letters.size).toBe(1);
    expect(letter).toMatchObject({ seq: 43, item: 567 });
    expect(letter?.answer).toContain(REASONS[api]);
    if (api === "v3") expect(letter?.answer).toBe(REASONS.v3);

    sink.refuses = () => undefined;
    if (letter === undefined) throw new Error("no letter");
    await weir.appendBatch(letter.batch);
    await until(() => weir.counts().queuedItems === 0);
    expect(stored.size).toBe(FRAMES * PER_FRAME);
    expect([...stored.keys()].filter((row) => row.includes(POISON))).toHaveLength(1);
    expect(weir.counts()).toMatchObject({ delivered: 100_000, deadLettered: 1, queuedItems: 0 });
  },
  30_000,
);
