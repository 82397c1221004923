import { Seldom } from "../../lib/seldom.ts";
import type { ExporterContext, Verdict } from "../delivery/backend.ts";

/** Takes whole OTLP requests to one destination, over whichever protocol. */
export interface OtlpSender {
  /** As `Backend.post`. */
  post(body: Uint8Array, stop: AbortSignal): Promise<Verdict>;
  close(): Promise<void>;
}

const SAME_WARNING_EVERY_MS = 10_000;

/** Logs what destinations say beside their success, at most one line per 10 s. */
export function partialSuccessLog(
  context: ExporterContext,
): (rejected: number, message: string) => void {
  const seldom = new Seldom(SAME_WARNING_EVERY_MS, context.nowMs);
  const { log, route } = context;
  return (rejected, message) => {
    const count = seldom.count("partial");
    if (count !== undefined)
      log.warn({ route, rejected, message, count }, "the destination did not keep everything");
  };
}
