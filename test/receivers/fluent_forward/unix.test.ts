import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "@msgpack/msgpack";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fluentForward } from "../../../src/receivers/fluent_forward/index.ts";
import { Sender, start, stopAll } from "./rig.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "weir-unix-"));
});
afterEach(async () => {
  await stopAll();
  await rm(directory, { recursive: true });
});

const MESSAGE = encode(["app", 1_700_000_000, { log: "hello" }, { chunk: "c1" }]);

test.each(["unix://", ""])("a socket in the file system: %s/path", async (scheme) => {
  const path = join(directory, "forward.sock");
  const { rig, receiver } = await start({ endpoint: `${scheme}${path}` });
  const sender = new Sender(0, connect(path)).send(MESSAGE);
  await expect.poll(() => sender.told.toString("latin1")).toContain("c1");
  expect(rig.items).toBe(1);
  await receiver.stop(AbortSignal.timeout(2_000));
  expect(existsSync(path)).toBe(false);
});

test("what a killed process left is taken away; what somebody listens on, and what is no socket, is not", async () => {
  const path = join(directory, "forward.sock");
  const leave = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", leave]);
  expect(existsSync(path)).toBe(true);
  const endpoint = `unix://${path}`;
  const { rig } = await start({ endpoint });
  await expect(start({ endpoint })).rejects.toThrow(/cannot listen on unix:.*EADDRINUSE/);
  const sender = new Sender(0, connect(path)).send(MESSAGE);
  await expect.poll(() => sender.told.toString("latin1")).toContain("c1");
  expect(rig.items).toBe(1);
  const file = join(directory, "file");
  await writeFile(file, "mine");
  await expect(start({ endpoint: file })).rejects.toThrow("EADDRINUSE");
  expect(existsSync(file)).toBe(true);
});

test.each([
  ["unix://relative", "unix:///run/weir.sock"],
  ["unix://", "unix:///run/weir.sock"],
  [`unix:///${"x".repeat(107)}`, "at most 107 bytes"],
  ["24224", "host:port"],
])("an endpoint that cannot be: %s", (endpoint, why) => {
  const { error } = fluentForward.schema.safeParse({ endpoint });
  expect(error?.issues[0]?.message).toContain(why);
});
