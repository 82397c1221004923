import { dial } from "./otlp-door.ts";

/** Sends the bytes of a request on a connection of its own; resolves with the head of the answer. */
export async function exchange(address: string, request: Uint8Array): Promise<string> {
  const socket = await dial(address);
  socket.write(request);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes("\r\n\r\n")) break;
  }
  return answer;
}
