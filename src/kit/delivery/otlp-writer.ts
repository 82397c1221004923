import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Slab } from "../../series/writer.ts";
import { lineShapeRemover } from "./line-shape.ts";
import {
  type BatchText,
  type Pick,
  type Put,
  putBytes,
  RequestWriter,
  textPut,
} from "./request-writer.ts";

/** Items in one OTLP request at most. */
export const MAX_OTLP_ITEMS = 1 << 20;

/** Puts batches behind one another as one protobuf request: protobuf appends repeated fields. Untouched bytes stay as they are. */
export function putProtobuf<S extends Signal>({ bytes, length }: Batch<S>, out: Slab): boolean {
  return putBytes(bytes, length, out);
}

/** Puts batches behind one another as one OTLP/JSON request: the list of the first is continued. */
export function jsonPut<S extends Signal>(writeJson: BatchText): Put<S> {
  const encoder = new TextEncoder();
  return (batch, out) => {
    const text = writeJson(batch);
    const list = text.indexOf("[") + 1;
    // A request without its list holds nothing.
    if (list === 0) return true;
    if (out.length === 0) {
      const bytes = encoder.encode(text);
      return putBytes(bytes, bytes.length, out);
    }
    const bytes = encoder.encode(`,${text.slice(list)}`);
    out.length -= END_OF_LIST;
    if (putBytes(bytes, bytes.length, out)) return true;
    out.length += END_OF_LIST;
    return false;
  };
}

/** Puts each batch as a line of OTLP/JSON. */
export function jsonLinePut<S extends Signal>(writeJson: BatchText): Put<S> {
  return textPut((batch) => `${writeJson(batch)}\n`);
}

/** `]}` */
const END_OF_LIST = 2;

/** A writer of OTLP requests. Without `keepLineShape` the attributes that only lines need (weir.*) are left out. */
export function otlpWriter<S extends Signal>(
  indexer: Indexer,
  pick: Pick,
  put: Put<S>,
  keepLineShape: boolean,
): RequestWriter<S> {
  const strip = keepLineShape ? undefined : lineShapeRemover(indexer.keys);
  const stripped = (batch: Batch<S>) => (strip === undefined ? batch : strip(batch));
  const bytesOf = (batch: Batch<S>) => {
    const { bytes, length } = stripped(batch);
    return bytes.subarray(0, length);
  };
  return new RequestWriter<S>(
    indexer,
    pick,
    (batch, out) => put(stripped(batch), out),
    false,
    put === putProtobuf<S> ? bytesOf : undefined,
  );
}
