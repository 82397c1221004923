import { z } from "zod";
import { duration, listenPlace, secret } from "../../config/blocks.ts";
import { serviceNameOption } from "../../kit/doors/service-name-option.ts";
import { tlsServer } from "../../kit/tls/tls-block.ts";

const MIB = 1024 * 1024;

/** The options of the receiver. */
export const config = z
  .strictObject({
    endpoint: listenPlace(
      "Where to listen: connections over TCP, heartbeats over UDP; or unix:///path, a socket without heartbeats.",
      "127.0.0.1:24224",
    ),
    max_message_size: z
      .int()
      .min(1_024)
      .max(128 * MIB)
      .default(64 * MIB)
      .describe("Largest message in bytes, before and after decompression."),
    tls: tlsServer,
    shared_key: secret("Senders must know it, and learn that weir does. Empty: no handshake."),
    username: z
      .string()
      .min(1)
      .optional()
      .describe("Senders must log in with this name, beside or instead of shared_key."),
    password: secret("The password of username."),
    self_hostname: z
      .string()
      .min(1)
      .default("weir")
      .describe("Name of weir in the handshake. Fluentd wants another one than its own."),
    service_name: serviceNameOption("records that have neither service.name nor service"),
    read_timeout: duration(
      "How long a message may take to arrive, or its acknowledgement to be read; 0s: no limit.",
      "60s",
    ),
    idle_timeout: duration(
      "Close a connection that sends nothing for this long; 0s: never. Docker loses a line when its quiet connection is closed.",
      "0s",
    ),
    max_connections: z
      .int()
      .min(1)
      .optional()
      .describe("Connections at once. Default: what fits the byte budget, at most 10,000."),
  })
  .superRefine(({ username, password }, context) => {
    const hasPassword = password.reveal() !== "";
    if ((username !== undefined) === hasPassword) return;
    const [path, other] = hasPassword ? ["password", "username"] : ["username", "password"];
    context.addIssue({
      code: "custom",
      path: [path],
      message: `needs ${other} beside it: senders log in with both`,
    });
  });
export type Config = z.output<typeof config>;
