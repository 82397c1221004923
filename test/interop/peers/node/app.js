// An Express app as users write it: it knows nothing of telemetry but one counter. Serves one good and one bad request to itself, then ends.
import { metrics } from "@opentelemetry/api";
import express from "express";
import pino from "pino";

const log = pino({ level: "info" }, pino.destination("/dev/null"));
const orders = metrics.getMeter("shop").createCounter("interop.orders", { unit: "1" });
const app = express();
app.use(express.json());
app.post("/orders/:id", (request, response) => {
  orders.add(1, { shop: "east" });
  if (request.params.id === "bad") {
    log.error({ request_id: "r-bad" }, "an order without an item");
    response.status(400).json({ error: "no item" });
    return;
  }
  log.info({ request_id: "r-good" }, "an order");
  response.json({ id: request.params.id });
});
const server = app.listen(0, "127.0.0.1", async () => {
  const { port } = server.address();
  for (const id of ["42", "bad"])
    await fetch(`http://127.0.0.1:${port}/orders/${id}`, { method: "POST" });
  server.close();
  // The SDK flushes on SIGTERM, as it does in a container.
  process.kill(process.pid, "SIGTERM");
});
