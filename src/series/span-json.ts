import { type JsonWriter, jsonRoom } from "../otlp/value-json.ts";
import { writeHex } from "../wire/hex.ts";
import { writeUint64 } from "../wire/numbers.ts";

const COMMA = 44;
const MEMBERS = {
  name: asView('{"name":'),
  time: asView(',"time_unix_nano":"'),
  attributes: asView('","attributes":{'),
  traceId: asView('{"trace_id":"'),
  spanId: asView('","span_id":"'),
} as const;
/** More than the names and ids of an event or a link take. */
const FRAME = 160;

/**
 * The events or links of a span as JSON (mapping §9.11): `[{"name","time_unix_nano":"…","attributes":{…}}]`,
 * `[{"trace_id","span_id","attributes":{…}}]`. Every member is always there: empty, or "0" for a time.
 */
export class SpanJson {
  readonly #json: JsonWriter;
  constructor(json: JsonWriter) {
    this.#json = json;
  }

  /** Bytes that are enough for events and links of the span whose content is [from, end). */
  room(from: number, end: number): number {
    const json = this.#json;
    let count = 1;
    for (let p = from; p < end; p = json.field(p, end)) {
      const tag = json.bytes[p];
      if (tag === 0x5a || tag === 0x6a) count++;
    }
    return jsonRoom(end - from) + FRAME * count;
  }

  write(out: DataView, at: number, isEvents: boolean, from: number, end: number): number {
    const json = this.#json;
    const tag = isEvents ? 0x5a : 0x6a; // Span.events, Span.links
    out.setUint8(at, 91);
    let o = at + 1;
    for (let p = from; p < end; ) {
      const isOne = json.bytes[p] === tag;
      p = json.field(p, end);
      if (!isOne) continue;
      if (o > at + 1) out.setUint8(o++, COMMA);
      o = isEvents ? this.#event(out, o, json.at, p) : this.#link(out, o, json.at, p);
    }
    out.setUint8(o, 93);
    return o + 1;
  }

  #event(out: DataView, at: number, from: number, end: number): number {
    const json = this.#json;
    let low = 0;
    let high = 0;
    let nameAt = from;
    let nameEnd = from;
    for (let p = from; p < end; ) {
      const tag = json.bytes[p];
      p = json.field(p, end);
      if (tag === 0x09) {
        low = json.view.getInt32(json.at, true); // Span.Event.time_unix_nano
        high = json.view.getInt32(json.at + 4, true);
      } else if (tag === 0x12) {
        nameAt = json.at; // Span.Event.name
        nameEnd = p;
      }
    }
    let o = put(out, at, MEMBERS.name);
    o = json.text(out, o, nameAt, nameEnd);
    o = put(out, o, MEMBERS.time);
    o = writeUint64(out, o, low, high);
    return this.#attributes(out, o, 0x1a, from, end); // Span.Event.attributes
  }

  #link(out: DataView, at: number, from: number, end: number): number {
    let o = put(out, at, MEMBERS.traceId);
    o = this.#id(out, o, 0x0a, from, end); // Span.Link.trace_id
    o = put(out, o, MEMBERS.spanId);
    o = this.#id(out, o, 0x12, from, end); // Span.Link.span_id
    return this.#attributes(out, o, 0x22, from, end); // Span.Link.attributes
  }

  /** Of several, the last. */
  #id(out: DataView, at: number, tag: number, from: number, end: number): number {
    const json = this.#json;
    let idAt = from;
    let idEnd = from;
    for (let p = from; p < end; ) {
      const is = json.bytes[p] === tag;
      p = json.field(p, end);
      if (!is) continue;
      idAt = json.at;
      idEnd = p;
    }
    return writeHex(out, at, json.view, idAt, idEnd - idAt);
  }

  #attributes(out: DataView, at: number, tag: number, from: number, end: number): number {
    const json = this.#json;
    let o = put(out, at, MEMBERS.attributes);
    const first = o;
    for (let p = from; p < end; ) {
      const is = json.bytes[p] === tag;
      p = json.field(p, end);
      if (!is) continue;
      if (o > first) out.setUint8(o++, COMMA);
      o = json.pair(out, o, json.at, p, 1);
    }
    out.setUint16(o, 0x7d7d); // }}
    return o + 2;
  }
}

function asView(text: string): DataView {
  return new DataView(new TextEncoder().encode(text).buffer);
}

function put(out: DataView, at: number, text: DataView): number {
  for (let i = 0; i < text.byteLength; i++) out.setUint8(at + i, text.getUint8(i));
  return at + text.byteLength;
}
