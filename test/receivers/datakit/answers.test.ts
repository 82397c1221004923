import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { datakitDoor } from "./door.ts";

const GOOD = "m,t=a v=1i 1705314600000000000";
const BAD = "some2,t1=1,t2 f1=1i,f2=3";
const METRIC = "/v1/write/metric";
const JSON_TYPE = { "content-type": "application/json" };
const PB_TYPE = { "content-type": "application/protobuf; proto=com.guance.Point" };
/** PBPoints of one point: name "m", a field v = 1, time 5. */
const PROTOBUF = Buffer.from("0a0c0a016d12050a01761001180500", "hex").subarray(0, 14);

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(options: object = {}) {
  const door = await datakitDoor(options);
  stops.push(door.stop);
  return door;
}

interface Row {
  readonly what: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly options?: object;
  readonly status: number;
  /** "" for none; else the code, and the beginning of the message. */
  readonly answer: "" | readonly [code: string, message: string];
  readonly has?: Record<string, string | null>;
  /** Points that were stored, and points that were not. */
  readonly points: readonly [number, number];
}

const TOKENS = { tokens: ["tkn_a", "tkn b"] };
const FUNC = { "x-dff-line-protocol-category": "metric" };
const bad = (good: number, failed: number, body: string, list: string) =>
  `invalid lineprotocol: ${list}\nwith ${good} point parse ok, ${failed} points failed. Origin data: ${JSON.stringify(body)}`;

const ROWS: readonly Row[] = [
  { what: "good", path: METRIC, body: GOOD, status: 200, answer: "", points: [1, 0] },
  ...["metrics", "logging", "object", "object_change", "custom_object", "network", "keyevent"]
    .concat(["tracing", "rum", "security", "profiling", "dialtesting"])
    .map(
      (name): Row => ({
        what: `category ${name}`,
        path: `/v1/write/${name}`,
        body: GOOD,
        status: 200,
        answer: "",
        points: [1, 0],
      }),
    ),
  ...["", "Metric", "metric/", "logstreaming", "%6detric", "__proto__"].map(
    (name): Row => ({
      what: `no category: ${name}`,
      path: `/v1/write/${name}`,
      body: GOOD,
      status: 400,
      answer: ["invalidCategory", `invalid category: ${JSON.stringify(name)}`],
      points: [0, 0],
    }),
  ),
  {
    what: "empty body",
    path: METRIC,
    body: "",
    status: 400,
    answer: ["emptyBody", "empty body"],
    points: [0, 0],
  },
  {
    what: "empty body behind gzip",
    path: METRIC,
    body: gzipSync(""),
    headers: { "content-encoding": "gzip" },
    status: 400,
    answer: ["emptyBody", "empty body"],
    points: [0, 0],
  },
  ...["# only a comment\n", "\n\n"].map(
    (body): Row => ({
      what: "no points",
      path: METRIC,
      body,
      status: 400,
      answer: ["noPoints", "no points"],
      points: [0, 0],
    }),
  ),
  {
    what: "no points in JSON",
    path: METRIC,
    body: "[]",
    headers: JSON_TYPE,
    status: 400,
    answer: ["noPoints", "no points"],
    points: [0, 0],
  },
  {
    what: "a bad line among good ones: DataKit's own example",
    path: "/v1/write/logging",
    body: `some1,t1=1,t2=v2 f1=1i,f2=3\n${BAD}\nsome3,t1=1,t2=v3 f1=1i,f2=3\nsome2,t1=1,t2 f1=1i,f2=\n`,
    status: 400,
    answer: [
      "invalidLinePoint",
      bad(
        2,
        2,
        `some1,t1=1,t2=v2 f1=1i,f2=3\n${BAD}\nsome3,t1=1,t2=v3 f1=1i,f2=3\nsome2,t1=1,t2 f1=1i,f2=\n`,
        `unable to parse '${BAD}'(pos: 29): missing tag value\nunable to parse 'some2,t1=1,t2 f1=1i,f2='(pos: 82): missing tag value`,
      ),
    ],
    points: [2, 2],
  },
  {
    what: "the same from DataFlux Func, which would send nothing more",
    path: METRIC,
    headers: FUNC,
    body: `${GOOD}\n${BAD}`,
    status: 200,
    answer: "",
    points: [1, 1],
  },
  ...["strict", "dry"].map(
    (name): Row => ({
      what: `a bad line from DataFlux Func, ${name}`,
      path: `${METRIC}?${name}=1`,
      headers: FUNC,
      body: `${GOOD}\n${BAD}`,
      status: 400,
      answer: ["invalidLinePoint", "invalid lineprotocol: unable to parse"],
      points: [0, name === "dry" ? 0 : 2],
    }),
  ),
  {
    what: "only bad lines from DataFlux Func",
    path: METRIC,
    headers: FUNC,
    body: BAD,
    status: 400,
    answer: [
      "invalidLinePoint",
      bad(0, 1, BAD, `unable to parse '${BAD}'(pos: 1): missing tag value`),
    ],
    points: [0, 1],
  },
  {
    what: "strict: one bad line refuses all",
    path: `${METRIC}?strict=1`,
    body: `${GOOD}\n${BAD}`,
    status: 400,
    answer: ["invalidLinePoint", "invalid lineprotocol: "],
    points: [0, 2],
  },
  {
    what: "strict: a time that does not fit",
    path: `${METRIC}?strict=1&precision=h`,
    body: GOOD,
    status: 400,
    answer: ["pointGotWarning", "1 points have a time before 1677 or after 2262"],
    points: [0, 1],
  },
  {
    what: "the same without strict",
    path: `${METRIC}?precision=h`,
    body: GOOD,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  { what: "dry", path: `${METRIC}?dry=1`, body: GOOD, status: 200, answer: "", points: [0, 0] },
  {
    what: "dry, bad",
    path: `${METRIC}?dry=false`,
    body: BAD,
    status: 400,
    answer: ["invalidLinePoint", "invalid lineprotocol: unable to parse"],
    points: [0, 0],
  },
  {
    what: "an empty switch does not count",
    path: `${METRIC}?dry=&strict=`,
    body: `${GOOD}\n${BAD}`,
    headers: FUNC,
    status: 200,
    answer: "",
    points: [1, 1],
  },
  {
    what: "parameters without effect here",
    path: `${METRIC}?input=x&source=y&version=1&storage_index=z&loose=1&ignore_global_host_tags=1&ignore_global_tags=1&global_election_tags=1&precision=n`,
    body: GOOD,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "bad JSON",
    path: METRIC,
    headers: JSON_TYPE,
    body: '[{"measurement":"m","fields":{"v":1}},{"measurement":"m"}]',
    status: 400,
    answer: [
      "invalidJsonPoint",
      "invalid JSON point: point 2: it has no field\nwith 1 point parse ok, 1 points failed.",
    ],
    points: [1, 1],
  },
  {
    what: "lines that are said to be JSON",
    path: METRIC,
    headers: JSON_TYPE,
    body: GOOD,
    status: 400,
    answer: ["invalidJsonPoint", "invalid JSON point: point 1: a point is an object"],
    points: [0, 1],
  },
  {
    what: "JSON that curl says is a form",
    path: METRIC,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: '[{"measurement":"m","fields":{"v":1}}]',
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "protobuf",
    path: METRIC,
    headers: PB_TYPE,
    body: PROTOBUF,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "bad protobuf",
    path: METRIC,
    headers: PB_TYPE,
    body: Buffer.concat([PROTOBUF, Buffer.from([10, 200])]),
    status: 400,
    answer: ["invalidProtobufPoint", "invalid protobuf point: point 2: not valid protobuf: "],
    points: [1, 1],
  },
  ...(
    [
      ["gzip", gzipSync],
      ["deflate", deflateSync],
      ["br", brotliCompressSync],
      ["zstd", zstdCompressSync],
    ] as const
  ).flatMap(([name, compress]): Row[] => [
    {
      what: `Content-Encoding ${name}`,
      path: METRIC,
      body: compress(GOOD),
      headers: { "content-encoding": name },
      status: 200,
      answer: "",
      points: [1, 0],
    },
    {
      what: `encoding=${name}`,
      path: `${METRIC}?encoding=${name}`,
      body: compress(GOOD),
      status: 200,
      answer: "",
      points: [1, 0],
    },
    {
      what: `damaged ${name}`,
      path: METRIC,
      body: compress(Buffer.alloc(2_000, GOOD)).subarray(0, 20),
      headers: { "content-encoding": name },
      status: 400,
      answer: ["decodeBodyFailed", `the body is not ${name}, as its encoding header says`],
      points: [0, 0],
    },
  ]),
  ...["gzip", "deflate", "zstd", "x-gzip", "identity"].map(
    (name): Row => ({
      what: `${name} is said of a plain body`,
      path: METRIC,
      body: GOOD,
      headers: { "content-encoding": name },
      status: 200,
      answer: "",
      points: [1, 0],
    }),
  ),
  ...[gzipSync(GOOD), zstdCompressSync(GOOD)].map(
    (body): Row => ({
      what: "compressed, and nothing said of it",
      path: METRIC,
      body,
      status: 200,
      answer: "",
      points: [1, 0],
    }),
  ),
  {
    what: "an unknown encoding",
    path: METRIC,
    body: GOOD,
    headers: { "content-encoding": "lz4" },
    status: 400,
    answer: ["decodeBodyFailed", 'unknown encoding "lz4": send gzip, deflate, br, zstd or none'],
    points: [0, 0],
  },
  {
    what: "too large",
    path: METRIC,
    body: `${GOOD}\n`.repeat(10),
    options: { max_request_body_size: 100 },
    status: 413,
    answer: ["badRequest", "the body has 310 bytes, the limit is 100"],
    points: [0, 0],
  },
  {
    what: "too large once decompressed",
    path: METRIC,
    body: gzipSync(`${GOOD}\n`.repeat(10)),
    options: { max_request_body_size: 100 },
    status: 413,
    answer: ["badRequest", "the decoded body is larger than the limit of 100 bytes"],
    points: [0, 0],
  },
  {
    what: "a known token",
    path: `${METRIC}?token=tkn_a`,
    options: TOKENS,
    body: GOOD,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "another, percent-encoded",
    path: `${METRIC}?precision=n&token=tkn%20b`,
    options: TOKENS,
    body: GOOD,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "a wrong token",
    path: `${METRIC}?token=tkn_c`,
    options: TOKENS,
    body: GOOD,
    status: 401,
    answer: ["invalidToken", "invalid token"],
    points: [0, 0],
  },
  {
    what: "no token",
    path: METRIC,
    options: TOKENS,
    body: GOOD,
    status: 401,
    answer: ["invalidToken", "no token: add ?token=… to the address"],
    points: [0, 0],
  },
  {
    what: "any token where none is configured",
    path: `${METRIC}?token=tkn_c`,
    body: GOOD,
    status: 200,
    answer: "",
    points: [1, 0],
  },
  {
    what: "GET of a write",
    path: METRIC,
    method: "GET",
    status: 405,
    answer: ["badRequest", "send POST, not GET"],
    has: { allow: "POST" },
    points: [0, 0],
  },
  {
    what: "what is not served",
    path: "/v1/query/raw?token=tkn_a",
    body: "{}",
    status: 404,
    answer: ["badRequest", 'POST "/v1/query/raw" is not served here'],
    points: [0, 0],
  },
];

describe.each(ROWS)("$what", (row) => {
  test(`${row.method ?? "POST"} ${row.path}: ${row.status}`, async () => {
    const { rig, url } = await start(row.options);
    const response = await fetch(url + row.path, {
      method: row.method ?? "POST",
      ...(row.body !== undefined && { body: row.body }),
      headers: { "content-type": "text/plain", ...row.headers },
    });
    const text = await response.text();
    expect([response.status, text !== ""]).toEqual([row.status, row.answer !== ""]);
    if (row.answer !== "") {
      const [code, message] = row.answer;
      expect(response.headers.get("content-type")).toBe("application/json");
      const told = JSON.parse(text);
      expect(Object.keys(told)).toEqual(["error_code", "message"]);
      expect(told.error_code).toBe(`datakit.${code}`);
      expect(told.message.slice(0, message.length)).toBe(message);
    }
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("x-datakit")).toBe("weir");
    for (const [name, value] of Object.entries(row.has ?? {}))
      expect(response.headers.get(name)).toBe(value);
    expect([rig.items, rig.lost]).toEqual(row.points);
    const said = rig.said.join();
    expect(said).not.toMatch(/tkn/);
    expect(said === "").toBe(rig.lost === 0);
  });
});
