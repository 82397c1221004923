import { createIndexer } from "../../src/otlp/indexing.ts";
import { Door } from "./otlp-door.ts";

/** Child process of the abuse tests: an `otlp` receiver whose memory, loop delay and crashes are its own. */
const MIB = 1024 * 1024;
const door = await new Door({
  indexer: createIndexer(),
  budgetBytes: Number(process.argv[2]) * MIB,
  protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } },
}).start();
let mostRss = 0;
let unexpected = "";
process.on("uncaughtException", (error) => {
  unexpected = String(error.stack);
});
setInterval(() => {
  mostRss = Math.max(mostRss, process.memoryUsage.rss());
}, 10).unref();

/** The most CPU time that this thread used between two turns of its loop: by the clock, a busy machine makes them long. */
let longestTurnMs = 0;
let turn = process.threadCpuUsage();
setInterval(() => {
  const { user, system } = process.threadCpuUsage(turn);
  longestTurnMs = Math.max(longestTurnMs, (user + system) / 1_000);
  turn = process.threadCpuUsage();
}, 5).unref();

process.on("message", (command) => {
  if (command === "reset") {
    mostRss = process.memoryUsage.rss();
    longestTurnMs = 0;
    process.send?.({ http: door.httpAddress, grpc: door.grpcAddress, rss: mostRss });
  } else
    process.send?.({
      mostRss: Math.max(mostRss, process.memoryUsage.rss()),
      longestTurnMs,
      used: door.budget.used,
      items: door.submitted.reduce((sum, batch) => sum + batch.items, 0),
      invalid: door.outcome("grpc", "invalid"),
      cpuMs: process.cpuUsage().user / 1000,
      unexpected,
    });
  // Batches would stay in memory; the service hands them on.
  door.submitted.length = 0;
});
