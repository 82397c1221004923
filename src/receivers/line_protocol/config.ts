import { z } from "zod";
import { duration, listenEndpoint } from "../../config/blocks.ts";
import { type LineTables, lineOptions } from "../../kit/doors/line-tables.ts";

const enabled = z
  .boolean()
  .default(true)
  .describe("false: as if the block were absent. Lets a later file switch it off.");

const udp = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for datagrams.", "127.0.0.1:8094"),
  recv_buffer_size: z
    .int()
    .min(4_096)
    .max(1 << 30)
    .default(8 << 20)
    .describe(
      "Receive buffer asked of the kernel, in bytes; a warning says when it grants less (sysctl net.core.rmem_max).",
    ),
});
export type UdpConfig = z.output<typeof udp>;

const tcp = z.strictObject({
  enabled,
  endpoint: listenEndpoint("Where to listen for connections.", "127.0.0.1:8094"),
  max_line_size: z
    .int()
    .min(1_024)
    .max(64 << 20)
    .default(2 << 20)
    .describe("Longest line in bytes; a longer one is counted as a bad line."),
  max_connections: z
    .int()
    .min(1)
    .default(1_024)
    .describe("Connections at once; further ones are closed."),
  idle_timeout: duration("Close a connection that sends nothing for this long; 0s = never.", "10m"),
});
export type TcpConfig = z.output<typeof tcp>;

/** `udp:` with nothing behind it means the defaults, as in the Collector; `enabled: false` means absent. `lines` checks those of tables. */
export function lineProtocolConfig(lines: LineTables) {
  return z
    .strictObject({
      udp: udp
        .nullable()
        .optional()
        .transform((block) => (block === null ? udp.parse({}) : block))
        .transform((block) => (block?.enabled === true ? block : undefined))
        .describe("Datagrams of lines. Present, even when empty: on."),
      tcp: tcp
        .nullable()
        .optional()
        .transform((block) => (block === null ? tcp.parse({}) : block))
        .transform((block) => (block?.enabled === true ? block : undefined))
        .describe("Newline-separated lines over TCP. Present, even when empty: on."),
      precision: z
        .enum(["auto", "ns", "us", "ms", "s"])
        .default("auto")
        .describe(
          "Unit of the times in the lines; auto decides by their magnitude, as always in JSON.",
        ),
      ...lineOptions("lines"),
    })
    .refine((c) => c.udp !== undefined || c.tcp !== undefined, {
      error: 'needs "udp" or "tcp", for example udp: { endpoint: "127.0.0.1:8094" }',
    })
    .superRefine((options, context) => lines.check(options, context));
}
export type Config = z.output<ReturnType<typeof lineProtocolConfig>>;
