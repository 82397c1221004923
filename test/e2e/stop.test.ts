import { connect } from "node:net";
import { expect, test } from "vitest";
import { isBalanced } from "../support/service.ts";
import { Stand } from "./stand.ts";

test("a client that never finishes its request cannot make a stop unclean", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], sending_queue: { storage: file_storage } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`,
  );
  await stand.service.start();
  expect((await stand.post(["before"])).status).toBe(200);
  await stand.until((laws) => laws.every(({ delivered }) => delivered === 1));
  const slow = connect(stand.ports.http, "127.0.0.1");
  slow.on("error", () => {});
  slow.write(
    "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9\r\n\r\nabc",
  );
  await expect.poll(() => stand.service.metric("weir_budget_used_bytes")).toBeGreaterThan(0);
  const begun = performance.now();
  expect(await stand.service.kill("SIGTERM")).toBe(0);
  const tookMs = performance.now() - begun;
  expect(tookMs - stand.waits.within(tookMs)).toBeLessThan(14_000);
  expect(stand.service.log).not.toMatch(/journal write failed|not noted|could not be written/);
  slow.destroy();
  await stand.service.start();
  const laws = await stand.service.law();
  expect(laws.every(isBalanced)).toBe(true);
  expect(laws[0]).toMatchObject({ appended: 1, delivered: 1, queued: 0 });
});

test("a service whose log nobody reads any more goes on, and stops as it should", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  file: { path: "${it.path("out.lp")}", format: lines, tables: [function_logs], sending_queue: { storage: file_storage } }
${it.serviceWith("logs: { receivers: [otlp], exporters: [file] }")}`,
  );
  await stand.service.start();
  stand.service.closeLog();
  const malformed = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: "no protobuf",
  });
  expect(malformed.status).toBe(400);
  expect((await stand.post(["after"])).status).toBe(200);
  const stopped = stand.service.kill("SIGTERM");
  const spins = setTimeout(() => void stand.service.kill("SIGKILL"), 60_000);
  expect(await stopped).toBe(0);
  clearTimeout(spins);
});

test("SIGHUP ends nothing: the log says that the configuration is not read again", async () => {
  await using stand = await Stand.open(
    (it) => `${it.frame}
exporters:
  debug: { verbosity: basic }
${it.serviceWith("logs: { receivers: [otlp], exporters: [debug] }")}`,
  );
  await stand.service.start();
  process.kill(stand.service.pid, "SIGHUP");
  await expect
    .poll(() => stand.service.log)
    .toContain("the configuration is not read again: restart the service");
  expect((await stand.post(["after"])).status).toBe(200);
  await stand.until((laws) => laws.every(({ delivered }) => delivered === 1));
});
