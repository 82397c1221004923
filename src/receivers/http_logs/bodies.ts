import { MsgpackRecords } from "../../kit/doors/msgpack-records.ts";
import type { RecordSource } from "../../kit/doors/record-requests.ts";
import type { Body } from "../../kit/server/compression.ts";
import { PipelineError } from "../../otlp/status.ts";
import { FORM_MAX, readForm } from "./form.ts";
import { JsonRecords } from "./json-records.ts";

/** Time of records that have none of their own: halves of nanoseconds, 0 is none. */
export interface GivenTime {
  readonly low: number;
  readonly high: number;
}

/** What a body holds is told by its content: headers of log senders are often wrong. */
export function recordsOf(body: Body, { low, high }: GivenTime): RecordSource {
  const first = body.bytes[0] ?? 0;
  if (body.length > 0 && isMsgpack(first))
    return new MsgpackRecords(body.bytes, 0, body.length, low, high);
  // j, n, m, t: the names of a form's fields. No JSON that could be a record begins so.
  if (!"jnmt".includes(String.fromCharCode(first))) return new JsonRecords(body, low, high);
  const form = body.length > FORM_MAX ? undefined : readForm(body);
  if (form === undefined && body.length > FORM_MAX)
    throw new PipelineError({
      kind: "too_large",
      retryAfterMs: 0,
      why: `a form has at most ${FORM_MAX} bytes: send JSON or MessagePack without one`,
    });
  if (form === undefined) return new JsonRecords(body, low, high);
  return form.field === "msgpack"
    ? new MsgpackRecords(form.body.bytes, 0, form.body.length, low, high)
    : new JsonRecords(form.body, low, high);
}

/** A map or a list of MessagePack; in UTF-8 such a byte begins nothing. 0xdc to 0xdf do, but in JSON no text stands outside of quotes. */
function isMsgpack(c: number): boolean {
  return (c & 0xe0) === 0x80 || (c >= 0xdc && c <= 0xdf);
}
