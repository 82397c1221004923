import { fieldAt } from "../../otlp/fields.ts";
import { textAt } from "../../otlp/values.ts";

/**
 * The same push request as JSON: `{"streams":[{"stream":{…},"values":[["<ns>","line",{…}]]}]}`. Objects and strings per record: this is
 * for what stands between and cannot take protobuf.
 */
export function pushJson(push: Uint8Array): Buffer {
  const streams: string[] = [];
  for (const [, stream] of fields(push)) streams.push(streamJson(stream));
  return Buffer.from(`{"streams":[${streams.join(",")}]}`);
}

function streamJson(stream: Uint8Array): string {
  const labels: string[] = [];
  const values: string[] = [];
  for (const [number, content] of fields(stream))
    if (number === 2) values.push(entryJson(content));
    else
      for (const [, name, value] of text(content).matchAll(LABEL))
        labels.push(`"${name}":${value}`);
  return `{"stream":{${labels.join(",")}},"values":[${values.join(",")}]}`;
}

/** A label and its value, which is JSON as it stands. Sticky: nothing within a value is taken for a label. */
const LABEL = /[{,]([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*")/gy;

function entryJson(entry: Uint8Array): string {
  let nanos = "0";
  let line = "";
  const metadata: string[] = [];
  for (const [number, content] of fields(entry)) {
    if (number === 1) nanos = nanosOf(content);
    else if (number === 2) line = text(content);
    else {
      const [name, value] = [...fields(content)].map(([, part]) => JSON.stringify(text(part)));
      metadata.push(`${name}:${value ?? '""'}`);
    }
  }
  const value = `["${nanos}",${JSON.stringify(line)}`;
  return metadata.length === 0 ? `${value}]` : `${value},{${metadata.join(",")}}]`;
}

/** A Timestamp: seconds, nanos. */
function nanosOf(timestamp: Uint8Array): string {
  let seconds = 0;
  let nanos = 0;
  for (let at = 0; at < timestamp.length; ) {
    const field = fieldAt(timestamp, at);
    let value = 0;
    for (let p = field.end - 1; p >= field.at; p--)
      value = value * 128 + ((timestamp[p] ?? 0) & 127);
    if (field.number === 1) seconds = value;
    else nanos = value;
    at = field.end;
  }
  return seconds === 0 ? String(nanos) : `${seconds}${String(nanos).padStart(9, "0")}`;
}

const text = (bytes: Uint8Array) => textAt(bytes, 0, bytes.length);

/** Number and content of each length-delimited field. */
function* fields(message: Uint8Array): Generator<readonly [number, Uint8Array]> {
  for (let at = 0; at < message.length; ) {
    const field = fieldAt(message, at);
    yield [field.number, message.subarray(field.at, field.end)];
    at = field.end;
  }
}
