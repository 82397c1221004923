import { LineTables } from "../../kit/doors/line-tables.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context, ReceiverFactory } from "../../pipeline/factory.ts";
import { LineDoor } from "../../series/doors/door.ts";
import type { LineShape } from "../../series/doors/line-shapes.ts";
import type { Table } from "../../series/tables/tables.ts";
import { type Config, lineProtocolConfig } from "./config.ts";
import { HandOver } from "./hand-over.ts";
import { TcpListener } from "./tcp.ts";
import { UdpListener } from "./udp.ts";

/** Line protocol and JSON points over UDP and TCP. */
export class LineProtocolReceiver implements Component {
  readonly udp: UdpListener | undefined;
  readonly tcp: TcpListener | undefined;

  constructor(shapes: readonly LineShape[], options: Config, context: Context, intake: Intake) {
    const { udp, tcp, precision, service_name: serviceName } = options;
    const makeDoor = () =>
      new LineDoor(shapes, { precision, ...(serviceName !== undefined && { serviceName }) });
    if (udp !== undefined)
      this.udp = new UdpListener(udp, context, new HandOver(context, intake, "udp"), makeDoor);
    if (tcp !== undefined)
      this.tcp = new TcpListener(tcp, context, new HandOver(context, intake, "tcp"), makeDoor);
  }

  async start(): Promise<void> {
    await this.udp?.start();
    try {
      await this.tcp?.start();
    } catch (error) {
      await this.udp?.stop(AbortSignal.abort());
      throw error;
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await Promise.all([this.udp?.stop(deadline), this.tcp?.stop(deadline)]);
  }
}

/** The receiver for lines of these tables; lines of other measurements are taken as they are. */
export function createLineProtocol(tables: readonly Table[]) {
  const lines = new LineTables(tables);
  return {
    kind: "receiver",
    type: "line_protocol",
    summary:
      "InfluxDB line protocol and JSON points over UDP and TCP: one bad line costs one line.",
    stability: { logs: "beta", traces: "beta" },
    schema: lineProtocolConfig(lines),
    ...lines.factory,
    example: { udp: { endpoint: "127.0.0.1:8094" } },
    create: (options: Config, context: Context, intake: Intake) =>
      new LineProtocolReceiver(
        lines.shapes(options),
        options,
        context,
        lines.intake(options, intake, context),
      ),
  } satisfies ReceiverFactory<Config>;
}
