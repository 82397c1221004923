import { setTimeout as sleep } from "node:timers/promises";
import type { Service } from "./service.ts";

export type StoreRow = Readonly<Record<string, unknown>>;

/** A queue that gets no smaller for so long will not get empty (ms). */
const STILL_MS = 180_000;

/** Waits until the service has delivered all that it had accepted, however long that takes while there is progress. */
export async function delivered(service: Service): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  for (let end = Date.now() + STILL_MS; Date.now() < end; await sleep(50)) {
    const laws = await service.law();
    const queued = laws.reduce((sum, law) => sum + law.queued, 0);
    if (laws.length > 0 && queued === 0) return;
    if (queued < least) end = Date.now() + STILL_MS;
    least = Math.min(least, queued);
  }
  throw new Error(`${least} items have been waiting for ${STILL_MS} ms:\n${service.log}`);
}

/** What the embedded store at this port answers to a query. */
export async function storeRows(port: number, sql: string, db = "weir"): Promise<StoreRow[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({ db, q: sql, format: "json" }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`the store answers ${answer.status}: ${text}`);
  return JSON.parse(text) as StoreRow[];
}
