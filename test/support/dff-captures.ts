import { readdirSync, readFileSync } from "node:fs";
import { dial } from "./otlp-door.ts";

/** Requests of the unmodified client of DataFlux Func, captured byte for byte. */
const SEEDS = new URL("../fixtures/seeds/dff/", import.meta.url);

/** Their names. */
export const CAPTURES: readonly string[] = readdirSync(SEEDS)
  .filter((name) => name.endsWith(".head"))
  .map((name) => name.slice(0, -".head".length));

/** Sends one on a connection of its own, as the client does; resolves with the head of the answer. */
export async function replayCapture(address: string, capture: string): Promise<string> {
  const [head, body] = ["head", "body"].map((part) =>
    readFileSync(new URL(`${capture}.${part}`, SEEDS)),
  ) as [Buffer, Buffer];
  const socket = await dial(address);
  socket.write(Buffer.concat([head, Buffer.from("\r\n"), body]));
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes("\r\n\r\n")) break;
  }
  return answer;
}
