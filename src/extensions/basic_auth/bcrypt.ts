import { setImmediate as breathe } from "node:timers/promises";

/** bcrypt ("$2a$", "$2b$", "$2y$"), as `htpasswd -B` writes it: Provos and Mazières, "A Future-Adaptable Password Scheme" (1999). */

const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SUBKEYS = 18;
const BOX = 256;
/** What is encrypted 64 times. */
const TEXT = "OrpheanBeholderScryDoubt";
const SALT_BYTES = 16;
const HASH_BYTES = 23;
const KEY_BYTES = 72;
/** The event loop is let go after this long. */
const SLICE_MS = 10;

/** Blowfish's state: 18 subkeys, then four boxes of 256. It begins as the fraction of pi. */
class Blowfish {
  readonly #p: Int32Array;
  readonly #s: Int32Array;
  left = 0;
  right = 0;

  constructor(pi: Int32Array) {
    this.#p = pi.slice(0, SUBKEYS);
    this.#s = pi.slice(SUBKEYS);
  }

  /** Encrypts `left` and `right` in place. */
  encrypt(): void {
    const p = this.#p;
    const s = this.#s;
    let left = this.left;
    let right = this.right;
    for (let i = 0; i < SUBKEYS - 2; i += 2) {
      left ^= p[i] as number;
      right ^= mix(s, left);
      right ^= p[i + 1] as number;
      left ^= mix(s, right);
    }
    this.left = right ^ (p[SUBKEYS - 1] as number);
    this.right = left ^ (p[SUBKEYS - 2] as number);
  }

  /** Mixes `key` into the subkeys, then encrypts everything anew, with `salt` mixed in between. */
  expand(key: Int32Array, salt: Int32Array): void {
    const p = this.#p;
    for (let i = 0; i < SUBKEYS; i++) p[i] = (p[i] as number) ^ (key[i % key.length] as number);
    this.left = 0;
    this.right = 0;
    let at = 0;
    for (const words of [p, this.#s])
      for (let i = 0; i < words.length; i += 2) {
        this.left ^= salt[at] as number;
        this.right ^= salt[at + 1] as number;
        at = (at + 2) & 3;
        this.encrypt();
        words[i] = this.left;
        words[i + 1] = this.right;
      }
  }
}

function mix(s: Int32Array, x: number): number {
  const a = ((s[x >>> 24] as number) + (s[BOX + ((x >>> 16) & 255)] as number)) | 0;
  return (
    ((a ^ (s[2 * BOX + ((x >>> 8) & 255)] as number)) + (s[3 * BOX + (x & 255)] as number)) | 0
  );
}

/** The 53 characters behind the cost: salt and hash. Takes long on purpose; lets the event loop go in between. */
export async function bcrypt(password: string, salt: string, cost: number): Promise<string> {
  const key = words(Buffer.from(`${password}\0`).subarray(0, KEY_BYTES), SUBKEYS);
  const grain = words(decode(salt, SALT_BYTES), 4);
  const none = new Int32Array(4);
  const state = new Blowfish(piWords(SUBKEYS + 4 * BOX));
  state.expand(key, grain);
  let since = performance.now();
  for (let round = 2 ** cost; round > 0; round--) {
    state.expand(key, none);
    state.expand(grain, none);
    if (performance.now() - since < SLICE_MS) continue;
    await breathe();
    since = performance.now();
  }
  const text = words(Buffer.from(TEXT), TEXT.length / 4);
  for (let i = 0; i < text.length; i += 2) {
    state.left = text[i] as number;
    state.right = text[i + 1] as number;
    for (let round = 0; round < 64; round++) state.encrypt();
    text[i] = state.left;
    text[i + 1] = state.right;
  }
  const bytes = Buffer.alloc(text.length * 4);
  text.forEach((word, i) => {
    bytes.writeInt32BE(word, i * 4);
  });
  return salt + encode(bytes.subarray(0, HASH_BYTES));
}

/** Big-endian words of bytes that begin anew where they end. */
function words(bytes: Uint8Array, count: number): Int32Array {
  const out = new Int32Array(count);
  for (let i = 0; i < count * 4; i++)
    out[i >> 2] = ((out[i >> 2] as number) << 8) | (bytes[i % bytes.length] as number);
  return out;
}

/** The fraction of pi in words, by Machin's formula: shorter than the tables, and takes a small part of the whole. */
function piWords(count: number): Int32Array {
  const bits = BigInt(count * 32 + 64);
  const one = 1n << bits;
  const arctanOfInverse = (x: bigint) => {
    let sum = 0n;
    let power = one / x;
    for (let n = 1n, sign = 1n; power !== 0n; n += 2n, sign = -sign) {
      sum += (sign * power) / n;
      power /= x * x;
    }
    return sum;
  };
  const pi = 16n * arctanOfInverse(5n) - 4n * arctanOfInverse(239n);
  const digits = (pi - 3n * one).toString(16).padStart(Number(bits / 4n), "0");
  return Int32Array.from({ length: count }, (_, i) =>
    Number.parseInt(digits.slice(i * 8, i * 8 + 8), 16),
  );
}

/** bcrypt's own base 64: no padding, its own alphabet, most significant bits first. */
function encode(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3);
    const value = (a << 16) | (b << 8) | c;
    for (let n = 0; n <= Math.min(3, bytes.length - i); n++)
      text += ALPHABET[(value >>> (18 - 6 * n)) & 63];
  }
  return text;
}

function decode(text: string, count: number): Uint8Array {
  const out = new Uint8Array(count);
  let value = 0;
  let bits = 0;
  let at = 0;
  for (const character of text) {
    value = (value << 6) | ALPHABET.indexOf(character);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    if (at < count) out[at++] = (value >>> bits) & 255;
    value &= (1 << bits) - 1;
  }
  return out;
}
