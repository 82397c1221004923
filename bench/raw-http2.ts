/** One gRPC call as bytes of HTTP/2, so that thousands of connections cost their sender nothing. */
import { encodeRequest } from "../test/support/otlp.ts";

const FRAME = { data: 0, headers: 1, settings: 4 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
/** Longest frame that a server takes that has not said otherwise. */
const FRAME_MAX = 16_384;
const PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Begins a connection, with no settings of its own. */
export const HTTP2_PREFACE: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(FRAME.settings, 0, 0, new Uint8Array(0)),
]);

/** HPACK: a literal that is not indexed, with its name; both shorter than 127 bytes. */
function header(name: string, value: string): Buffer {
  const text = (part: string) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** An export of one record of so many bytes. It fits into the window that a stream has at its beginning, or is cut there. */
export function callOf(bytes: number): Buffer {
  const body = { stringValue: "x".repeat(Math.min(bytes, 60_000)) };
  const logRecords = [{ timeUnixNano: "1", body }];
  const message = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const data = Buffer.concat([prefix, message]);
  const headers = [
    header(":method", "POST"),
    header(":scheme", "http"),
    header(":path", PATH),
    header(":authority", "idle"),
    header("content-type", "application/grpc"),
    header("te", "trailers"),
  ];
  const frames = [frame(FRAME.headers, END_HEADERS, 1, Buffer.concat(headers))];
  for (let at = 0; at < data.length; at += FRAME_MAX) {
    const flags = at + FRAME_MAX >= data.length ? END_STREAM : 0;
    frames.push(frame(FRAME.data, flags, 1, data.subarray(at, at + FRAME_MAX)));
  }
  return Buffer.concat(frames);
}
