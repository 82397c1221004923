import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { Stand } from "./stand.ts";

test("lines that a TCP connection had sent when SIGTERM came are delivered, the unfinished last one too", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], sending_queue: { storage: file_storage } }
${it.serviceWith("logs: { receivers: [line_protocol], exporters: [file] }")}`,
  );
  await stand.service.start();
  const socket = connect(stand.ports.line, "127.0.0.1");
  socket.on("error", () => {});
  const line = (i: number) => `function_logs,function_id=f,execution_id=e${i} duration_ms=${i}i`;
  // No newline behind the last: the receiver holds it back until it knows that nothing follows.
  const lines = Array.from({ length: 500 }, (_, i) => line(i)).join("\n");
  await new Promise<void>((resolve) => socket.write(lines, () => resolve()));
  await stand.until((laws) => laws.every(({ appended }) => appended === 499));
  await stand.datagram(line(500));
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  socket.destroy();
  await stand.service.start();
  await stand.until((laws) => laws.every(({ queued }) => queued === 0));
  const out = await readFile(stand.path("out.lp"), "utf8");
  const ids = [...out.matchAll(/execution_id=(e\d+)/g)].map(([, id]) => id);
  expect(ids.toSorted()).toEqual(Array.from({ length: 501 }, (_, i) => `e${i}`).toSorted());
});
