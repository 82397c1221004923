/** Bytes before and behind the place that an error shows, twice. */
const NEAR = 10;
const FAR = 50;

/** Errors of Loki's JSON decoders that have no words of ours, by what is wrong. */
export const JsonFault = {
  number: "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol",
  text: "Value is string, but can't find closing '\"' symbol",
  object: "Value looks like object, but can't find closing '}' symbol",
  value: "Malformed JSON error",
  list: "Unknown value type",
  cut: "object not ended with }",
} as const;

/** Where Loki's decoder is when it says so. */
export const JsonPlace = {
  top: "",
  name: "loghttp.PushRequest.readFieldHash: ",
  streams: "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: decode slice: ",
  stream: "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: ",
  members: "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: ReadObjectCB: ",
  time: "push.PushRequest.Streams: []push.Stream: push.Stream.Entries: []push.Entry: push.Entry.Line: Timestamp: unmarshalerDecoder: ",
} as const;

/** The end of such an error: what stands around the place `head`, behind the byte that was wrong. */
export function jsonContext(bytes: Uint8Array, end: number, head: number): string {
  const around = (size: number) =>
    Buffer.from(bytes.subarray(Math.max(0, head - size), Math.min(end, head + size))).toString();
  return `error found in #${Math.min(head, NEAR)} byte of ...|${around(NEAR)}|..., bigger context ...|${around(FAR)}|...`;
}
