import { loki } from "../../../src/receivers/loki/index.ts";
import * as http from "../../support/http-receiver.ts";
import type { ReceiverRig } from "../../support/receiver-rig.ts";

/** A stored record, with its attributes as an object. */
export interface Stored {
  readonly line: unknown;
  readonly time: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly severity?: unknown;
  readonly traceId?: unknown;
}

/** A receiver that listens on a free port. */
export const start = (options: object = {}, rig?: ReceiverRig) =>
  http.startReceiver(loki, options, rig);

/** Sends a body, as JSON unless `headers` say otherwise; the answer with its text. */
export const post = (
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = { "content-type": "application/json" },
) => http.post(url, body, headers);

/** The records of requests; what a record has not is not there. */
export function recordsOf(requests: readonly Uint8Array[]): Stored[] {
  return http.recordsOf(requests).map(toStored);
}

/** All that was stored. */
export function stored(rig: ReceiverRig): Stored[] {
  return http.storedIn(rig).map(toStored);
}

function toStored(record: http.StoredRecord): Stored {
  const { body, time, severity, traceId, resource = {}, attributes } = record;
  return {
    line: body ?? "",
    time,
    resource,
    attributes,
    ...(severity !== undefined && { severity }),
    ...(traceId !== undefined && { traceId }),
  };
}
