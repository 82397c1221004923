import { readdirSync, readFileSync } from "node:fs";
import { exchange } from "./raw-http.ts";

/** Requests of the unmodified client of DataFlux Func, captured byte for byte. */
const SEEDS = new URL("../fixtures/seeds/dff/", import.meta.url);

/** Their names. */
export const CAPTURES: readonly string[] = readdirSync(SEEDS)
  .filter((name) => name.endsWith(".head"))
  .map((name) => name.slice(0, -".head".length));

/** The points that each holds, which are rows. */
export const POINTS: Readonly<Record<string, number>> = {
  "logging-task_record": 1,
  "logging-task_record_func-page1": 1,
  "logging-task_record_func-page2": 1,
  "metric-cache_db": 1,
  "metric-cron_job": 1,
  "metric-db_table": 1,
  "metric-entity": 1,
  "metric-func_call-group1-gzip": 100,
  "metric-func_call-group2-PLAIN-with-gzip-header": 7,
  "metric-queues-20pts": 20,
};

/** Sends one on a connection of its own, as the client does; resolves with the head of the answer. */
export async function replayCapture(address: string, capture: string): Promise<string> {
  const [head, body] = ["head", "body"].map((part) =>
    readFileSync(new URL(`${capture}.${part}`, SEEDS)),
  ) as [Buffer, Buffer];
  return exchange(address, Buffer.concat([head, Buffer.from("\r\n"), body]));
}
