import { httpLogs } from "../../../src/receivers/http_logs/index.ts";
import { startReceiver, storedIn } from "../../support/http-receiver.ts";
import type { ReceiverRig } from "../../support/receiver-rig.ts";

/** A stored record, with its attributes as an object. */
export interface Stored {
  readonly body?: unknown;
  readonly time: string;
  readonly severity?: unknown;
  readonly traceId?: string;
  readonly service?: unknown;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A receiver that listens on a free port. */
export const start = (options: object = {}, rig?: ReceiverRig) =>
  startReceiver(httpLogs, options, rig);

/** All that was stored; what a record has not is not there. */
export function stored(rig: ReceiverRig): Stored[] {
  return storedIn(rig).map(({ time, attributes, body, severity, traceId, resource }) => ({
    time,
    attributes,
    ...(body !== undefined && { body }),
    ...(severity !== undefined && { severity }),
    ...(traceId !== undefined && { traceId }),
    ...(resource !== undefined && { service: resource["service.name"] }),
  }));
}
