import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import { at, ID, invocation, OTHER, TRACE_ID } from "./events.ts";
import { fixture, LambdaRig, post, start, stopAll } from "./rig.ts";

/** In the captured batches. */
const REPORTS = 4;
const LINES = 12;
const EXTENSION_LINES = 8;

afterEach(stopAll);

test("lines without a time that can be read have one each, in their order; text that is no UTF-8 is replaced and counted", async () => {
  const { rig, url } = await start();
  const events = ["a", "b", "gr\xfcn", "d"].map((record) => ({
    time: "never",
    type: "function",
    record,
  }));
  await post(url, Buffer.from(JSON.stringify(events), "latin1"));
  expect(rig.lines().map(({ body }) => body)).toEqual(["a", "b", "gr\ufffdn", "d"]);
  const times = rig.lines().map(({ timeUnixNano }) => BigInt(String(timeUnixNano)));
  expect(times.slice(1).filter((time, i) => time <= (times[i] ?? 0n))).toEqual([]);
  expect(rig.counts.get("weir_records_replaced_texts_total telemetry_api http")).toBe(1);
});

describe("an invocation", () => {
  test("becomes a row with its start, status, duration, memory and trace, and a SERVER span with the same ids", async () => {
    const { rig, url, done } = await start();
    expect((await post(url, invocation(ID))).status).toBe(200);
    const [row] = rig.rows();
    expect(rig.rows().length).toBe(1);
    expect(row).toMatchObject({
      timeUnixNano: `${Date.UTC(2026, 10, 21, 12)}000000`,
      severityNumber: 9,
      body: `REPORT RequestId: ${ID}\tDuration: 80.25 ms\tBilled Duration: 81 ms\tMemory Size: 128 MB\tMax Memory Used: 49 MB`,
      traceId: TRACE_ID,
      resource: { "service.name": "resize", "faas.name": "resize", "cloud.provider": "aws" },
      attributes: {
        "faas.invocation_id": ID,
        "faas.version": "$LATEST",
        "faas.coldstart": false,
        "execution.status": "success",
        "execution.duration_ms": 80.25,
        "execution.memory_used_mb": 49,
      },
    });
    const [span, part] = rig.stored("traces");
    expect(span).toMatchObject({
      name: "resize",
      kind: 2,
      traceId: TRACE_ID,
      spanId: row?.["spanId"],
      parentSpanId: "0efbd19962d95b05",
      flags: 0x301,
      attributes: row?.attributes,
      endTimeUnixNano: `${Date.UTC(2026, 10, 21, 12) + 80}000000`,
    });
    expect(part).toMatchObject({
      name: "responseLatency",
      kind: 1,
      traceId: TRACE_ID,
      parentSpanId: span?.["spanId"],
    });
    expect(part?.attributes).toEqual({});
    expect(done).toEqual([ID]);
  });

  test("gives its ids to its lines, found by their time, and their text to the byte", async () => {
    const { rig, url } = await start();
    await post(url, [...invocation(ID), ...invocation(OTHER, 1_000)].reverse());
    expect(rig.lines().map(({ body, traceId, attributes }) => [body, traceId, attributes])).toEqual(
      [OTHER, ID].map((id) => [
        `hello from ${id}\n`,
        TRACE_ID,
        { type: "function", "faas.invocation_id": id },
      ]),
    );
  });

  test.each([
    ["failure", "error", "Runtime.ExitError"],
    ["error", "error", "Function.Unhandled"],
    ["timeout", "timeout", ""],
  ])("that ends as %s is %s in its row, and its span failed", async (status, word, errorType) => {
    const { rig, url } = await start();
    const batch = invocation(ID, 0, { status, ...(errorType !== "" && { errorType }) });
    await post(url, batch);
    expect(rig.rows()[0]?.attributes["execution.status"]).toBe(word);
    if (errorType !== "") expect(rig.rows()[0]?.["body"]).toBe(errorType);
    expect(rig.stored("traces")[0]?.["status"]).toEqual({
      code: 2,
      message: errorType || word,
    });
  });

  test("that was cold says so, and has the start of its instance as a span", async () => {
    const { rig, url } = await start({ function_name: "" });
    await post(url, [
      {
        time: at(-200),
        type: "platform.initStart",
        record: { functionName: "thumb", functionVersion: "7" },
      },
      {
        time: at(-1),
        type: "platform.initReport",
        record: { status: "success", metrics: { durationMs: 164 } },
      },
    ]);
    expect(rig.batches).toEqual([]);
    const metrics = { durationMs: 5, initDurationMs: 164, maxMemoryUsedMB: 40 };
    await post(url, invocation(ID, 0, { metrics }));
    expect(rig.rows()[0]).toMatchObject({
      resource: { "service.name": "thumb", "faas.name": "thumb" },
      attributes: { "faas.coldstart": true, "aws.lambda.init_duration_ms": 164 },
    });
    const init = rig.stored("traces").find(({ name }) => name === "init thumb");
    expect(init).toMatchObject({
      kind: 1,
      parentSpanId: rig.rows()[0]?.["spanId"],
      startTimeUnixNano: `${Date.UTC(2026, 10, 21, 12) - 165}000000`,
    });
  });

  test("in pieces, out of order, over several batches is one row", async () => {
    const { rig, url } = await start();
    for (const event of invocation(ID).reverse()) await post(url, [event]);
    expect(rig.rows().length).toBe(1);
    expect(rig.rows()[0]?.["timeUnixNano"]).toBe(`${Date.UTC(2026, 10, 21, 12)}000000`);
    expect(rig.stored("traces").filter(({ kind }) => kind === 2).length).toBe(1);
  });

  test("without tracing has a trace of its own that follows from its id; its row has none", async () => {
    const { rig, url } = await start();
    const record = { requestId: ID };
    await post(url, [
      { time: at(0), type: "platform.start", record },
      {
        time: at(9),
        type: "platform.report",
        record: { ...record, status: "success", metrics: {} },
      },
    ]);
    expect(rig.stored("traces")[0]?.["traceId"]).toBe(ID.replaceAll("-", ""));
    expect(rig.rows()[0]?.["traceId"] ?? "").toBe("");
  });

  test("that never ends is written as failed: after the timeout, or when the receiver stops", async () => {
    const { rig, url, stop } = await start({ invocation_timeout: "1ms" });
    await post(url, invocation(ID).slice(0, 2));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await post(url, invocation(OTHER, 500).slice(0, 1));
    expect(rig.rows()[0]?.attributes).toMatchObject({
      "faas.invocation_id": ID,
      "execution.status": "failed",
      "error.type": "Weir.NoReport",
    });
    await stop();
    expect(rig.rows().map(({ attributes }) => attributes["faas.invocation_id"])).toEqual([
      ID,
      OTHER,
    ]);
  });

  test("of which more than 1,024 are open at once: the oldest are written", async () => {
    const { rig, url } = await start();
    const starts = Array.from({ length: 10_240 }, (_, n) => ({
      time: at(n),
      type: "platform.start",
      record: { requestId: `request-${n}` },
    }));
    expect((await post(url, starts)).status).toBe(200);
    expect(rig.rows().length).toBe(10_240 - 1_024);
    expect(rig.rows()[0]?.attributes["faas.invocation_id"]).toBe("request-0");
  });
});

describe("lines", () => {
  test("as JSON: message, level and time are taken, the id joins them, and a status makes no row of them", async () => {
    const { rig, url } = await start();
    const lines = [
      { timestamp: at(30), level: "WARN", requestId: OTHER, message: "slow", big: 1, n: { a: 1 } },
      { timestamp: at(31), level: "INFO", message: "done", status: 200, duration_ms: 3 },
    ].map((record) => ({ time: at(25), type: "function", record }));
    await post(url, [...invocation(ID), ...lines]);
    const [, slow, done] = rig.lines();
    expect(slow).toMatchObject({
      body: "slow",
      severityText: "WARN",
      timeUnixNano: `${Date.UTC(2026, 10, 21, 12) + 30}000000`,
      attributes: { "faas.invocation_id": OTHER, "n.a": "1" },
    });
    expect(done).toMatchObject({ body: "done", attributes: { status: "200" } });
    expect(done?.attributes["faas.invocation_id"]).toBeUndefined();
    expect(done?.resource["faas.invocation_id"]).toBe(ID);
    expect(rig.rows().length).toBe(1);
  });

  test("as the text of Node.js and Python: id and level are read, the text stays", async () => {
    const { rig, url } = await start();
    const texts = [
      `2026-11-21T12:00:00.020Z\t${OTHER}\tERROR\tbroken \u00e9\n`,
      `[WARNING]\t2026-11-21T12:00:00.020Z\t${OTHER}\tcareful`,
    ];
    await post(
      url,
      texts.map((record) => ({ time: at(20), type: "function", record })),
    );
    expect(rig.lines().map(({ body }) => body)).toEqual(texts);
    expect(rig.lines().map(({ severityText }) => severityText)).toEqual(["ERROR", "WARNING"]);
    for (const { attributes } of rig.lines()) expect(attributes["faas.invocation_id"]).toBe(OTHER);
  });

  test("of any other JSON are kept as their JSON", async () => {
    const { rig, url } = await start();
    const records = [5, true, null, ["a", 1], ""];
    await post(
      url,
      records.map((record) => ({ time: at(20), type: "extension", record })),
    );
    expect(rig.lines().map(({ body }) => body)).toEqual(["5", "true", "null", '["a",1]', ""]);
  });

  test("in the format of the blog's extension", async () => {
    const { rig, url } = await start({ line_format: "promtail" });
    await post(url, [
      { time: "2026-11-21T12:00:00.123456789Z", type: "function", record: "{'a': 1}\n" },
      { time: at(0), type: "function", record: { message: "x" } },
    ]);
    expect(rig.lines().map(({ body }) => body)).toEqual([
      "Info: source = lambda, function= resize,  time = 2026-11-21 12:00:00.123456789 +0000 UTC, record = {'a': 1}\n\n",
      'Info: source = lambda, function= resize,  time = 2026-11-21 12:00:00 +0000 UTC, record = {"message":"x"}\n',
    ]);
  });

  test("of the function only, when nothing else is wanted: platform events still name their invocation", async () => {
    const { rig, url } = await start({ types: ["function"] });
    await post(url, [...invocation(ID), { time: at(2), type: "extension", record: "noise" }]);
    expect(rig.stored("traces")).toEqual([]);
    expect(rig.stored("logs").map(({ body }) => body)).toEqual([`hello from ${ID}\n`]);
    expect(rig.lines()[0]).toMatchObject({ traceId: TRACE_ID });
  });

  test("of the platform: its losses always, the rest when asked for", async () => {
    const dropped = {
      time: at(5),
      type: "platform.logsDropped",
      record: { droppedBytes: 12345, droppedRecords: 123, reason: "slow" },
    };
    const quiet = await start();
    await post(quiet.url, [...invocation(ID), dropped]);
    expect(quiet.rig.lines()[1]).toMatchObject({
      body: "LOGS_DROPPED 123 records, 12345 bytes: slow",
      severityNumber: 13,
    });
    const loud = await start({ platform_logs: true });
    await post(loud.url, [...invocation(ID), dropped]);
    expect(
      loud.rig
        .lines()
        .flatMap(({ body, attributes }) => (attributes["type"] === "function" ? [] : [body])),
    ).toEqual([
      `START RequestId: ${ID} Version: $LATEST`,
      `END RequestId: ${ID}`,
      expect.stringContaining(`REPORT RequestId: ${ID}\tDuration: 80.25 ms`),
      "LOGS_DROPPED 123 records, 12345 bytes: slow",
    ]);
  });
});

describe("delivery of batches", () => {
  test("captured ones: rows and lines as many as they hold", async () => {
    const { rig, url } = await start();
    for (const name of ["webhook-1.json", "webhook-2.json", "webhook-3.json"])
      expect((await post(url, fixture(name))).status).toBe(200);
    const events = ["webhook-1.json", "webhook-2.json", "webhook-3.json"].flatMap(
      (name) => JSON.parse(fixture(name)) as { type: string }[],
    );
    const count = (wanted: string) => events.filter(({ type }) => type === wanted).length;
    expect([count("platform.report"), count("function")]).toEqual([REPORTS, LINES]);
    expect([rig.rows().length, rig.lines().length]).toEqual([REPORTS, LINES + EXTENSION_LINES]);
    const spans = rig.stored("traces").filter(({ kind }) => kind === 2);
    expect(spans.length).toBe(REPORTS);
    expect(rig.lost).toBe(0);
  });

  test("one that comes again is answered and taken once", async () => {
    const { rig, url } = await start();
    for (let n = 0; n < 3; n++) expect((await post(url, invocation(ID))).status).toBe(200);
    expect([rig.rows().length, rig.lines().length]).toEqual([1, 1]);
    expect(rig.counts.get("weir_lambda_repeated_batches_total telemetry_api")).toBe(2);
  });

  test("events of an invocation that has ended make no second row", async () => {
    const { rig, url } = await start();
    await post(url, invocation(ID));
    await post(url, invocation(ID).slice(3));
    await post(url, [invocation(ID)[0]]);
    expect(rig.rows().length).toBe(1);
  });

  test("a full queue: 503 and Retry-After, and the same batch is whole when it comes again", async () => {
    const { rig, url } = await start();
    rig.refusals.push({ kind: "refused", retryAfterMs: 2_000, why: "the queue is full" });
    const refused = await post(url, invocation(ID));
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(1);
    rig.submitting = async () => {
      throw new PipelineError({
        kind: "unavailable",
        retryAfterMs: 1_000,
        why: "the disk is full",
      });
    };
    expect((await post(url, invocation(ID))).status).toBe(503);
    expect(rig.batches).toEqual([]);
    rig.submitting = async () => {};
    expect((await post(url, invocation(ID))).status).toBe(200);
    expect([rig.rows().length, rig.lines().length]).toEqual([1, 1]);
  });

  test("only logs, only traces: what no pipeline takes is not made", async () => {
    const logs = await start({}, new LambdaRig(["logs"]));
    await post(logs.url, invocation(ID));
    expect([logs.rig.rows().length, logs.rig.stored("traces").length]).toEqual([1, 0]);
    expect(logs.rig.rows()[0]?.["spanId"] ?? "").toBe("");
    const traces = await start({}, new LambdaRig(["traces"]));
    await post(traces.url, invocation(ID));
    expect([traces.rig.stored("logs").length, traces.rig.stored("traces").length]).toEqual([0, 2]);
  });
});

describe("bad input", () => {
  test("a damaged event costs itself: the others are stored, the answer is 200 and says so", async () => {
    const { rig, url } = await start();
    const bad = [
      5,
      {},
      { type: "function" },
      { type: 7, record: "x" },
      { type: "platform.start", record: "x" },
    ];
    const answer = await post(url, [...bad, ...invocation(ID)]);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ rejected: 5 });
    expect([rig.rows().length, rig.lines().length, rig.lost]).toEqual([1, 1, 5]);
    expect(rig.said.length).toBe(1);
  });

  test("cut off at any byte: what is whole is kept, and nothing comes twice when it comes whole", async () => {
    const body = JSON.stringify(invocation(ID));
    const { rig, url } = await start();
    for (let n = 1; n < body.length; n += 1) {
      const answer = await post(url, body.slice(0, n));
      expect([200, 400]).toContain(answer.status);
    }
    await post(url, body);
    expect(rig.rows().length).toBe(1);
  });

  test.each(["", "[]", " [ ] "])("an empty batch %j is taken", async (body) => {
    const { rig, url } = await start();
    expect((await post(url, body)).status).toBe(200);
    expect(rig.batches).toEqual([]);
  });

  test.each(["x", "{", "[", "[1]", '"text"', "[[[[", "null"])(
    "%j is refused: 400",
    async (body) => {
      const { rig, url } = await start();
      expect((await post(url, body)).status).toBe(400);
      expect([rig.batches.length, rig.lost]).toEqual([0, 1]);
    },
  );

  test("limits: more events than Lambda sends, a body that is too large, another method", async () => {
    const { rig, url } = await start({ max_request_body_size: 1 << 20 });
    const many = `[${'{"type":"x"},'.repeat(65_537)}0]`;
    expect((await post(url, many)).status).toBe(413);
    expect((await post(url, `["${"x".repeat(1 << 20)}"]`)).status).toBe(413);
    expect((await fetch(url)).status).toBe(405);
    expect(rig.batches).toEqual([]);
  });
});
