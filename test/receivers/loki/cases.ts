import { deflateRawSync, gzipSync } from "node:zlib";
import { encodePush, type PushStream } from "../../series/loki/push-proto.ts";
import { seeded } from "../../support/seeded.ts";
import { snappyBlock } from "../../support/snappy.ts";

/**
 * Requests that Loki takes, takes in part or refuses. What Loki 3.7.8 answered is in test/fixtures/loki/push-answers.json; `npm run interop` asks a
 * real one again.
 */
export interface PushCase {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const DAY = 86_400_000_000_000n;
const MINUTE = 60_000_000_000n;
const JSON_TYPE = { "content-type": "application/json" };
const PROTOBUF = { "content-type": "application/x-protobuf" };
const PUSH = "/loki/api/v1/push";
const OLD_PUSH = "/api/prom/push";

/** A block of snappy. */
export function snapped(bytes: Uint8Array): Buffer {
  return snappyBlock(bytes, seeded(7));
}

/** A push in protobuf, compressed. */
export function pushOf(...streams: readonly PushStream[]): Buffer {
  return snapped(encodePush(streams));
}

/** One stream with one entry. */
export function oneEntry(labels: string, nanos: bigint, line = "x"): Buffer {
  return pushOf({ labels, entries: [{ nanos, line, metadata: [] }] });
}

/** A push in JSON, of one stream. */
export function jsonPush(stream: unknown, ...values: readonly unknown[]): string {
  return JSON.stringify({ streams: [{ stream, values }] });
}

const LABEL_TEXTS = [
  '{a="b",}',
  '{a="b" , c="d"}',
  '{ a = "b" }',
  "{a=`b`}",
  "{a='b'}",
  '{a="b\\n\\x41\\u00e4\\101"}',
  '{a="b',
  "{a=b}",
  'a="b"',
  '{a!="b"}',
  '{a=~"b"}',
  '{a="b"} x',
  '{a="b",a="c"}',
  '{,a="b"}',
  '{a=""}',
  '{"a"="b"}',
  '{a="b";c="d"}',
  '{a="b\\q"}',
  '{a="b\\xg1"}',
  '{a="b\\ud800"}',
  '{a="b\nc"}',
  "{a}",
  '{a="b"',
  "{a=",
  "{",
  "}",
  "{}",
  "",
  '{a.b="c"}',
  '{1a="c"}',
  '{ä="c"}',
  '{a="b" c="d"}',
  '{by="x"}',
  '{a="1", /* x */ b="2"}',
  '{a="b"} # c',
  "{a=5}",
  '{service_name=""}',
  '{a:b="c"}',
  '{a="b"}|="x"',
  '{a==  "b"}',
  '{a="b\\"}',
  'up{a="b"}',
  "up",
] as const;

const manyLabels = (count: number, more: object = {}) => ({
  ...Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "v"])),
  ...more,
});

/** Bodies in JSON by name; `now` is the time in nanoseconds. */
function jsonBodies(now: bigint): Readonly<Record<string, string>> {
  const at = String(now);
  const old = String(now - 8n * DAY);
  const app = { app: "a" };
  return {
    taken: jsonPush(app, [at, "x"]),
    "with metadata": jsonPush(app, [at, "x", { k: "v" }]),
    "no entries": jsonPush(app),
    "no stream": JSON.stringify({ streams: [{ values: [[at, "x"]] }] }),
    "no values": JSON.stringify({ streams: [{ stream: app }] }),
    "values before stream": `{"streams":[{"values":[["${at}","x"]],"stream":{"a":"b"}}]}`,
    "no streams": '{"streams":[]}',
    "an empty object": "{}",
    "streams is null": '{"streams":null}',
    "streams is an object": '{"streams":{}}',
    "stream is null": jsonPush(null, [at, "x"]),
    "names that mean nothing": `{"x":[1],"streams":[{"y":{},"stream":{"a":"b"},"values":[["${at}","x"]]}]}`,
    "a dot in a name": jsonPush({ "service.name": "a" }, [at, "x"]),
    "a digit before a name": jsonPush({ "9a": "a" }, [at, "x"]),
    "an empty name": jsonPush({ "": "a" }, [at, "x"]),
    "a name with an umlaut": jsonPush({ ä: "a" }, [at, "x"]),
    "a label that is a number": jsonPush({ app: 1 }, [at, "x"]),
    "a label that is null": jsonPush({ app: null }, [at, "x"]),
    "time is a number": `{"streams":[{"stream":{"app":"a"},"values":[[${at},"x"]]}]}`,
    "time is a word": jsonPush(app, ["abc", "x"]),
    "time has a fraction": jsonPush(app, ["1.5", "x"]),
    "time is too large": jsonPush(app, ["99999999999999999999", "x"]),
    "time is empty": jsonPush(app, ["", "x"]),
    "time is negative": jsonPush(app, ["-1", "x"]),
    "time is 0": jsonPush(app, ["0", "x"]),
    "an entry without a line": jsonPush(app, [at]),
    "an entry of nothing": jsonPush(app, []),
    "an entry of four": jsonPush(app, [at, "x", {}, 1]),
    "an entry is null": jsonPush(app, null, [at, "x"]),
    "an entry is a text": jsonPush(app, "x"),
    "values is an object": '{"streams":[{"stream":{"app":"a"},"values":{}}]}',
    "line is a number": jsonPush(app, [at, 5]),
    "line is null": jsonPush(app, [at, null]),
    "metadata is a list": jsonPush(app, [at, "x", []]),
    "metadata is null": jsonPush(app, [at, "x", null]),
    "metadata is a text": jsonPush(app, [at, "x", "s"]),
    "metadata with a number": jsonPush(app, [at, "x", { n: 1 }]),
    "not JSON": "{bad",
    nothing: "",
    "a list": "[]",
    null: "null",
    "text behind the end": `${jsonPush(app, [at, "x"])}xx`,
    truncated: jsonPush(app, [at, "x"]).slice(0, -3),
    "16 labels": jsonPush(manyLabels(16), [at, "x"], [at, "y"]),
    "15 labels": jsonPush(manyLabels(15), [at, "x"]),
    "15 labels and service_name": jsonPush(manyLabels(15, { service_name: "q" }), [at, "x"]),
    "a value of 2049 bytes": jsonPush({ app: "v".repeat(2_049) }, [at, "x"]),
    "a name of 1025 bytes": jsonPush({ ["a".repeat(1_025)]: "v" }, [at, "x"]),
    "8 days old": jsonPush(app, [old, "x"]),
    "11 minutes ahead": jsonPush(app, [String(now + 11n * MINUTE), "x"]),
    "9 minutes ahead": jsonPush(app, [String(now + 9n * MINUTE), "x"]),
    "two of 8 days": jsonPush(app, [old, "x"], [old, "x"]),
    "old, ahead and good": jsonPush(
      app,
      [old, "x"],
      [String(now + 11n * MINUTE), "x"],
      [at, "good"],
    ),
    "262144 bytes": jsonPush(app, [at, "x".repeat(262_144)]),
    "262145 bytes": jsonPush(app, [at, "x".repeat(262_145)]),
    "old and long": jsonPush(app, [old, "x".repeat(262_145)]),
    "much metadata": jsonPush(app, [at, "x", { k: "v".repeat(65_536) }]),
    "many names of metadata": jsonPush(app, [at, "x", manyLabels(129)]),
    "a good stream behind a bad one": JSON.stringify({
      streams: [
        { stream: manyLabels(16), values: [[at, "x"]] },
        { stream: { a: "b" }, values: [[at, "g"]] },
      ],
    }),
  };
}

/** Bodies in protobuf, before snappy, by name. */
function protobufBodies(now: bigint): Readonly<Record<string, Uint8Array>> {
  const entry = { nanos: now, line: "x", metadata: [["k", "v"]] as const };
  return {
    taken: encodePush([{ labels: '{a="b"}', entries: [entry] }]),
    "no streams": new Uint8Array(0),
    "no entries": encodePush([{ labels: '{a="b"}', entries: [] }]),
    "no time": encodePush([{ labels: '{a="b"}', entries: [{ ...entry, nanos: 0n }] }]),
    "a length beyond the end": Uint8Array.of(0x0a, 0x05, 1, 2),
    "wire type 7": Uint8Array.of(0x0f, 0x05, 1, 2),
    "field 0": Uint8Array.of(0x02, 0x00),
    "a number for a stream": Uint8Array.of(0x08, 0x05),
    "no label text": Uint8Array.of(0x0a, 0x02, 0x12, 0x00),
    "labels that are no UTF-8": Uint8Array.of(
      0x0a,
      0x0b,
      0x0a,
      0x07,
      0x7b,
      0x61,
      0x3d,
      0x22,
      0xff,
      0x22,
      0x7d,
      0x12,
      0x00,
    ),
  };
}

/** All cases, for a Loki whose clock says `nowMs`. */
export function pushCases(nowMs: number): PushCase[] {
  const now = BigInt(nowMs) * 1_000_000n;
  const at = new Date(nowMs).toISOString();
  const old = (entry: object) =>
    Buffer.from(JSON.stringify({ streams: [{ labels: '{a="b"}', entries: [entry] }] }));
  const good = Buffer.from(jsonPush({ app: "a" }, [String(now), "x"]));
  const cases: PushCase[] = [];
  const add = (name: string, body: Uint8Array, headers: object, path = PUSH) =>
    cases.push({ name, path, headers: { ...headers }, body });
  for (const [name, body] of Object.entries(jsonBodies(now)))
    add(`JSON: ${name}`, Buffer.from(body), JSON_TYPE);
  for (const [name, body] of Object.entries(protobufBodies(now)))
    add(`protobuf: ${name}`, snapped(body), PROTOBUF);
  for (const labels of LABEL_TEXTS) add(`labels ${labels}`, oneEntry(labels, now), PROTOBUF);
  const all = { structuredMetadata: { q: "1" }, line: "x", ts: at };
  add("old JSON: taken", old(all), JSON_TYPE, OLD_PUSH);
  add("old JSON: no time", old({ line: "x" }), JSON_TYPE, OLD_PUSH);
  add("old JSON: no streams", Buffer.from('{"streams":[]}'), JSON_TYPE, OLD_PUSH);
  const charset = { "content-type": "application/json; charset=utf-8" };
  add("a charset", good, charset);
  add("half a charset", good, { "content-type": "application/json; charset" });
  add("protobuf as text", oneEntry('{a="b"}', now), { "content-type": "text/plain" });
  add("JSON without a type", good, { "content-type": "" });
  add("no snappy", Buffer.from("hello"), PROTOBUF);
  add("no body", Buffer.alloc(0), PROTOBUF);
  const coded = (coding: string, type: object = JSON_TYPE) => ({
    ...type,
    "content-encoding": coding,
  });
  add("gzip", gzipSync(good), coded("gzip"));
  add("deflate", deflateRawSync(good), coded("deflate"));
  add("no gzip", good, coded("gzip"));
  add("JSON that says snappy", good, coded("snappy"));
  add("protobuf that says snappy", oneEntry('{a="b"}', now), coded("snappy", PROTOBUF));
  add("protobuf in gzip", gzipSync(oneEntry('{a="b"}', now)), coded("gzip", PROTOBUF));
  add("protobuf in gzip, no snappy", gzipSync(good), coded("gzip", PROTOBUF));
  for (const coding of ["br", "zstd", "identity"]) add(`coded ${coding}`, good, coded(coding));
  return cases;
}

/** An answer without what differs from one run to the next (Loki lists several errors in any order), and without long repetitions. */
export function plainAnswer(status: number, text: string): string {
  const plain = text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "<time>")
    .replace(/\d{10,}/g, "<number>")
    .replace(/(.)\1{49,}/g, "$1…");
  return `${status} ${plain.trim().split("; ").sort().join("; ")}`;
}
