import { createIndexer } from "../src/otlp/indexing.ts";
import { JsonReader } from "../src/otlp/read-json.ts";
import type { Signal } from "../src/otlp/tape.ts";
import { SLACK } from "../src/wire/slack.ts";
import { decodeRequest } from "../test/support/otlp.ts";
import { type Job, lineWriting } from "./cases.ts";

const reader = new JsonReader();
const indexer = createIndexer();

/** The request as JSON, in compact form, as SDKs write it. */
export function jsonOf(signal: Signal, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(decodeRequest(signal, bytes)));
}

/** JSON → OTLP bytes, and then what `goOn` does with them. `payloads`: protobuf, taken in turn. */
function readJob(
  signal: Signal,
  payloads: readonly Uint8Array[],
  goOn: (bytes: Uint8Array, length: number) => number,
): Job {
  const texts = payloads.map((bytes) => jsonOf(signal, bytes));
  const roomy = texts.map((text) => {
    const memory = new Uint8Array(text.length + SLACK);
    memory.set(text);
    return memory;
  });
  let turn = 0;
  return () => {
    const i = turn++ % payloads.length;
    const read = reader.read(signal, roomy[i] as Uint8Array, (texts[i] as Uint8Array).length);
    if ("refused" in read) throw new Error(read.why);
    return goOn(read.bytes, read.length);
  };
}

/** JSON → OTLP bytes → index. */
export function jsonIndexJob(signal: Signal, payloads: readonly Uint8Array[]): Job {
  return readJob(signal, payloads, (bytes, length) => {
    const indexed = indexer.index(signal, bytes, length);
    return "batch" in indexed ? indexed.batch.items : 0;
  });
}

/** JSON → OTLP bytes → index → lines. */
export function jsonLinesJob(
  signal: Signal,
  payloads: readonly Uint8Array[],
  tables: readonly string[],
): Job {
  return readJob(signal, payloads, lineWriting(tables, signal));
}

/** The twin: objects of JSON.parse, and nothing done with them. */
export function jsonParseJob(signal: Signal, bytes: Uint8Array, records: number): Job {
  const text = jsonOf(signal, bytes);
  const decoder = new TextDecoder();
  return () => {
    JSON.parse(decoder.decode(text));
    return records;
  };
}
