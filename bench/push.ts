/** Pushes to Loki: the door of the loki receiver beside protobufjs and objects. */
import { createRequire } from "node:module";
import protobuf from "protobufjs";
import type * as snappy from "snappy";
import { PushEntries, type PushLimits } from "../src/series/push/push-entries.ts";
import { PushJson } from "../src/series/push/push-json.ts";
import { PushProtobuf } from "../src/series/push/push-protobuf.ts";
import { NOTHING_GIVEN } from "../src/series/records/given-attributes.ts";
import { RecordDoor } from "../src/series/records/record-door.ts";
import { withSlack } from "../src/wire/slack.ts";
import type { Job } from "./cases.ts";

const NOW_MS = 1_705_314_600_000;
const LABELS = { service_name: "shop", source: "Lambda", function: "resize", level: "info" };
const LIMITS: PushLimits = {
  maxLabels: 15,
  maxNameBytes: 1_024,
  maxValueBytes: 2_048,
  maxLineBytes: 1 << 18,
  maxAgeMs: 0,
  maxAheadMs: 0,
  maxMetadataBytes: 1 << 16,
  maxMetadataPairs: 128,
};
const root = protobuf.parse(
  `syntax = "proto3";
   message Push { repeated Stream streams = 1; }
   message Stream { string labels = 1; repeated Entry entries = 2; }
   message Entry { Timestamp timestamp = 1; string line = 2; repeated Pair structuredMetadata = 3; }
   message Timestamp { int64 seconds = 1; int32 nanos = 2; }
   message Pair { string name = 1; string value = 2; }`,
).root;
const type = root.lookupType("Push");

const metadataOf = (i: number) => ({
  function_id: "550e8400-e29b-41d4-a716-446655440000",
  execution_id: `660e8400-e29b-41d4-a716-${String(i).padStart(12, "0")}`,
  status: "success",
  duration_ms: "1234",
  trace_id: "0af7651916cd43dd8448eb211c80319c",
});
const LINE = "Function executed successfully: resized 3 images, 1234 ms, memory 45.5 MB";

/** `n` entries of one stream in protobuf. */
export function pushBytes(n: number): Uint8Array {
  const labels = Object.entries(LABELS).map(([name, value]) => `${name}="${value}"`);
  const entries = Array.from({ length: n }, (_, i) => ({
    timestamp: { seconds: NOW_MS / 1_000, nanos: i + 1 },
    line: LINE,
    structuredMetadata: Object.entries(metadataOf(i)).map(([name, value]) => ({ name, value })),
  }));
  const message = { streams: [{ labels: `{${labels.join(", ")}}`, entries }] };
  return Uint8Array.from(type.encode(type.fromObject(message)).finish());
}

/** The same as it goes over the wire. */
export function pushBody(n: number): Buffer {
  const { compressSync } = createRequire(import.meta.url)("snappy") as typeof snappy;
  return compressSync(Buffer.from(pushBytes(n)));
}

/** The same in JSON. */
export function pushJsonText(n: number): string {
  const values = Array.from({ length: n }, (_, i) => [
    `${NOW_MS}${String(i + 1).padStart(6, "0")}`,
    LINE,
    metadataOf(i),
  ]);
  return JSON.stringify({ streams: [{ stream: LABELS, values }] });
}

/** A push after snappy → an OTLP request. */
export function pushDoorJob(format: "protobuf" | "json", n: number): Job {
  const content = format === "json" ? Buffer.from(pushJsonText(n)) : pushBytes(n);
  const bytes = withSlack(Uint8Array.from(content));
  const entries = new PushEntries({ limits: LIMITS, isPromtailClient: false });
  const source = format === "json" ? new PushJson(entries) : new PushProtobuf(entries);
  const door = new RecordDoor();
  door.arrive(NOW_MS);
  return () => {
    entries.beginRequest(NOW_MS);
    door.given = NOTHING_GIVEN;
    source.begin(bytes, content.length);
    source.fill(door, Number.POSITIVE_INFINITY);
    return door.finish().items;
  };
}

interface Push {
  readonly streams: readonly {
    readonly labels: string;
    readonly entries: readonly {
      readonly timestamp: { readonly seconds: unknown; readonly nanos: number };
      readonly line: string;
      readonly structuredMetadata: readonly { readonly name: string; readonly value: string }[];
    }[];
  }[];
}

/** The obvious way: protobufjs, and an object for each record. */
export function pushObjectsJob(n: number): Job {
  const bytes = pushBytes(n);
  return () => {
    const { streams } = type.decode(bytes) as protobuf.Message & Push;
    const records = streams.flatMap(({ labels, entries }) => {
      const pairs = [...labels.matchAll(/([A-Za-z_]\w*)\s*=\s*("(?:[^"\\]|\\.)*")/g)];
      const given = pairs.map(([, key = "", value = '""']) => ({ key, value: JSON.parse(value) }));
      return entries.map(({ timestamp, line, structuredMetadata }) => ({
        time: BigInt(String(timestamp.seconds)) * 1_000_000_000n + BigInt(timestamp.nanos),
        body: line,
        attributes: [
          ...given,
          ...structuredMetadata.map(({ name, value }) => ({ key: name, value })),
        ],
      }));
    });
    return records.length;
  };
}
