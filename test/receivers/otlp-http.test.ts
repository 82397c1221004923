import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { PipelineError } from "../../src/otlp/status.ts";
import { SIGNALS, type Signal } from "../../src/otlp/tape.ts";
import { decodeMessage, encodeRequest, responseType, typeOf } from "../support/otlp.ts";
import { Door, type DoorOptions, dial, readAll, requestOf } from "../support/otlp-door.ts";
import { snappyBlock } from "../support/snappy.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
const PROTOBUF = "application/x-protobuf";
const HTTP_ONLY = { http: { endpoint: "127.0.0.1:0" } };

let door: Door;
afterEach(async () => {
  await door.stop();
  expect(door.budget.used, "every lease is given back").toBe(0);
});

async function open(options: DoorOptions = {}): Promise<Door> {
  door = await new Door({ protocols: HTTP_ONLY, indexer: createIndexer(), ...options }).start();
  return door;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

async function post(
  path: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(`${door.http}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": PROTOBUF, ...headers },
  });
  return {
    status: answer.status,
    headers: answer.headers,
    body: Buffer.from(await answer.arrayBuffer()),
  };
}

/** The Status body of an error, which must be in the encoding that its content type says. */
function statusOf({ headers, body }: Answer): { code: unknown; message: string } {
  const type = headers.get("content-type");
  expect([PROTOBUF, "application/json"]).toContain(type);
  const { code, message } =
    type === PROTOBUF
      ? decodeMessage(typeOf("google.rpc.Status"), body)
      : (JSON.parse(body.toString()) as Record<string, unknown>);
  return { code, message: String(message) };
}

test.each(SIGNALS)(
  "O1, O4, O12: %s in every encoding, answered with an empty body",
  async (signal) => {
    await open();
    const bytes = encodeRequest(signal, requestOf(signal, 3));
    const path = `/v1/${signal}`;
    const answers = [
      await post(path, bytes),
      await post(path, gzipSync(bytes), { "content-encoding": "gzip" }),
      await post(path, zstdCompressSync(bytes), { "content-encoding": "zstd" }),
      await post(path, deflateSync(bytes), { "content-encoding": "deflate" }),
      await post(
        path,
        snappyBlock(bytes, () => 0),
        { "content-encoding": "snappy" },
      ),
      await post(path, bytes, { "content-encoding": "identity" }),
    ];
    for (const { status, headers, body } of answers) {
      expect([status, headers.get("content-type"), body.length]).toEqual([200, PROTOBUF, 0]);
    }
    expect(door.submitted.map((batch) => [batch.signal, batch.items])).toEqual(
      Array.from({ length: 6 }, () => [signal, 3]),
    );
    for (const batch of door.submitted)
      expect(Buffer.from(batch.bytes.subarray(0, batch.length)).equals(bytes)).toBe(true);
    expect(door.outcome("http", "accepted")).toBe(6);
  },
);

test("O2: the limit holds for the body as sent and as decoded, to the byte", async () => {
  await open({
    protocols: { http: { endpoint: "127.0.0.1:0", max_request_body_size: MIB } },
  });
  const exact = paddedRequest(MIB);
  const over = paddedRequest(MIB + 1);
  expect((await post("/v1/logs", exact)).status).toBe(200);
  expect((await post("/v1/logs", gzipSync(exact), { "content-encoding": "gzip" })).status).toBe(
    200,
  );
  for (const answer of [
    await post("/v1/logs", over),
    await post("/v1/logs", gzipSync(over), { "content-encoding": "gzip" }),
    await post("/v1/logs", zstdCompressSync(over), { "content-encoding": "zstd" }),
  ]) {
    expect(answer.status).toBe(413);
    expect(statusOf(answer)).toMatchObject({ code: 8, message: expect.stringContaining("limit") });
    expect(answer.headers.has("retry-after")).toBe(false);
  }
  expect(door.outcome("http", "too_large")).toBe(3);
});

/** A log request of exactly `size` bytes: one record with a long body. */
function paddedRequest(size: number): Uint8Array {
  for (let length = size - 60; length < size; length++) {
    const bytes = encodeRequest("logs", requestOf("logs", 1, "x".repeat(length)));
    if (bytes.length === size) return bytes;
  }
  throw new Error(`no request of ${size} bytes`);
}

test("O2: the default limit is 64 MiB, and a body of that size is taken without a long stall", async () => {
  await open({ budgetBytes: 512 * MIB });
  const record = "y".repeat(4_000);
  const bytes = encodeRequest("logs", requestOf("logs", 16_000, record));
  expect(bytes.length).toBeGreaterThan(60 * MIB);
  const answer = await post("/v1/logs", bytes);
  expect(answer.status).toBe(200);
  expect(door.submitted[0]?.items).toBe(16_000);
  const over = await post("/v1/logs", new Uint8Array(64 * MIB + 1));
  expect(over.status).toBe(413);
});

test("O4: an empty request is a success and reaches no pipeline", async () => {
  await open();
  expect((await post("/v1/logs", new Uint8Array(0))).status).toBe(200);
  expect((await post("/v1/traces", encodeRequest("traces", { resourceSpans: [{}] }))).status).toBe(
    200,
  );
  expect(door.submitted).toEqual([]);
});

test.each(SIGNALS)(
  "O5: partial success of %s: the rest is kept, the rejected are counted",
  async (signal) => {
    await open({
      index: (of, bytes, length) => {
        const indexed = createIndexer().index(of, bytes, length);
        return "refused" in indexed ? indexed : { ...indexed, rejected: 2, why: "id too long" };
      },
      indexer: undefined,
    });
    const answer = await post(`/v1/${signal}`, encodeRequest(signal, requestOf(signal, 5)));
    expect(answer.status).toBe(200);
    const field = {
      logs: "rejectedLogRecords",
      metrics: "rejectedDataPoints",
      traces: "rejectedSpans",
    }[signal];
    expect(decodeMessage(responseType(signal), answer.body)).toEqual({
      partialSuccess: { [field]: "2", errorMessage: "id too long" },
    });
    expect(door.submitted).toHaveLength(1);
    expect(door.rejected).toEqual([{ signal, items: 2, why: "id too long" }]);
    expect(door.outcome("http", "partial")).toBe(1);
  },
);

test("O6: each refusal has a Status body in the request's own encoding", async () => {
  await open({ signals: ["logs"] });
  const json = { "content-type": "application/json; charset=utf-8" };
  const cases: [Answer, number, number][] = [
    [await post("/v1/nothing", new Uint8Array(1)), 404, 12],
    [await post("/v1/traces", new Uint8Array(1)), 404, 12],
    [await post("/v1/logs/", new Uint8Array(1)), 404, 12],
    [await post("//v1/logs", new Uint8Array(1)), 404, 12],
    [await post("/V1/logs", new Uint8Array(1)), 404, 12],
    [await post("/v1/nothing", Buffer.from("{}"), json), 404, 12],
    [await post("/v1/logs", Buffer.from("{"), json), 400, 3],
    [await post("/v1/logs", Buffer.from("x"), { "content-type": "text/plain" }), 415, 3],
    [await post("/v1/logs", Buffer.from("x"), { "content-encoding": "gzip, gzip" }), 415, 3],
    [await post("/v1/logs", Buffer.from("x"), { "content-encoding": "br" }), 415, 3],
    [await post("/v1/logs", Buffer.from("x"), { "content-encoding": "gzip" }), 400, 3],
    [await post("/v1/logs", Buffer.from([0xff, 0xff])), 400, 3],
  ];
  for (const [answer, status, code] of cases) {
    const said = statusOf(answer);
    expect([answer.status, said.code], said.message).toEqual([status, code]);
    expect(said.message.length).toBeGreaterThan(10);
  }
  expect(cases[5]?.[0].headers.get("content-type")).toBe("application/json");
  expect(cases[6]?.[0].body.toString()).toContain("not an OTLP/JSON logs request");
  expect(cases[9]?.[0].headers.get("accept-encoding")).toBe("gzip, zstd, deflate, snappy");
});

test("O7, O12: JSON on the same port, answered in JSON: full, partial, empty, too large", async () => {
  await open({ signals: ["logs"] });
  const json = { "content-type": "Application/JSON; charset=utf-8" };
  const send = (text: string) => post("/v1/logs", Buffer.from(text), json);
  const records = (...logRecords: object[]) =>
    JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  const good = { body: { stringValue: "x" } };
  const full = await send(records(good, good));
  expect([full.status, full.body.toString()]).toEqual([200, "{}"]);
  expect(full.headers.get("content-type")).toBe("application/json");
  const partial = JSON.parse((await send(records(good, { traceId: "xyz" }))).body.toString());
  expect(partial.partialSuccess).toMatchObject({ rejectedLogRecords: "1" });
  expect(partial.partialSuccess.errorMessage).toContain(
    "logRecords[1].traceId: must be 32 hex digits",
  );
  expect((await send("{}")).body.toString()).toBe("{}");
  const large = await send(records({ body: { stringValue: "x".repeat(5 << 20) } }, good));
  expect([large.status, large.body.toString()]).toEqual([200, "{}"]);
  expect(door.submitted.at(-1)?.items).toBe(2);
});

const KEYED: Partial<DoorOptions> = {
  protocols: {
    http: { endpoint: "127.0.0.1:0", auth: { authenticator: "bearer_token_auth" } },
  },
  auth: {
    check: (header) =>
      header("authorization") === "Bearer key"
        ? undefined
        : { why: "the token is not known here", challenge: "Bearer" },
  },
};

test("without credentials: 401 with a Status body, before the path is looked at and before any byte is taken", async () => {
  await open(KEYED);
  for (const path of ["/v1/logs", "/v1/nothing"])
    for (const type of [PROTOBUF, "application/json"]) {
      const answer = await post(path, new Uint8Array(1_000_000), { "content-type": type });
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect(answer.headers.get("content-type")).toBe(type);
      expect(statusOf(answer)).toEqual({ code: 16, message: "the token is not known here" });
    }
  expect(door.admitted).toEqual([]);
  expect(door.outcome("http", "unauthorized")).toBe(4);
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  expect((await post("/v1/logs", bytes, { authorization: "Bearer key" })).status).toBe(200);
  expect(door.logged.join()).not.toContain("key");
});

test("O6, O12: profiles are a 404 that says why, in both encodings", async () => {
  await open();
  for (const type of [PROTOBUF, "application/json"]) {
    const answer = await post("/v1development/profiles", new Uint8Array(1), {
      "content-type": type,
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([404, type]);
    expect(statusOf(answer)).toMatchObject({
      code: 12,
      message: expect.stringMatching(/^profiles are not taken.*\/v1\/logs/),
    });
  }
});

test("O6: other methods are 405 with Allow", async () => {
  await open();
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const answer = await fetch(`${door.http}/v1/logs`, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
    const { message } = decodeMessage(
      typeOf("google.rpc.Status"),
      Buffer.from(await answer.arrayBuffer()),
    );
    expect(message).toContain("send POST");
  }
});

test("O7: content types are read without regard to case and parameters", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  for (const type of [
    "Application/X-Protobuf",
    "application/x-protobuf; charset=utf-8",
    " application/x-protobuf ;x=y",
  ])
    expect((await post("/v1/logs", bytes, { "content-type": type })).status).toBe(200);
  for (const type of ["application/x-protobuf2", "application/protobuf", "x", ""])
    expect((await post("/v1/logs", bytes, { "content-type": type })).status).toBe(415);
});

test("O8: a request cut anywhere is 400 or, where it is whole again, a success; never anything else", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 2));
  const statuses = new Set<number>();
  for (let cut = 1; cut < bytes.length; cut++) {
    const answer = await post("/v1/logs", bytes.subarray(0, cut));
    statuses.add(answer.status);
    if (answer.status !== 200) expect(statusOf(answer).code).toBe(3);
  }
  expect([...statuses]).toEqual([400]);
});

test("O9: a full budget refuses before the body, with a jittered Retry-After of whole seconds", async () => {
  await open({ budgetBytes: 10_000 });
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const answer = await post("/v1/logs", new Uint8Array(9_000));
    expect(answer.status).toBe(503);
    expect(statusOf(answer).code).toBe(14);
    seen.add(answer.headers.get("retry-after") ?? "none");
  }
  for (const seconds of seen) expect(seconds).toMatch(/^[1-5]$/);
  expect(seen.size).toBeGreaterThan(1);
  expect(door.outcome("http", "refused")).toBe(40);
  expect((await post("/v1/logs", encodeRequest("logs", requestOf("logs", 1)))).status).toBe(200);
});

test.each([
  ["refused", 503, true],
  ["unavailable", 503, true],
  ["invalid", 400, false],
  ["unauthorized", 401, false],
  ["internal", 500, false],
] as const)("O9: a submit that fails as %s is %d", async (kind, status, retries) => {
  await open({
    submit: async () => {
      throw new PipelineError({ kind, retryAfterMs: retries ? 9_000 : 0, why: "the disk is full" });
    },
  });
  const answer = await post("/v1/logs", encodeRequest("logs", requestOf("logs", 1)));
  expect(answer.status).toBe(status);
  expect(answer.headers.get("retry-after")).toBe(retries ? "9" : null);
  expect(statusOf(answer).message).toBe(
    kind === "internal" ? "internal error" : "the disk is full",
  );
  expect(door.outcome("http", kind)).toBe(1);
});

test("a failure of ours is 500 and logged, and nothing of it is told", async () => {
  await open({ submit: () => Promise.reject(new TypeError("secret")) });
  const answer = await post("/v1/logs", encodeRequest("logs", requestOf("logs", 1)));
  expect([answer.status, answer.body.includes("secret")]).toEqual([500, false]);
  expect(door.logged.join()).toContain("secret");
});

test("O13, O17: unknown fields and string-table fields pass", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  // Field 999 of every wire type, behind the request's own field.
  const unknown = [
    [0xb8, 0x3e, 0x01],
    [0xb9, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8],
    [0xba, 0x3e, 0x02, 1, 2],
    [0xbd, 0x3e, 1, 2, 3, 4],
  ].flat();
  expect((await post("/v1/logs", Buffer.concat([bytes, Buffer.from(unknown)]))).status).toBe(200);
  expect(door.submitted[0]?.items).toBe(1);
  // AnyValue field 8 (string_value_strindex) as the body of a record.
  const record = [0x2a, 0x02, 0x40, 0x05];
  const scope = [0x12, record.length, ...record];
  const resource = [0x12, scope.length, ...scope];
  const indexed = Uint8Array.of(0x0a, resource.length, ...resource);
  expect((await post("/v1/logs", indexed)).status).toBe(200);
  expect(door.submitted[1]?.items).toBe(1);
});

test("a length that lies: shorter bodies wait and free their lease when the client leaves", async () => {
  await open();
  const socket = await dial(door.httpAddress);
  socket.write(
    `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: 5000000\r\n\r\nabc`,
  );
  await until(() => door.budget.used > 1_000_000);
  socket.destroy();
  await until(() => door.budget.used === 0);
  expect(door.outcome("http", "gone")).toBe(1);
});

test("slow clients that declare 64 MiB hold what they have sent, not what they promise", async () => {
  await open({ budgetBytes: 128 * MIB });
  const slow = await Promise.all(Array.from({ length: 20 }, () => dial(door.httpAddress)));
  for (const socket of slow) {
    socket.write(
      `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: ${64 * MIB}\r\n\r\n`,
    );
    socket.write(Buffer.alloc(100_000));
  }
  await until(() => door.admitted.length === 20);
  expect(door.budget.used).toBeLessThan(21 * MIB);
  const large = encodeRequest("logs", requestOf("logs", 1, "x".repeat(30 * MIB)));
  expect((await post("/v1/logs", large)).status).toBe(200);
  for (const socket of slow) socket.destroy();
  await until(() => door.budget.used === 0);
});

test("a body that outgrows the whole budget while it arrives is too large, and its bytes are given back", async () => {
  await open({ budgetBytes: 10 * MIB });
  const answer = await post("/v1/logs", new Uint8Array(40 * MIB));
  expect([answer.status, statusOf(answer).message]).toEqual([
    413,
    expect.stringContaining("send fewer items in one request"),
  ]);
  expect(door.outcome("http", "too_large")).toBe(1);
});

test("half-open: a client that has sent all and closed its side still gets its answer", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  const socket = await dial(door.httpAddress);
  socket.write(
    `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
  );
  socket.end(bytes);
  expect(await readAll(socket)).toMatch(/^HTTP\/1.1 200 /);
});

test("the lease is held until the submit has ended, also when the client has left", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let isSubmitted = false;
  const submit = () => {
    isSubmitted = true;
    return gate;
  };
  await open({ submit });
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  const socket = await dial(door.httpAddress);
  socket.write(
    `POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
  );
  socket.write(bytes);
  await until(() => isSubmitted);
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(door.budget.used).toBeGreaterThan(0);
  finish();
  await until(() => door.budget.used === 0);
  expect(door.submitted).toHaveLength(1);
});

test("signals may have other paths; the usual ones are then unknown", async () => {
  await open({
    protocols: {
      http: { endpoint: "127.0.0.1:0", logs_url_path: "in/logs", traces_url_path: "/t" },
    },
  });
  const send = async (path: string, signal: Signal) =>
    (await post(path, encodeRequest(signal, requestOf(signal, 1)))).status;
  expect(await send("/in/logs", "logs")).toBe(200);
  expect(await send("/t", "traces")).toBe(200);
  expect(await send("/v1/logs", "logs")).toBe(404);
  expect(await send("/v1/metrics", "metrics")).toBe(200);
});

test("stop under load: what was answered 200 was submitted, the rest was refused or cut", async () => {
  await open();
  const bytes = encodeRequest("logs", requestOf("logs", 1));
  let accepted = 0;
  let isOver = false;
  const sender = async () => {
    while (!isOver) {
      try {
        const answer = await post("/v1/logs", bytes);
        if (answer.status === 200) accepted += 1;
      } catch {
        isOver = true;
      }
    }
  };
  const senders = Array.from({ length: 8 }, sender);
  await until(() => accepted > 100);
  await door.stop();
  isOver = true;
  await Promise.all(senders);
  expect(door.submitted.length).toBeGreaterThanOrEqual(accepted);
});
