import { expect, onTestFinished, test } from "vitest";
import { createInfluxdb } from "../../src/exporters/influxdb/index.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { TypeRegistry } from "../../src/series/type-registry.ts";
import { delivery } from "../support/influx-delivery.ts";
import { influxSink } from "../support/influx-sink.ts";
import { encodeRequest } from "../support/otlp.ts";
import { until } from "../support/until.ts";

let next = 0;
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** One request: for each tenant (undefined: none) records with these messages. */
function request(
  ...groups: readonly (readonly [tenant: object | undefined, messages: readonly string[]])[]
) {
  return encodeRequest("logs", {
    resourceLogs: groups.map(([tenant, messages]) => ({
      resource: { attributes: tenant === undefined ? [] : [{ key: "tenant.id", value: tenant }] },
      scopeLogs: [
        {
          logRecords: messages.map((message) => ({
            timeUnixNano: String(1_700_000_000_000_000_001n + BigInt(next++)),
            body: { stringValue: message },
            attributes: [text("service.name", "s")],
          })),
        },
      ],
    })),
  });
}
const named = (stringValue: string) => ({ stringValue });

async function weirTo(options: object, types?: (database: string) => TypeRegistry) {
  const sink = await influxSink("v3");
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const weir = await delivery(
    sink.http.url,
    { tables: ["logs"], database_attribute: "tenant.id", databases: ["a", "b"], ...options },
    types && { types },
  );
  onTestFinished(() => weir[Symbol.asyncDispose]());
  weir.run();
  const stored = () =>
    Object.fromEntries(
      [...sink.rows].map(([database, rows]) => [
        database,
        [...rows.values()].map((row) => row.get("message")).sort(),
      ]),
    );
  return { sink, weir, stored };
}

test("each resource's items go to the database that it names; what is not allowed goes to the default", async () => {
  const { sink, weir, stored } = await weirTo({ database: "rest" });
  await weir.append(
    request(
      [named("a"), ["a1", "a2"]],
      [named("b"), ["b1"]],
      [named("evil"), ["e1"]],
      [undefined, ["none"]],
      [{ intValue: "5" }, ["five"]],
      [named("a"), ["a3"]],
    ),
  );
  await weir.append(request([named("a"), ["a4"]]));
  await until(() => weir.counts().queuedItems === 0);
  expect(stored()).toEqual({
    a: ['"a1"', '"a2"', '"a3"', '"a4"'],
    b: ['"b1"'],
    rest: ['"e1"', '"five"', '"none"'],
  });
  expect(weir.counts()).toMatchObject({ delivered: 8, deadLettered: 0 });
  for (const { url, body } of sink.http.requests)
    if (url.includes("db=b&")) expect(body.toString()).toContain("b1");
});

test("without a default, what names no allowed database is dropped and counted", async () => {
  const { weir, stored } = await weirTo({ database: undefined });
  await weir.append(request([undefined, ["x", "y"]], [named("b"), ["b1"]], [named("c"), ["z"]]));
  await until(() => weir.counts().queuedItems === 0);
  expect(stored()).toEqual({ b: ['"b1"'] });
  expect(weir.counts()).toMatchObject({ delivered: 1, dropped: new Map([["no_database", 3]]) });
});

test("a bad row is its own dead letter, and databases that differ in types do not touch each other", async () => {
  const registries = new Map([..."ab"].map((name) => [name, new TypeRegistry()]));
  const { sink, weir, stored } = await weirTo({ database: undefined }, (database) => {
    return registries.get(database) ?? new TypeRegistry();
  });
  registries.get("a")?.adopt("logs", "message", "float");
  sink.refuses = (line) => (line.includes("bad") ? "No fields were provided" : undefined);
  await weir.append(request([named("a"), ["1", "2.5"]], [named("b"), ["1", "bad", "2"]]));
  await until(() => weir.counts().queuedItems === 0);
  expect(stored()).toEqual({ a: ["1", "2.5"], b: ['"1"', '"2"'] });
  expect(weir.deadLetters.keys()).toEqual(["1.3"]);
});

test.each([
  [{ databases: ["a"] }, ["database_attribute"], "go together"],
  [{ database_attribute: "t" }, ["databases"], "go together"],
  [{ database_attribute: "t", databases: ["a", "_b"] }, ["databases"], '"_b": InfluxDB 3 wants'],
])("%j is a configuration error", (options, path, message) => {
  const { schema } = createInfluxdb([], compileLineWriter);
  const { error } = schema.safeParse({ endpoint: "http://127.0.0.1:1", database: "d", ...options });
  expect(error?.issues[0]).toMatchObject({ path, message: expect.stringContaining(message) });
});
