import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode, encode } from "@msgpack/msgpack";
import { afterEach, expect, test } from "vitest";
import { config } from "../../../src/receivers/fluent_forward/config.ts";
import { Security } from "../../../src/receivers/fluent_forward/handshake.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { until } from "../../support/until.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const sha = (...parts: readonly (string | Uint8Array)[]) => {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const SALT = Buffer.from("0123456789abcdef");
const SECURED = { shared_key: "emp-shared", username: "user", password: "pass" };

interface Hello {
  readonly nonce: Uint8Array;
  readonly auth: Uint8Array;
  readonly keepalive: boolean;
}

async function hello(sender: Sender): Promise<Hello> {
  await until(() => sender.answers().length === 1);
  const [name, options] = sender.answers()[0] as [string, Hello];
  expect(name).toBe("HELO");
  return options;
}

/** A PING as Fluentd makes it. */
function ping({ nonce, auth }: Hello, key: string, user = "", password = ""): Uint8Array {
  const login = user === "" ? "" : sha(auth, user, password);
  return encode(["PING", "worker-1", SALT, sha(SALT, "worker-1", nonce, key), user, login]);
}

test("HELO, PING and PONG are those of the captured handshake, byte for byte", () => {
  const folder = join(import.meta.dirname, "..", "..", "fixtures", "seeds", "forward");
  const read = (name: string) => readFileSync(join(folder, `handshake-${name}.msgpack`));
  const params = JSON.parse(readFileSync(join(folder, "handshake-params.json"), "utf8")) as Record<
    string,
    string
  >;
  const options = config.parse({ ...SECURED, self_hostname: params["self_hostname_server"] });
  const bytesOf = (name: string) => Buffer.from(params[name] ?? "", "hex");
  const handshake = new Security(options).begin(bytesOf("nonce_hex"), bytesOf("auth_hex"));
  expect(Buffer.from(handshake.hello)).toEqual(read("1-HELO"));
  const sent = read("2-PING");
  const bytes = withSlack(Uint8Array.from(sent));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pong = handshake.answer(bytes, view, 0, sent.length);
  expect(pong.isWelcome).toBe(true);
  expect(Buffer.from(pong.bytes)).toEqual(read("3-PONG"));
});

test.each([
  ["a key", { shared_key: "k" }, "k", "", ""],
  ["a key and a password", SECURED, "emp-shared", "user", "pass"],
  ["a password only", { username: "user", password: "pass" }, "", "user", "pass"],
])(
  "%s: who knows it may send, and learns that we know it",
  async (_what, options, key, user, password) => {
    const { rig, port } = await start(options);
    const sender = new Sender(port);
    const said = await hello(sender);
    expect(said.nonce.length).toBe(16);
    expect(said.auth.length).toBe(user === "" ? 0 : 16);
    expect(said.keepalive).toBe(true);
    sender.send(ping(said, key, user, password), encode(["t", 1, { log: "a" }, { chunk: "c" }]));
    await until(() => sender.answers().length === 3);
    expect(sender.answers().slice(1)).toEqual([
      ["PONG", true, "", "weir", sha(SALT, "weir", said.nonce, key)],
      { ack: "c" },
    ]);
    expect(rig.items).toBe(1);
  },
);

test.each([
  ["another key", (said: Hello) => ping(said, "other", "user", "pass"), "shared_key mismatch"],
  [
    "another name",
    (said: Hello) => ping(said, "emp-shared", "root", "pass"),
    "username/password mismatch",
  ],
  [
    "another password",
    (said: Hello) => ping(said, "emp-shared", "user", "no"),
    "username/password mismatch",
  ],
  ["no password", (said: Hello) => ping(said, "emp-shared"), "username/password mismatch"],
  [
    "a nonce of another connection",
    (said: Hello) => ping({ ...said, nonce: SALT }, "emp-shared", "user", "pass"),
    "shared_key mismatch",
  ],
  ["a message before the handshake", () => encode(["t", 1, { log: "a" }]), "invalid ping message"],
  [
    "an element that is no text",
    () => encode(["PING", 1, SALT, "", "", ""]),
    "invalid ping message",
  ],
  [
    "another name of the message",
    () => encode(["PONG", "a", SALT, "", "", ""]),
    "invalid ping message",
  ],
])("%s: PONG says why, and the connection ends", async (_what, answer, why) => {
  const { rig, port } = await start(SECURED);
  const sender = new Sender(port);
  sender.send(answer(await hello(sender)), encode(["t", 1, { log: "a" }, { chunk: "c" }]));
  sender.socket.on("end", () => sender.socket.end());
  await sender.closed;
  expect(sender.answers().slice(1)).toEqual([["PONG", false, why, "", ""]]);
  expect(rig.items).toBe(0);
  expect(rig.counts.get("weir_receiver_requests_total fluent_forward tcp unauthorized")).toBe(1);
  expect(rig.said.join()).toContain(`the handshake failed: ${why}`);
});

test("who sends much before it is known is cut, and takes nothing from the byte budget", async () => {
  const { rig, port } = await start({ shared_key: "k" });
  const sender = new Sender(port);
  await hello(sender);
  sender.send(Buffer.from([0x91, 0xc6, 0, 1, 0, 0]), Buffer.alloc(7_000));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([sender.isClosed, rig.budget.used]).toEqual([false, 0]);
  sender.send(Buffer.alloc(2_000));
  sender.socket.on("end", () => sender.socket.end());
  await sender.closed;
  expect(rig.said.join()).toContain("8192 bytes");
});

test("nonces are of one use, and nobody is told a digest of ours before PING", async () => {
  const { port } = await start({ shared_key: "k" });
  const [a, b] = [new Sender(port), new Sender(port)];
  expect(Buffer.from((await hello(a)).nonce).equals(Buffer.from((await hello(b)).nonce))).toBe(
    false,
  );
  expect(decode(a.told)).toHaveLength(2);
});

test.each([
  [{ username: "a" }, "username", "needs password"],
  [{ password: "a" }, "password", "needs username"],
])("%j is refused", (options, path, message) => {
  const { error } = config.safeParse(options);
  expect(error?.issues[0]?.path).toEqual([path]);
  expect(error?.issues[0]?.message).toContain(message);
});

test("secrets do not print", () => {
  const text = JSON.stringify(config.parse(SECURED));
  expect(text).not.toContain("emp-shared");
  expect(text).not.toContain('"pass"');
});
