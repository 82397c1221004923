import { execFile } from "node:child_process";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { EXPORT_PATHS } from "../../src/receivers/otlp/grpc.ts";
import { Door } from "../support/otlp-door.ts";
import { goInstall } from "./install.ts";
import type { Check, Peer } from "./peer.ts";

const PROGRAM = [
  "h2spec",
  "github.com/summerwind/h2spec/cmd/h2spec",
  "v2.2.1+incompatible",
] as const;
/**
 * A ratchet: moves only up. What fails is in nghttp2 or in Node: frames on streams that are closed are ignored instead of answered, and some errors of
 * a stream end the connection.
 */
const LEAST_PASSED = 136;
/** A frame on a half closed stream is refused or comes too late, as the suite's two writes are read together or not. */
const TRIES = 3;
const ALL = 145;
const LIMIT_MS = 120_000;

/** The HTTP/2 conformance suite against the gRPC port of an otlp receiver. */
export const h2spec: Peer = {
  name: "h2spec",
  what: `HTTP/2 on the gRPC port: at least ${LEAST_PASSED} of ${ALL} tests`,
  install: async () => goInstall(...PROGRAM).missing,
  run,
};

async function run(check: Check): Promise<void> {
  const door = await new Door({ indexer: createIndexer() }).start();
  try {
    let output = "";
    for (let left = TRIES; left > 0 && !isEnough(output); left--)
      output = await suite(door.grpcAddress);
    check(
      `at least ${LEAST_PASSED} tests pass`,
      isEnough(output),
      /\d+ tests.*/.exec(output)?.[0] ?? output.slice(-300),
    );
    const answer = await fetch(`${door.http}/v1/logs`, { method: "POST" });
    check("the receiver lives on", answer.status === 415, String(answer.status));
    check("nothing went wrong inside", door.logged.length === 0, door.logged.join("\n"));
  } finally {
    await door.stop();
  }
}

function isEnough(output: string): boolean {
  const [, all, passed] = /(\d+) tests, (\d+) passed/.exec(output) ?? [];
  return Number(all) === ALL && Number(passed) >= LEAST_PASSED;
}

/** What the suite prints; it fails as a program when a test fails. */
function suite(address: string): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  const args = ["-h", host, "-p", port, "-P", EXPORT_PATHS.logs, "-o", "1"];
  const { path } = goInstall(...PROGRAM);
  return new Promise((resolve) => {
    execFile(path, args, { timeout: LIMIT_MS, killSignal: "SIGKILL" }, (_error, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
  });
}
