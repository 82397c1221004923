import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { Msgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";
import type { Config } from "./config.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";

const NONCE_BYTES = 16;
/** Elements of a PING: its name, host, salt, digest of the key, user, digest of the password. */
const PING = 6;

/** How weir answers a PING; the connection ends when `isWelcome` is false. */
export interface Pong {
  readonly bytes: Uint8Array;
  readonly isWelcome: boolean;
  readonly why: string;
}

/** Who may send, and how senders know that they have reached us (Forward Protocol v1, "Handshake"). */
export class Security {
  readonly #key: string;
  readonly #login: { readonly username: string; readonly password: string } | undefined;
  readonly #host: string;

  constructor({ shared_key, username, password, self_hostname }: Config) {
    this.#key = shared_key.reveal();
    this.#login = username === undefined ? undefined : { username, password: password.reveal() };
    this.#host = self_hostname;
  }

  get isWanted(): boolean {
    return this.#key !== "" || this.#login !== undefined;
  }

  /** A handshake with numbers of its own. */
  begin(
    nonce: Uint8Array = randomBytes(NONCE_BYTES),
    auth: Uint8Array = this.#login === undefined ? new Uint8Array(0) : randomBytes(NONCE_BYTES),
  ): Handshake {
    const isLoginRight = (user: string, digest: Uint8Array) =>
      this.#login === undefined ||
      // Both are compared, so that the time tells nothing about the name.
      (isEqual(digestOf(auth, user, this.#login.password), digest) &&
        user === this.#login.username);
    return new Handshake({ key: this.#key, host: this.#host, isLoginRight }, nonce, auth);
  }
}

interface Known {
  readonly key: string;
  readonly host: string;
  readonly isLoginRight: (user: string, digest: Uint8Array) => boolean;
}

/** HELO, PING and PONG of one connection. */
export class Handshake {
  readonly hello: Uint8Array;
  readonly #known: Known;
  readonly #nonce: Uint8Array;

  constructor(known: Known, nonce: Uint8Array, auth: Uint8Array) {
    this.#known = known;
    this.#nonce = nonce;
    this.hello = new MsgpackWriter()
      .list(2)
      .text("HELO")
      .map(3)
      .text("nonce")
      .bytes(nonce)
      .text("auth")
      .bytes(auth)
      .text("keepalive")
      .boolean(true)
      .take();
  }

  /** The answer to the message in `bytes[from, to)`, which has SLACK behind it. */
  answer(bytes: Uint8Array, view: DataView, from: number, to: number): Pong {
    const ping = readPing(bytes, view, from, to);
    if (ping === undefined) return refused("invalid ping message");
    const [, host, salt, keyDigest, user, loginDigest] = ping;
    const { key, host: own, isLoginRight } = this.#known;
    if (!isEqual(digestOf(salt, host, this.#nonce, key), keyDigest))
      return refused("shared_key mismatch");
    if (!isLoginRight(Buffer.from(user).toString(), loginDigest))
      return refused("username/password mismatch");
    const proof = digestOf(salt, own, this.#nonce, key);
    const pong = new MsgpackWriter().list(5).text("PONG").boolean(true).text("").text(own);
    return { bytes: pong.text(proof.toString()).take(), isWelcome: true, why: "" };
  }
}

type Ping = readonly [
  name: Uint8Array,
  host: Uint8Array,
  salt: Uint8Array,
  keyDigest: Uint8Array,
  user: Uint8Array,
  loginDigest: Uint8Array,
];

/** The elements of a PING, all of them texts or bytes. */
function readPing(bytes: Uint8Array, view: DataView, from: number, to: number): Ping | undefined {
  const scan = new MsgpackScan();
  scan.begin(bytes, view, to);
  let p = scan.head(from);
  if (p < 0 || scan.kind !== Msgpack.list || scan.count !== PING) return undefined;
  const element = () => {
    p = scan.head(p);
    const isText = p >= 0 && (scan.kind === Msgpack.text || scan.kind === Msgpack.bytes);
    return isText ? bytes.slice(scan.at, scan.at + scan.length) : undefined;
  };
  const found: Uint8Array[] = [];
  for (let i = 0; i < PING; i++) {
    const value = element();
    if (value === undefined) return undefined;
    found.push(value);
  }
  const [name, host, salt, keyDigest, user, loginDigest] = found;
  if (!name || !host || !salt || !keyDigest || !user || !loginDigest) return undefined;
  if (Buffer.from(name).toString() !== "PING") return undefined;
  return [name, host, salt, keyDigest, user, loginDigest];
}

function refused(why: string): Pong {
  const pong = new MsgpackWriter().list(5).text("PONG").boolean(false).text(why).text("").text("");
  return { bytes: pong.take(), isWelcome: false, why };
}

/** SHA-512 of the parts, as text in hexadecimal digits. */
function digestOf(...parts: readonly (string | Uint8Array)[]): Buffer {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.from(hash("sha512", bytes, "hex"));
}

function isEqual(expected: Buffer, digest: Uint8Array): boolean {
  return expected.length === digest.length && timingSafeEqual(expected, digest);
}
