import { ExtData } from "@msgpack/msgpack";

/** Seconds and nanoseconds as the EventTime of the forward protocol. */
export function eventTime(seconds: number, nanos = 0): ExtData {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(seconds, 0);
  bytes.writeUInt32BE(nanos, 4);
  return new ExtData(0, bytes);
}
