import { isRefusal, PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { type Body, type Coding, codingOf, decompress } from "./compression.ts";
import { firstLeaseBytes } from "./growing-body.ts";
import type { HttpRequest } from "./http-server.ts";

/** A body as its sender meant it, and what it holds of the byte budget until the answer. */
export interface AdmittedBody {
  readonly body: Body;
  readonly lease: Lease;
}

/** The coding of a body that has arrived, for senders whose headers do not always tell. */
export type CodingOfBody = (body: Body) => Coding;

/**
 * Admission, the body, its decompression, each within `limitBytes`; a coding that `codingOf` does not know is the caller's to refuse
 * first, unless `codingOfBody` decides. Rejects with PipelineError or ClientGone, and then holds nothing.
 */
export async function admitBody(
  request: HttpRequest,
  limitBytes: number,
  admit: (bytes: number) => Lease | Refusal,
  codingOfBody?: CodingOfBody,
): Promise<AdmittedBody> {
  const { declaredBytes } = request;
  if (declaredBytes > limitBytes)
    throw new PipelineError({
      kind: "too_large",
      retryAfterMs: 0,
      why: `the body has ${declaredBytes} bytes, the limit is ${limitBytes}: send smaller batches, or raise max_request_body_size`,
    });
  const lease = admit(firstLeaseBytes(declaredBytes, limitBytes));
  if (isRefusal(lease)) throw new PipelineError(lease);
  try {
    const body = await request.readBody(limitBytes, lease);
    const coding =
      codingOfBody?.(body) ?? codingOf(request.header("content-encoding")) ?? "identity";
    if (coding === "identity") return { body, lease };
    const decoded = await decompress(coding, body.bytes, body.length, limitBytes, lease);
    if (isRefusal(decoded)) throw new PipelineError(decoded);
    return { body: decoded, lease };
  } catch (reason) {
    lease[Symbol.dispose]();
    throw reason;
  }
}
