import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { learn } from "../../src/exporters/influxdb/lessons.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
import { TypeNotes } from "../../src/kit/delivery/type-notes.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { TypeRegistry } from "../../src/series/type-registry.ts";
import { recordingLog } from "../support/export-rig.ts";
import { delivery } from "../support/influx-delivery.ts";
import { influxSink } from "../support/influx-sink.ts";
import { lineDoor } from "../support/line-door.ts";
import { until } from "../support/until.ts";

const door = lineDoor(shippedTables(), "ns");
const lines = (...given: string[]) =>
  Uint8Array.from(
    door(given.map((line, i) => `${line} ${1_700_000_000_000_000_001n + BigInt(i)}`).join("\n"), 0),
  );

test.each(["v3", "v2", "v1"] as const)(
  "%s: what the server says of types is learned, and the rows are stored after one more request each",
  async (api) => {
    const sink = await influxSink(api);
    onTestFinished(() => sink[Symbol.asyncDispose]());
    sink.types.set("function_logs.duration_ms", "integer");
    sink.types.set("m.x", "string");
    const types = new TypeRegistry();
    await using weir = await delivery(sink.http.url, { api }, { types: () => types });
    await weir.append(
      lines(
        'function_logs,execution_id=e1,status=success duration_ms=1.4,message="a"',
        "m x=5i,y=true",
        "m y=2i",
        'n text="fine"',
      ),
    );
    weir.run();
    await until(() => weir.counts().queuedItems === 0);
    expect(weir.counts()).toMatchObject({ delivered: 4, deadLettered: 0 });
    const rows = [...(sink.rows.get("weir") ?? [])].map(([key, row]) => [
      key.replace(/ .*/, ""),
      Object.fromEntries(row),
    ]);
    expect(rows).toHaveLength(4);
    expect(rows).toContainEqual(["m", { x: '"5"', y: "true" }]);
    expect(rows).toContainEqual(["m", { y_integer: "2i" }]);
    expect(rows).toContainEqual(["n", { text: '"fine"' }]);
    expect(rows.find(([key]) => String(key).startsWith("function_logs"))?.[1]).toMatchObject({
      duration_ms: "1i",
    });
    expect(types.version).toBe(2);
    const told = weir.log.lines.filter(({ text }) => text.includes("another type"));
    expect(
      told.map(({ fields }) => `${fields["table"]}.${fields["field"]} ${fields["type"]}`).sort(),
    ).toEqual(["function_logs.duration_ms integer", "m.x text"]);
    // From now on, nothing is sent twice.
    const before = sink.http.requests.length;
    await weir.append(
      lines("m x=6i,y=3i", "function_logs,execution_id=e2,status=success duration_ms=2.5"),
    );
    await until(() => weir.counts().queuedItems === 0);
    expect(sink.http.requests.length).toBe(before + 1);
    expect(weir.counts()).toMatchObject({ delivered: 6, deadLettered: 0 });
  },
);

test("10,000 rows of a type that the server does not take go out at most twice", async () => {
  const sink = await influxSink("v3");
  onTestFinished(() => sink[Symbol.asyncDispose]());
  sink.types.set("m.x", "integer");
  await using weir = await delivery(sink.http.url, {});
  await weir.append(lines(...Array.from({ length: 10_000 }, (_, i) => `m,i=${i} x=${i}.5`)));
  weir.run();
  await until(() => weir.counts().queuedItems === 0);
  expect(weir.counts()).toMatchObject({ delivered: 10_000, deadLettered: 0 });
  expect(sink.rows.get("weir")?.size).toBe(10_000);
  // Most were written before the first answer came; each request of them goes out once more.
  expect(sink.http.requests.length).toBeLessThanOrEqual(60);
});

test("with one lane, what an answer teaches holds for the rows that are written already", async () => {
  const sink = await influxSink("v3");
  onTestFinished(() => sink[Symbol.asyncDispose]());
  sink.types.set("m.x", "integer");
  const options = { sending_queue: { num_consumers: 1 }, max_body_size: 4_096 };
  await using weir = await delivery(sink.http.url, options);
  await weir.append(lines(...Array.from({ length: 1_000 }, (_, i) => `m,i=${i} x=${i}.5`)));
  weir.run();
  await until(() => weir.counts().queuedItems === 0);
  expect(weir.counts()).toMatchObject({ delivered: 1_000, deadLettered: 0 });
  const untaught = sink.http.requests.map(({ body }) => body.includes(" x="));
  expect(untaught.length).toBeGreaterThan(4);
  expect(untaught).toEqual(untaught.map((_, i) => i === 0));
});

test("a row that fits neither before nor after is a dead letter with the server's words", async () => {
  const sink = await influxSink("v3");
  onTestFinished(() => sink[Symbol.asyncDispose]());
  sink.types.set("m.x", "integer");
  sink.refuses = (line) =>
    line.startsWith("m x_float=")
      ? "invalid column type for column 'x_float', expected iox::column_type::tag, got iox::column_type::field::float"
      : undefined;
  await using weir = await delivery(sink.http.url, {});
  await weir.append(lines("m x=0.5", "m x=1i"));
  weir.run();
  await until(() => weir.counts().queuedItems === 0);
  expect(weir.counts()).toMatchObject({ delivered: 1, deadLettered: 1 });
  const [letter] = weir.deadLetters.letters.values();
  expect(letter).toMatchObject({
    reason: "row_rejected",
    answer: expect.stringContaining("column_type::tag"),
  });
});

test("the table of a v3 conflict is that of the line, whatever stands in the lines before it", () => {
  const types = new TypeRegistry();
  const body = new TextEncoder().encode(
    'a"b,t="x f="1\n\\"2" 1\nsome\\ table\\,1,t=v x=1 2\nc x=1 3\n',
  );
  const why =
    "invalid column type for column 'x', expected iox::column_type::field::integer, got iox::column_type::field::float";
  const verdict = learn(
    { is: "rows_rejected", rows: [1], reasons: [why], why },
    body,
    types,
    0,
    () => {},
  );
  expect(verdict).toMatchObject({ again: new Set([1]) });
  expect([...types.entries()]).toEqual([
    { table: "some table,1", field: "x", type: "integer", adopted: true },
  ]);
  for (const other of [
    "column 'x'",
    why.replace("field::integer", "tag"),
    why.replace("integer", "strange"),
  ])
    expect(
      learn({ is: "rows_rejected", rows: [1], reasons: [other], why }, body, types, 0, () => {}),
    ).not.toHaveProperty("again");
});

test("types survive a restart, damaged lines do not, and a file of old lines is written anew", async () => {
  const directory = await mkdtemp(join(tmpdir(), "weir-types-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const log = recordingLog();
  const open = async () =>
    await TypeNotes.open(await openDirectory(directory, { create: true }), log);
  const first = await open();
  first.registry("influxdb a").see("m", "x", "integer");
  first.registry("influxdb a").adopt("m", "y", "text");
  first.registry("influxdb b").see("m", "x", "float");
  expect(first.registry("influxdb a")).toBe(first.registry("influxdb a"));
  await first.stop();
  const second = await open();
  expect(second.registry("influxdb a").typeOf("m", "x")).toBe("integer");
  expect(second.registry("influxdb a").version).toBe(1);
  expect(second.registry("influxdb b").typeOf("m", "x")).toBe("float");
  for (let i = 0; i < 4; i++)
    second.registry("influxdb a").adopt("m", "y", i % 2 ? "text" : "float");
  await second.stop();
  expect(log.lines).toEqual([]);
  const io = await openDirectory(directory, { create: false });
  const file = await io.open("types.jsonl", "append");
  await file.write(
    [new TextEncoder().encode('{"of":"influxdb a","table":"m","fi')],
    await file.size(),
  );
  const torn = await file.size();
  await file.close();
  const third = await open();
  expect(log.lines).toMatchObject([{ level: "warn", fields: { lines: 1 } }]);
  expect(third.registry("influxdb a").typeOf("m", "y")).toBe("text");
  await third.stop();
  const after = await io.open("types.jsonl", "read");
  expect(await after.size()).toBeLessThan(torn);
  await after.close();
  await io[Symbol.asyncDispose]();
});

test("a disk that takes nothing costs the memory of types, said once, and nothing else", async () => {
  const io = createMemoryIo();
  const log = recordingLog();
  const notes = await TypeNotes.open(
    {
      ...io,
      list: () => io.list(),
      open: async (name, mode) => ({
        ...(await io.open(name, mode)),
        write: async () => {
          throw new Error("ENOSPC");
        },
        size: async () => 0,
        datasync: async () => {},
        close: async () => {},
      }),
    },
    log,
  );
  notes.registry("a").see("m", "x", "float");
  await notes.stop();
  expect(notes.registry("a").typeOf("m", "x")).toBe("float");
  expect(log.lines).toMatchObject([{ level: "warn", fields: { why: "ENOSPC" } }]);
});

test("v1 has no unsigned integers: they go as integers, and what is larger is left out and counted", async () => {
  const sink = await influxSink("v1");
  onTestFinished(() => sink[Symbol.asyncDispose]());
  await using weir = await delivery(sink.http.url, { api: "v1" });
  await weir.append(
    lines("m n=5u,i=1i", "m n=9223372036854775807u", "m n=9223372036854775808u,i=2i"),
  );
  weir.run();
  await until(() => weir.counts().queuedItems === 0);
  expect(weir.counts()).toMatchObject({ delivered: 3, deadLettered: 0 });
  expect(sink.http.requests.map(({ body }) => String(body)).join("")).toBe(
    "m n=5i,i=1i 1700000000000000001\nm n=9223372036854775807i 1700000000000000002\nm i=2i 1700000000000000003\n",
  );
  expect(weir.meter.value("weir_fields_dropped_total")).toBe(1);
});
