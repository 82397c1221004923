import { LineTables } from "../../kit/doors/line-tables.ts";
import type { HttpServer } from "../../kit/server/http-server.ts";
import { createReceiverServer } from "../../kit/server/receiver-server.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import type { LineShape } from "../../series/doors/line-shapes.ts";
import type { Table } from "../../series/tables/tables.ts";
import { type Config, datakitConfig } from "./config.ts";
import { answerQuestion, notServed } from "./questions.ts";
import { WRITE_PATH, Writes } from "./writes.ts";

/** DataFlux Func lists the ids of a whole upload in the head of each request: a thousand of them, longer than other servers take. */
const HEADER_BYTES = 1 << 20;

/** DataKit's port. */
function createDatakitServer(
  shapes: readonly LineShape[],
  config: Config,
  context: Context,
  intake: Intake,
): HttpServer {
  const writes = new Writes(shapes, config, context, intake);
  const startedMs = context.nowMs();
  return createReceiverServer(config, context, {
    maxHeaderBytes: HEADER_BYTES,
    onRequest: (request) => {
      if (request.path.startsWith(WRITE_PATH)) return writes.answer(request);
      const answer = answerQuestion(request, startedMs, context.nowMs());
      return answer ?? writes.refuse(notServed(request));
    },
    onDenied: (_request, why) => writes.deny(why),
  });
}

/** The receiver for points of these tables; points of other measurements are taken as they are. */
export function createDatakit(tables: readonly Table[]) {
  const lines = new LineTables(tables);
  return {
    kind: "receiver",
    type: "datakit",
    summary: "The write API of DataKit and DataWay, as DataFlux Func and DataKit's clients use it.",
    stability: { logs: "beta", traces: "beta" },
    schema: datakitConfig(lines),
    ...lines.factory,
    example: { endpoint: "127.0.0.1:9529" },
    create: (options: Config, context: Context, intake: Intake): HttpServer =>
      createDatakitServer(
        lines.shapes(options),
        options,
        context,
        lines.intake(options, intake, context),
      ),
  } satisfies ReceiverFactory<Config>;
}
