import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { encode } from "@msgpack/msgpack";
import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import type { ReceiverRig } from "../../support/receiver-rig.ts";
import { freePorts } from "../../support/service.ts";
import { until } from "../../support/until.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
const good = (log: string, chunk?: string) =>
  encode(["t", T, { log }, chunk === undefined ? {} : { chunk }]);
const bodies = (rig: ReceiverRig) => stored(rig).map(({ body }) => body);
const outcome = (rig: ReceiverRig, name: string) =>
  rig.counts.get(`weir_receiver_requests_total fluent_forward tcp ${name}`) ?? 0;
const nap = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("back-pressure", () => {
  test("a full pipeline: nothing is acknowledged, nothing more is read, nothing is lost", async () => {
    const { rig, port } = await start();
    const full = { kind: "refused", retryAfterMs: 20, why: "the queue is full" } as const;
    rig.refusals.push(full, full, full);
    const sender = new Sender(port);
    for (let n = 0; n < 50; n++) sender.send(good(`${n}`, `${n}`));
    await sender.acks(50);
    expect(bodies(rig)).toEqual(Array.from({ length: 50 }, (_, n) => `${n}`));
    expect(outcome(rig, "refused")).toBeGreaterThan(0);
    expect(rig.rejected).toEqual([]);
  });

  test("an acknowledgement waits until the records are durable", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port).send(good("a", "k"));
    await nap(50);
    expect(sender.told.length).toBe(0);
    resolve();
    expect(await sender.acks(1)).toEqual(["k"]);
  });

  test("while nothing is taken, the socket is not read", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port);
    const part = encode(["t", T, { log: "x".repeat(100_000) }, { chunk: "k" }]);
    for (let n = 0; n < 200; n++) sender.socket.write(part);
    await nap(200);
    expect(sender.socket.writableLength).toBeGreaterThan(0);
    expect(rig.budget.used).toBeLessThan(1 << 20);
    resolve();
    expect(await sender.acks(200)).toHaveLength(200);
    expect(rig.items).toBe(200);
  });

  test("a sender that is gone before its acknowledgement: its records are stored, nobody is disturbed", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    let isSubmitted = false;
    rig.submitting = () => {
      isSubmitted = true;
      return promise;
    };
    const sender = new Sender(port).send(good("a", "k"));
    await until(() => isSubmitted);
    sender.socket.resetAndDestroy();
    await sender.closed;
    resolve();
    await until(() => rig.items === 1);
    const other = new Sender(port).send(good("b", "l"));
    expect(await other.acks(1)).toEqual(["l"]);
    expect(rig.said).toEqual([]);
  });

  test("a stop: what is refused then is not acknowledged; who waits for no acknowledgement has lost it, which is counted", async () => {
    const { rig, port, receiver } = await start();
    rig.submitting = async () => {
      throw new PipelineError({ kind: "unavailable", retryAfterMs: 60_000, why: "disk full" });
    };
    const [waiting, forgetting] = [new Sender(port), new Sender(port)];
    waiting.send(good("a", "k"));
    forgetting.send(good("b"), good("c"));
    await until(() => outcome(rig, "unavailable") === 2);
    await receiver.stop(AbortSignal.timeout(2_000));
    await waiting.closed;
    expect([waiting.told.length, rig.items, rig.lost]).toEqual([0, 0, 2]);
    expect(rig.said.join()).toContain("messages were lost");
  });

  test("a stop while there is no room: what was read and not taken is said", async () => {
    const { rig, port, receiver } = await start();
    const full = { kind: "refused", retryAfterMs: 60_000, why: "full" } as const;
    rig.refusals.push(full, full);
    const sender = new Sender(port).send(good("a", "k"));
    await until(() => outcome(rig, "refused") === 1);
    await receiver.stop(AbortSignal.timeout(2_000));
    await sender.closed;
    expect(sender.told.length).toBe(0);
    expect(rig.said.join()).toContain("weir stops");
  });

  test("a stop does not wait longer than it may", async () => {
    const { rig, port, receiver } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port).send(good("a", "k"));
    await until(() => rig.budget.used > 0);
    await receiver.stop(AbortSignal.timeout(100));
    expect(sender.told.length).toBe(0);
    resolve();
    await until(() => rig.budget.used === 0);
  });

  test("a failure inside weir: no acknowledgement, the connection ends, an operator is told", async () => {
    const { rig, port } = await start();
    rig.submitting = async () => {
      throw new Error("disk on fire");
    };
    const sender = new Sender(port).send(good("a", "k"));
    sender.socket.on("end", () => sender.socket.end());
    await sender.closed;
    expect(sender.told.length).toBe(0);
    expect(rig.said.join()).toContain("disk on fire");
  });
});

describe("listening", () => {
  test("a heartbeat over UDP is answered", async () => {
    const { port } = await start();
    const socket = createSocket("udp4");
    socket.send(Uint8Array.of(0), port, "127.0.0.1");
    const [answer] = (await once(socket, "message")) as [Buffer];
    socket.close();
    expect([...answer]).toEqual([0]);
  });

  test("over TLS, and a client without it is told in the log", async () => {
    const folder = join(import.meta.dirname, "..", "..", "fixtures", "tls");
    const cert = join(folder, "server.pem");
    const { rig, port } = await start({
      tls: { cert_file: cert, key_file: join(folder, "server.key.pem") },
    });
    const options = { port, host: "127.0.0.1", rejectUnauthorized: false };
    const sender = new Sender(port, connectTls(options)).send(good("a", "k"));
    expect(await sender.acks(1)).toEqual(["k"]);
    await new Sender(port).send(good("b")).closed;
    expect(bodies(rig)).toEqual(["a"]);
    expect(rig.said.join()).toContain("no TLS connection");
  });

  test("an address in use names what usually has it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? address?.port : 0;
    await expect(start({ endpoint: `127.0.0.1:${port}` })).rejects.toThrow(
      /receiver fluent_forward.*in use/,
    );
    other.close();
  });

  test("a UDP port in use stops the start, and the TCP port is free again", async () => {
    const [port = 0] = await freePorts(1);
    const udp = createSocket("udp4");
    await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
    await expect(start({ endpoint: `127.0.0.1:${port}` })).rejects.toThrow("heartbeats");
    udp.close();
    await once(udp, "close");
    await start({ endpoint: `127.0.0.1:${port}` });
  });
});
