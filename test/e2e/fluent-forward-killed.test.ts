import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { encode } from "@msgpack/msgpack";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventTime } from "../receivers/fluent_forward/rig.ts";
import { ShippedService } from "../support/shipped-config.ts";
import { PATIENCE_MS } from "../support/until.ts";

/** `WEIR_KILLS=50` for more. */
const KILLS = Number(process.env["WEIR_KILLS"] ?? 2);
const RECORDS = 50;

let weir: ShippedService;
beforeAll(async () => {
  weir = await ShippedService.start("config/fluent-bit.yaml");
});
afterAll(() => weir[Symbol.asyncDispose]());

async function rows(sql: string): Promise<Record<string, unknown>[]> {
  const isQueued = async () => (await weir.service.law()).some(({ queued }) => queued > 0);
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && (await isQueued()); )
    await sleep(50);
  const answer = await fetch(`http://127.0.0.1:${weir.port(8181)}/api/v3/query_sql`, {
    method: "POST",
    body: JSON.stringify({ db: "weir", q: sql, format: "json" }),
  });
  return (await answer.json()) as Record<string, unknown>[];
}

/** A sender as Fluent Bit and Docker are: a chunk is sent again, on a new connection, until it is acknowledged. */
class AckingSender {
  acknowledged = 0;
  resent = 0;
  isOver = false;
  readonly done: Promise<void>;
  readonly #name: string;
  readonly #messageOf: (chunk: number) => Uint8Array;
  #socket: Socket | undefined;

  constructor(name: string, messageOf: (name: string, chunk: number) => Uint8Array) {
    this.#name = name;
    this.#messageOf = (chunk) => messageOf(name, chunk);
    this.done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.isOver || this.acknowledged === 0) {
      const message = this.#messageOf(this.acknowledged);
      const expected = Buffer.from(encode({ ack: `${this.#name}-${this.acknowledged}` }));
      while (!(await this.#send(message, expected))) {
        this.resent++;
        await sleep(20);
      }
      this.acknowledged++;
    }
    this.#socket?.destroy();
  }

  #send(message: Uint8Array, expected: Buffer): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = this.#socket ?? connect(weir.port(24224), "127.0.0.1");
    this.#socket = socket;
    socket.removeAllListeners("data").removeAllListeners("close");
    socket.on("error", () => {});
    socket.on("data", (answer: Buffer) => resolve(answer.equals(expected)));
    socket.on("close", () => {
      this.#socket = undefined;
      resolve(false);
    });
    socket.write(message);
    return promise;
  }
}

const BASE = 1_705_400_000;

function packedOf(name: string, chunk: number): Uint8Array {
  const entries = Array.from({ length: RECORDS }, (_, n) =>
    encode([
      eventTime(BASE + chunk, n),
      { message: `${name} ${chunk}/${n}`, machine_id: name, job_id: `killed-${name}` },
    ]),
  );
  return encode(["killed", Buffer.concat(entries), { chunk: `${name}-${chunk}` }]);
}

/** Docker gives a line the second that it was written in. */
function dockerOf(name: string, chunk: number): Uint8Array {
  const record = {
    log: `${name} ${chunk}`,
    source: "stdout",
    machine_id: name,
    job_id: `killed-${name}`,
  };
  return encode(["killed", BASE + Math.floor(chunk / 20), record, { chunk: `${name}-${chunk}` }]);
}

test(`killed ${KILLS} times while it takes messages: all that was acknowledged is there, and nothing twice`, async () => {
  const agent = new AckingSender("agent", packedOf);
  const docker = new AckingSender("docker", dockerOf);
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(100 + ((kill * 37) % 150));
    await weir.service.kill("SIGKILL");
    await weir.service.start();
  }
  agent.isOver = docker.isOver = true;
  await Promise.all([agent.done, docker.done]);
  expect(agent.resent + docker.resent).toBeGreaterThan(0);
  for (const [name, each, { acknowledged }] of [
    ["agent", RECORDS, agent],
    ["docker", 1, docker],
  ] as const) {
    const [found] = await rows(
      `SELECT count(*) AS rows, count(DISTINCT message) AS records FROM logs WHERE job_id = 'killed-${name}'`,
    );
    const expected = acknowledged * each;
    expect(found, name).toEqual({ rows: expected, records: expected });
  }
}, 600_000);
