import { isUtf8 } from "node:buffer";
import { ExtData, encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { GivenAttributes } from "../../../src/series/records/given-attributes.ts";
import { RECORD_MAX, RecordDoor } from "../../../src/series/records/record-door.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { decodeRequest } from "../../support/otlp.ts";
import { expectText } from "../../support/otlp-text.ts";
import { seeded } from "../../support/seeded.ts";
import { anyObject, damagedText, jsonOf, mapTexts, msgpackBytes, msgpackOf } from "./nodes.ts";
import { type SlowRecord, slowRecord } from "./slow-records.ts";

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const decodedOf = (binary: string) => DECODER.decode(Buffer.from(binary, "latin1"));
const NOW = 1_800_000_000_123;
const indexer = createIndexer();

interface Request {
  readonly resourceLogs?: readonly {
    readonly resource?: {
      readonly attributes: readonly { readonly value: { readonly stringValue: string } }[];
    };
    readonly scopeLogs: readonly { readonly logRecords: readonly SlowRecord[] }[];
  }[];
}

function memory(content: string | Uint8Array): readonly [Uint8Array, DataView, number] {
  const bytes = Uint8Array.from(typeof content === "string" ? Buffer.from(content) : content);
  const roomy = withSlack(bytes);
  return [roomy, new DataView(roomy.buffer), bytes.length];
}

function newDoor(serviceName?: string): RecordDoor {
  const door = new RecordDoor(serviceName === undefined ? {} : { serviceName });
  door.arrive(NOW);
  return door;
}

/** Every record of the request that the door has now, with the service of its resource; all of it must be fit for the pipelines. */
function finish(door: RecordDoor) {
  const { bytes, length, items, replacedTimes, replacedTexts } = door.finish();
  expectText("logs", bytes.subarray(0, length));
  const decoded = decodeRequest("logs", bytes.subarray(0, length)) as Request;
  const records = (decoded.resourceLogs ?? []).flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map((record) => ({
        record,
        service: resource?.attributes[0]?.value.stringValue ?? "",
      })),
    ),
  );
  expect(records.length).toBe(items);
  const indexed = indexer.index("logs", bytes, length);
  expect(indexed).toMatchObject({ rejected: 0, batch: { items } });
  return { records, replacedTimes, replacedTexts };
}

function json(door: RecordDoor, text: string): number {
  const [bytes, view, length] = memory(text);
  const before = Buffer.from(bytes);
  const end = door.json(bytes, view, 0, length);
  expect(before.equals(bytes)).toBe(true);
  return end;
}

function msgpack(door: RecordDoor, content: Uint8Array): number {
  return door.msgpack(
    ...([...memory(content)].toSpliced(2, 0, 0) as Parameters<RecordDoor["msgpack"]>),
  );
}

/** Attributes as an object of plain values, and the rest of the one record. */
function only(door: RecordDoor) {
  const { records } = finish(door);
  expect(records.length).toBe(1);
  const [{ record, service }] = records as [(typeof records)[0]];
  const { attributes = [], ...rest } = record;
  return {
    ...rest,
    service,
    attributes: Object.fromEntries(
      attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
    ),
  };
}

test("equals the slow twin, from JSON and from MessagePack, with and without what the receiver gives", () => {
  const random = seeded(7);
  const door = newDoor();
  for (let round = 0; round < 2_000; round++) {
    const node = anyObject(random);
    const given =
      random(2) === 0
        ? []
        : ([
            ["fluent.tag", "t"],
            ["a", "given"],
            ["level", "debugging"],
          ] as const);
    door.given = new GivenAttributes(given);
    const text = jsonOf(node);
    const packed = msgpackOf(node);
    expect(json(door, text)).toBe(Buffer.byteLength(text));
    expect(msgpack(door, packed)).toBe(packed.length);
    const { records, replacedTimes } = finish(door);
    const { replaced, ...expected } = slowRecord(node, NOW, given);
    expect(replacedTimes).toBe(replaced ? 2 : 0);
    const sorted = ({ record, service }: (typeof records)[0]) => ({
      service,
      record: {
        ...record,
        attributes: record.attributes?.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      },
    });
    for (const found of records) expect(sorted(found), text).toEqual(sorted(expected));
  }
});

test("text that is no UTF-8 becomes what a decoder makes of it, before anything is made of names and values; counted by record", () => {
  const random = seeded(11);
  const door = newDoor();
  for (let round = 0; round < 1_000; round++) {
    const damage = new Map<string, string>();
    const binary = mapTexts(anyObject(random), (text) => {
      // Equal names stay equal.
      const made = damage.get(text) ?? damagedText(text, random);
      damage.set(text, made);
      return made;
    });
    const decoded = mapTexts(binary, decodedOf);
    const packed = msgpackOf(binary, msgpackBytes);
    const text = Buffer.from(jsonOf(binary), "latin1");
    const [bytes, view, length] = memory(text);
    expect(door.json(bytes, view, 0, length)).toBe(length);
    expect(msgpack(door, packed)).toBe(packed.length);
    const { records, replacedTexts } = finish(door);
    const isClean = isUtf8(text);
    expect(replacedTexts === 0).toBe(isClean);
    const { record, service } = slowRecord(decoded, NOW);
    const sorted = (one: SlowRecord) => ({
      ...one,
      attributes: one.attributes?.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    });
    for (const found of records) {
      expect(found.service).toBe(service);
      expect(sorted(found.record), jsonOf(decoded)).toEqual(sorted(record));
    }
  }
});

test("lines, attributes and a service in any bytes are UTF-8 when they leave; each record is counted once", () => {
  const door = newDoor();
  const [, view] = memory(Buffer.from("na\xe9me va\xfflue li\xf0\x9fne clean", "latin1"));
  const write = () => {
    door.begin();
    door.attribute(view, 0, 5, 6, 6);
    door.line(view, 13, 19);
  };
  write();
  door.service = { view, at: 6, length: 6 };
  write();
  door.text(view, 20, 25);
  door.service = undefined;
  door.text(view, 20, 25);
  const { records, replacedTexts } = finish(door);
  expect(replacedTexts).toBe(3);
  expect(records.map(({ service }) => service)).toEqual(["", "va\ufffdlue", "va\ufffdlue", ""]);
  expect(records.map(({ record }) => Object.values(record.body ?? {})[0])).toEqual([
    "li\ufffdne",
    "li\ufffdne",
    "clean",
    "clean",
  ]);
  expect(records[0]?.record.attributes).toEqual([
    { key: "na\ufffdme", value: { stringValue: "va\ufffdlue" } },
  ]);
});

test("bin of MessagePack that is no text is base64, a str that is none is text with U+FFFD", () => {
  const door = newDoor();
  msgpack(
    door,
    Buffer.concat([
      Uint8Array.from([0x83]),
      encode("bin"),
      encode(Uint8Array.from([0xff, 1])),
      encode("text"),
      encode(new Uint8Array(Buffer.from("grün"))),
      encode("str"),
      msgpackBytes("gr\xfcn"),
    ]),
  );
  expect(only(door).attributes).toEqual({ bin: "/wE=", text: "grün", str: "gr\ufffdn" });
});

test("the longest record of nothing but bytes that are no UTF-8 is three times as long, and fits", () => {
  const door = newDoor();
  const raw = Buffer.alloc(RECORD_MAX - 64, 0xff);
  const head = Buffer.from([0x81, 0xa1, 0x61, 0xdb, 0, 0, 0, 0]);
  head.writeUInt32BE(raw.length, 4);
  const packed = Buffer.concat([head, raw]);
  expect(msgpack(door, packed)).toBe(packed.length);
  const { bytes, length, items, replacedTexts } = door.finish();
  expect([items, replacedTexts]).toEqual([1, 1]);
  expect(length).toBeGreaterThan(3 * raw.length);
  expect(indexer.index("logs", bytes, length)).toMatchObject({ rejected: 0, batch: { items: 1 } });
});

test("a line of Fluent Bit: the JSON text in `log` is read, its time and trace id win, the agent's keys stay", () => {
  const door = newDoor();
  const inner =
    '{"timestamp":"2024-01-15T10:30:00.000Z","level":"info","message":"done","job_id":"job-1","processing_time_ms":5000,"trace_id":"5b8efff798038103d269b633813fc60c"}';
  json(
    door,
    JSON.stringify({
      timestamp: "2026-11-21T06:16:44.568441Z",
      file_path: "/a.log",
      log: inner,
      region: "us",
    }),
  );
  expect(only(door)).toEqual({
    timeUnixNano: "1705314600000000000",
    observedTimeUnixNano: "1800000000123000000",
    severityNumber: 9,
    severityText: "info",
    body: { stringValue: "done" },
    traceId: "5b8efff798038103d269b633813fc60c",
    service: "",
    attributes: { file_path: "/a.log", region: "us", job_id: "job-1", processing_time_ms: "5000" },
  });
});

test("a text inside a text is read once, not twice", () => {
  const door = newDoor();
  const inner = JSON.stringify({ message: '{"a":1}' });
  json(door, JSON.stringify({ message: inner }));
  expect(only(door)).toMatchObject({ body: { stringValue: '{"a":1}' }, attributes: {} });
});

test("objects are flattened by one level and keep as JSON what is below; names in them may say what the record's say", () => {
  const door = newDoor();
  json(
    door,
    '{ "k8s" : {"pod":"p","labels": { "a" : 1 },"n":[1, 2]}, "trace":{"id":"0af7651916cd43dd8448eb211c80319c"}, "e":{}, "l":[ ] }',
  );
  expect(only(door)).toMatchObject({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    attributes: {
      "k8s.pod": "p",
      "k8s.labels": '{ "a" : 1 }',
      "k8s.n": "[1, 2]",
      e: "{}",
      l: "[ ]",
    },
  });
});

test("an object with more than 128 members, or a name of more than 64 bytes, stays one text: a small body cannot become a large request", () => {
  const members = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i]));
  const door = newDoor();
  const wide = {
    a: members(129),
    b: members(128),
    ["n".repeat(65)]: { x: 1 },
    ["n".repeat(64)]: { x: 1 },
  };
  for (const isJson of [true, false]) {
    if (isJson) json(door, JSON.stringify(wide));
    else msgpack(door, encode(wide));
    const { attributes } = only(door);
    expect(Object.keys(attributes).length).toBe(1 + 128 + 1 + 1);
    expect(attributes["a"]).toBe(JSON.stringify(wide.a));
    expect(attributes["b.m127"]).toBe("127");
    expect(attributes["n".repeat(65)]).toBe('{"x":1}');
    expect(attributes[`${"n".repeat(64)}.x`]).toBe("1");
  }
});

test("a record has at most 4,096 members, 16 MiB and, in MessagePack, 64 levels", () => {
  const door = newDoor();
  const members = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i]));
  expect(json(door, JSON.stringify(members(4_096)))).toBeGreaterThan(0);
  expect(msgpack(door, encode(members(4_096)))).toBeGreaterThan(0);
  expect(json(door, JSON.stringify(members(4_097)))).toBe(-1);
  expect(door.problem).toContain("at most 4096 members");
  expect(msgpack(door, encode(members(4_097)))).toBe(-1);
  expect(door.problem).toContain("at most 4096 members");
  // The text of an inner object that would be too many stays a text.
  json(door, JSON.stringify({ log: JSON.stringify(members(4_097)) }));
  const { records } = finish(door);
  expect(records.length).toBe(3);
  expect(records[2]?.record.attributes).toBeUndefined();

  const large = JSON.stringify({ a: "x".repeat(RECORD_MAX - 8) });
  expect(json(door, large)).toBe(RECORD_MAX);
  expect(json(door, `${large.slice(0, -2)}x"}`)).toBe(-1);
  expect(door.problem).toContain("at most 16777216 bytes");
  expect(msgpack(door, encode({ a: "x".repeat(RECORD_MAX) }))).toBe(-1);
  expect(door.problem).toContain("at most 16777216 bytes");
  finish(door);

  const nested = (depth: number) =>
    Buffer.concat([Buffer.from([0x81, 0xa1, 97]), Buffer.alloc(depth, 0x91), Buffer.from([1])]);
  expect(msgpack(door, nested(64))).toBeGreaterThan(0);
  expect(msgpack(door, nested(65))).toBe(-1);
  expect(door.problem).toContain("64 deep");
  expect(only(door).attributes["a"]).toBe(`${"[".repeat(64)}1${"]".repeat(64)}`);
});

test("what only MessagePack has: bytes, EventTime and other extensions, names that are no text, NaN, integers of 64 bits", () => {
  const door = newDoor();
  const parts: readonly Uint8Array[] = [
    Uint8Array.of(0x80 | 13),
    encode("utf8"),
    encode(Buffer.from("é")),
    encode("binary"),
    encode(Uint8Array.of(0xff, 0)),
    encode("time"),
    Uint8Array.of(0xd7, 0, 0x6b, 1, 0x37, 0x4c, 0x21, 0xe1, 0xb9, 0xca),
    encode("ext"),
    encode(new ExtData(5, Uint8Array.of(1, 2, 3))),
    encode(7),
    encode("seven"),
    encode(true),
    encode("yes"),
    encode(null),
    encode("nothing"),
    encode([1]),
    encode("list"),
    encode("nan"),
    encode(Number.NaN),
    encode("low"),
    encode(-(2n ** 63n), { useBigInt64: true }),
    encode("high"),
    encode(2n ** 64n - 1n, { useBigInt64: true }),
    encode("float"),
    encode(0.5, { forceFloat32: true }),
    encode("nested"),
    encode([Number.NaN, Uint8Array.of(255), { 1: new ExtData(1, Uint8Array.of(0)), 'q"': null }]),
  ];
  expect(msgpack(door, Buffer.concat(parts))).toBe(Buffer.concat(parts).length);
  expect(only(door)).toMatchObject({
    timeUnixNano: "1795241804568441290",
    attributes: {
      utf8: "é",
      binary: "/wA=",
      ext: "AQID",
      7: "seven",
      true: "yes",
      null: "nothing",
      "[1]": "list",
      nan: Number.NaN,
      low: "-9223372036854775808",
      high: "18446744073709551615",
      float: 0.5,
      nested: '["NaN","/w==",{"1":"AA==","q\\"":null}]',
    },
  });
});

test("JSON integers that 64 bits do not hold keep their digits as a text; numbers with a point or exponent are doubles", () => {
  const door = newDoor();
  json(
    door,
    `{"a":9223372036854775807,"b":9223372036854775808,"c":-9223372036854775808,"d":-9223372036854775809,"e":1e3,"f":-0,"g":5.0,"h":1.${"0".repeat(2_000)}1}`,
  );
  expect(only(door).attributes).toEqual({
    a: "9223372036854775807",
    b: "9223372036854775808",
    c: "-9223372036854775808",
    d: "-9223372036854775809",
    e: 1000,
    f: "0",
    g: 5,
    h: `1.${"0".repeat(2_000)}1`,
  });
});

test("the time: own, else the given one, else that of arrival; one out of range is counted and stays an attribute", () => {
  const door = newDoor();
  const times = (text: string) => {
    door.timeLow = 0x1000;
    door.timeHigh = 0x18000000;
    json(door, text);
    const { records, replacedTimes } = finish(door);
    return [
      records[0]?.record.timeUnixNano,
      replacedTimes,
      records[0]?.record.attributes?.length ?? 0,
    ];
  };
  const given = String((0x18000000n << 32n) | 0x1000n);
  expect(times('{"date":1705314600.5}')).toEqual(["1705314600500000000", 0, 0]);
  expect(times('{"time":0.35}')).toEqual([given, 0, 1]);
  expect(times('{"time":"soon","date":1705314600123}')).toEqual(["1705314600123000000", 0, 1]);
  expect(times('{"time":"1066-10-14T09:00:00Z"}')).toEqual([given, 1, 1]);
  expect(times('{"time":1.7053146e9}')).toEqual(["1705314600000000000", 0, 0]);
  json(door, "{}");
  expect(only(door).timeUnixNano).toBe("1800000000123000000");
});

test("the service of a record becomes its resource's, else that of the options; records of one service share it", () => {
  const door = newDoor("fallback");
  for (const text of [
    '{"a":1}',
    "{}",
    '{"service":"api"}',
    '{"service.name":"api","service":"x"}',
    '{"service":5}',
  ])
    json(door, text);
  const { bytes, length } = door.finish();
  const { resourceLogs = [] } = decodeRequest("logs", bytes.subarray(0, length)) as Request;
  expect(resourceLogs.map(({ resource }) => resource?.attributes[0]?.value.stringValue)).toEqual([
    "fallback",
    "api",
    "fallback",
  ]);
});

test("a plain text is the body, byte for byte, with what the receiver gives", () => {
  const door = newDoor();
  door.given = new GivenAttributes([
    ["file_path", "/a.log"],
    ["trace_id", "0af7651916cd43dd8448eb211c80319c"],
  ]);
  const [, view, length] = memory('xx{"a":1} \t');
  door.text(view, 2, length);
  expect(only(door)).toMatchObject({
    body: { stringValue: '{"a":1} \t' },
    traceId: "0af7651916cd43dd8448eb211c80319c",
    attributes: { file_path: "/a.log" },
  });
});

test.each([
  ["", "an object"],
  ["[]", "an object"],
  ['"text"', "an object"],
  ['{"a":1', '"," or "}" at byte 7'],
  ['{"a":tru}', "a value at byte 6"],
  ['{"a":"\u0001"}', "escape"],
  ["{'a':1}", "a name in quotes"],
  ['{"a":01}', "leading zero"],
])("%j is no record: the sender is told what was expected", (text, problem) => {
  const door = newDoor();
  expect(json(door, text)).toBe(-1);
  expect(door.problem).toContain(problem);
  expect(door.items).toBe(0);
});

test.each([
  ["cut off", Uint8Array.of(0x82, 0xa1, 97, 1)],
  ["a map", encode([1])],
  ["no MessagePack", Uint8Array.of(0x81, 0xa1, 97, 0xc1)],
  ["cut off", Uint8Array.of(0x81, 0xdb, 255, 255, 255, 255)],
  ["cut off", Uint8Array.of(0xdf, 255, 255, 255, 255)],
])("MessagePack that is no record: %s", (problem, content) => {
  const door = newDoor();
  expect(msgpack(door, content)).toBe(-1);
  expect(door.problem).toContain(problem);
});

test("a record cut off at any byte is not taken, and leaves the next one as it is", () => {
  const random = seeded(11);
  const door = newDoor();
  for (let round = 0; round < 30; round++) {
    const node = anyObject(random);
    for (const [content, read] of [
      [Buffer.from(jsonOf(node)), "json"],
      [msgpackOf(node), "msgpack"],
    ] as const) {
      const [bytes, view, length] = memory(content);
      for (let to = 0; to < length; to++) expect(door[read](bytes, view, 0, to)).toBe(-1);
      expect(door[read](bytes, view, 0, length)).toBe(length);
      expect(door.items).toBe(1);
      finish(door);
    }
  }
});

test("what a door knows of earlier names changes nothing: it gives what a new one gives, for names few and many, short and long", () => {
  const random = seeded(13);
  const used = newDoor();
  const names = Array.from({ length: 70 }, (_, i) => `${"n".repeat(random(30))}${i % 40}`);
  names.push("time", "message", "level", "trace_id", "log");
  for (let round = 0; round < 800; round++) {
    // Of the same lengths, sometimes other names; sometimes one twice.
    const start = random(4) * 10;
    const members = Array.from({ length: random(66) }, (_, i) => {
      const name = names[(start + i) % names.length] ?? "";
      return `"${random(50) === 0 ? name.replace("n", "m") : name}":"${random(3)}"`;
    });
    if (random(3) === 0) members.push(members[0] ?? '"a":1');
    const text = `{${members.join()}}`;
    const fresh = newDoor();
    for (const door of [used, fresh]) expect(json(door, text)).toBe(text.length);
    expect(finish(used)).toEqual(finish(fresh));
  }
});
