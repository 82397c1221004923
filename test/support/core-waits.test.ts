import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { CoreWaits, ownMs } from "./core-waits.ts";
import { freePorts } from "./service.ts";
import { until } from "./until.ts";

test("what processes wait for a core is told, and is no time of their own", async () => {
  const spinners = Array.from({ length: availableParallelism() + 2 }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  try {
    const pids = spinners.map(({ pid = 0 }) => pid);
    using waits = new CoreWaits(() => pids);
    await until(() => waits.within(60_000) > 50);
    expect(await ownMs(() => sleep(300), ...pids)).toBeLessThan(300);
  } finally {
    for (const spinner of spinners) spinner.kill("SIGKILL");
  }
});

test("a process that has ended, or never was, waits for nothing", () => {
  using waits = new CoreWaits(() => [0, 2 ** 30]);
  expect(waits.within(0)).toBeGreaterThanOrEqual(0);
});

test("ports are given out once, and can be listened on", async () => {
  const ports = (await Promise.all([freePorts(5), freePorts(5)])).flat();
  expect(new Set(ports).size).toBe(10);
  for (const port of ports) {
    const server = createServer();
    await new Promise<void>((resolve, reject) =>
      server.on("error", reject).listen(port, "127.0.0.1", resolve),
    );
    await new Promise((resolve) => server.close(resolve));
  }
});
