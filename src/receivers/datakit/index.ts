import { lineSpanIntake } from "../../kit/doors/line-span-intake.ts";
import { createHttpServer, type HttpServer } from "../../kit/server/http-server.ts";
import { httpServerOptions } from "../../kit/server/http-server-block.ts";
import { serverSurroundings } from "../../kit/server/server-surroundings.ts";
import type { Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { type LineShape, lineShapes } from "../../series/doors/line-shapes.ts";
import { lacksSpans, needsOfSpans, spanTables } from "../../series/tables/span-tables.ts";
import { TableChoice } from "../../series/tables/table-choice.ts";
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
  const option = `receivers.${context.id}`;
  const writes = new Writes(shapes, config, context, intake);
  const startedMs = context.nowMs();
  return createHttpServer({
    ...httpServerOptions(config),
    ...serverSurroundings(config, context, option),
    endpoint: config.endpoint,
    what: `receiver ${context.id}`,
    option: `${option}.endpoint`,
    maxHeaderBytes: HEADER_BYTES,
    onRequest: (request) => {
      if (request.path.startsWith(WRITE_PATH)) return writes.answer(request);
      const answer = answerQuestion(request, startedMs, context.nowMs());
      return answer ?? writes.refuse(notServed(request));
    },
    onDenied: (_request, why) => writes.deny(why),
    onTrouble: (error) =>
      context.log.warn(
        { receiver: context.id, error: error.message },
        "trouble in the HTTP server",
      ),
  });
}

/** The receiver for points of these tables; points of other measurements are taken as they are. */
export function createDatakit(tables: readonly Table[]) {
  const choice = new TableChoice(tables);
  return {
    kind: "receiver",
    type: "datakit",
    summary: "The write API of DataKit and DataWay, as DataFlux Func and DataKit's clients use it.",
    stability: { logs: "beta", traces: "beta" },
    schema: datakitConfig(choice),
    fileOptions: ["tables"],
    unsupported: (options, signal) => lacksSpans(choice, options, signal),
    needs: (options) => needsOfSpans(choice, options),
    example: { endpoint: "127.0.0.1:9529" },
    create: (options: Config, context: Context, intake: Intake): HttpServer =>
      createDatakitServer(
        lineShapes(choice.choose(options.tables).declared),
        options,
        context,
        lineSpanIntake(intake, spanTables(choice, options), context),
      ),
  } satisfies ReceiverFactory<Config>;
}
