import { createIndexer } from "../../../src/otlp/indexing.ts";
import { PushEntries, type PushLimits } from "../../../src/series/push/push-entries.ts";
import { PushJson } from "../../../src/series/push/push-json.ts";
import { PushProtobuf } from "../../../src/series/push/push-protobuf.ts";
import { NOTHING_GIVEN } from "../../../src/series/records/given-attributes.ts";
import { RecordDoor } from "../../../src/series/records/record-door.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { expectText } from "../../support/otlp-text.ts";
import { encodePush } from "../loki/push-proto.ts";
import { labelText, type SlowStream } from "./slow-push.ts";

export const NOW_MS = 1_800_000_000_123;
export const NO_LIMITS: PushLimits = {
  maxLabels: 64,
  maxNameBytes: 65_536,
  maxValueBytes: 65_536,
  maxLineBytes: 0,
  maxAgeMs: 0,
  maxAheadMs: 0,
  maxMetadataBytes: 0,
  maxMetadataPairs: 2_048,
};
export const indexer = createIndexer();

/** Reads pushes as the receiver does, with one door for all. */
export class Reading {
  readonly entries: PushEntries;
  readonly door = new RecordDoor();
  readonly #json: PushJson;
  readonly #protobuf: PushProtobuf;

  constructor(limits: PushLimits = NO_LIMITS, isPromtailClient = false) {
    this.entries = new PushEntries({ limits, isPromtailClient });
    this.#json = new PushJson(this.entries);
    this.#protobuf = new PushProtobuf(this.entries);
    this.door.arrive(NOW_MS);
  }

  /** The OTLP request; throws where the push is refused. `step`: bytes at a time. */
  read(format: "json" | "protobuf", body: Uint8Array, step = Number.POSITIVE_INFINITY): Uint8Array {
    const bytes = withSlack(Uint8Array.from(body));
    const before = Buffer.from(bytes);
    this.entries.beginRequest(NOW_MS);
    this.door.given = NOTHING_GIVEN;
    const source = format === "json" ? this.#json : this.#protobuf;
    source.begin(bytes, body.length);
    try {
      while (source.fill(this.door, step));
    } catch (reason) {
      this.door.finish();
      throw before.equals(bytes) ? reason : new Error("the memory of the sender was changed");
    }
    if (!before.equals(bytes)) throw new Error("the memory of the sender was changed");
    const { bytes: made, length, items } = this.door.finish();
    expectText("logs", made.subarray(0, length));
    const indexed = indexer.index("logs", made, length);
    if ("refused" in indexed || indexed.rejected > 0 || indexed.batch.items !== items)
      throw new Error(`not fit for the pipelines: ${JSON.stringify(indexed)}`);
    return made.subarray(0, length);
  }
}

/** The streams in protobuf and in the two shapes of JSON. */
export function encodings(streams: readonly SlowStream[]) {
  const present = streams.map(({ labels, entries }) => ({
    stream: labels,
    values: entries.map(({ nanos, line, metadata }) =>
      metadata.length === 0
        ? [String(nanos), line]
        : [String(nanos), line, Object.fromEntries(metadata)],
    ),
  }));
  const old = streams.map(({ labels, entries }) => ({
    labels: labelText(labels),
    entries: entries.map(({ nanos, line, metadata }) => ({
      ts: dateOf(nanos),
      line,
      structuredMetadata: Object.fromEntries(metadata),
    })),
  }));
  return {
    protobuf: encodePush(
      streams.map(({ labels, entries }) => ({ labels: labelText(labels), entries })),
    ),
    json: Buffer.from(JSON.stringify({ streams: present })),
    old: Buffer.from(JSON.stringify({ streams: old })),
  };
}

/** RFC 3339 with nanoseconds. */
function dateOf(nanos: bigint): string {
  const seconds = new Date(Number(nanos / 1_000_000_000n) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(nanos % 1_000_000_000n).padStart(9, "0")}Z`;
}
