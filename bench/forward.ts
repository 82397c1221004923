/** Messages of the forward protocol: those of fluent_forward beside @msgpack/msgpack and template strings. */
import { decodeMulti, ExtData, encode } from "@msgpack/msgpack";
import { MessageRecords, Tags } from "../src/receivers/fluent_forward/entries.ts";
import { MsgpackMessages } from "../src/receivers/fluent_forward/msgpack-message.ts";
import { RecordDoor } from "../src/series/records/record-door.ts";
import { withSlack } from "../src/wire/slack.ts";
import type { Job } from "./cases.ts";
import { functionRecords } from "./records.ts";

/** A packed message with `n` records, as Fluent Bit sends a chunk; its sender waits for an acknowledgement. */
export function packedMessage(n: number): Uint8Array {
  const entries = functionRecords(n).map((text, i) => {
    const time = Buffer.alloc(8);
    time.writeUInt32BE(1_705_314_600, 0);
    time.writeUInt32BE(i, 4);
    const { timestamp: _, ...record } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    return encode([[new ExtData(0, time), {}], record]);
  });
  return encode([
    "machine.logs",
    Buffer.concat(entries),
    { chunk: "p8n5l1mO3nZxW7dQv2bU4w==", size: n },
  ]);
}

/** A packed message → an OTLP request. */
export function forwardJob(records: number): Job {
  const message = packedMessage(records);
  const bytes = withSlack(message);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new MsgpackMessages();
  const tags = new Tags();
  const door = new RecordDoor();
  door.arrive(1_705_314_600_000);
  return () => {
    const read = reader.read(bytes, view, 0, message.length);
    new MessageRecords([read], tags).fill(door, Number.POSITIVE_INFINITY);
    return door.finish().items;
  };
}

type Entry = readonly [
  time: readonly [ExtData, object],
  record: Readonly<Record<string, string | number>>,
];

/** The obvious way: every record an object, and a line of text from its members. */
export function forwardStringsJob(records: number): Job {
  const message = packedMessage(records);
  const tags = ["function_id", "execution_id", "status", "version"];
  const fields = ["duration_ms", "memory_used_mb", "exit_code", "cpu_time_ms"];
  return () => {
    const lines: string[] = [];
    for (const read of decodeMulti(message)) {
      const [tag, packed] = read as readonly [string, Uint8Array];
      for (const entry of decodeMulti(packed)) {
        const [[time], record] = entry as Entry;
        const pairs = (names: readonly string[]) =>
          names.map((name) => `${name}=${String(record[name]).replace(/[,= ]/g, "\\$&")}`).join();
        const body = String(record["message"]).replace(/["\\]/g, "\\$&");
        const { buffer, byteOffset } = time.data as Uint8Array;
        const view = new DataView(buffer, byteOffset);
        const nanos = BigInt(view.getUint32(0)) * 1_000_000_000n + BigInt(view.getUint32(4));
        lines.push(
          `function_logs,tag=${tag},${pairs(tags)} ${pairs(fields)},message="${body}",trace_id="${record["trace_id"]}" ${nanos}`,
        );
      }
    }
    Buffer.from(lines.join("\n"));
    return records;
  };
}
