import { hash } from "node:crypto";

/** Password hashes of the crypt(3) family that `htpasswd` and `openssl passwd` write. */

const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Rounds of SHA-crypt where the hash names none. */
const SHA_ROUNDS = 5_000;

/** Apache's variant of MD5-crypt ("$apr1$"), and MD5-crypt itself ("$1$"): what follows the salt. */
export function md5Crypt(magic: "$apr1$" | "$1$", password: string, salt: string): string {
  const key = Buffer.from(password);
  const grain = Buffer.from(salt);
  const mixed = md5(key, grain, key);
  const parts: Uint8Array[] = [key, Buffer.from(magic), grain, repeated(mixed, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1)
    parts.push((bits & 1) === 1 ? Buffer.of(0) : key.subarray(0, 1));
  let digest = md5(...parts);
  for (let round = 0; round < 1_000; round++) digest = md5(...turn(round, digest, key, grain));
  let text = "";
  for (let i = 0; i < 5; i++) text += sixes(digest, [i, i + 6, i === 4 ? 5 : i + 12], 4);
  return text + sixes(digest, [11], 2);
}

/** SHA-crypt ("$5$" and "$6$"): what follows the salt. */
export function shaCrypt(
  algorithm: "sha256" | "sha512",
  password: string,
  salt: string,
  rounds = SHA_ROUNDS,
): string {
  const digestOf = (...parts: readonly Uint8Array[]) =>
    hash(algorithm, Buffer.concat(parts), "buffer");
  const key = Buffer.from(password);
  const grain = Buffer.from(salt);
  const mixed = digestOf(key, grain, key);
  const parts: Uint8Array[] = [key, grain, repeated(mixed, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? mixed : key);
  let digest = digestOf(...parts);
  const keys = repeated(digestOf(...Array.from({ length: key.length }, () => key)), key.length);
  const grains = repeated(
    digestOf(...Array.from({ length: 16 + (digest[0] as number) }, () => grain)),
    grain.length,
  );
  for (let round = 0; round < rounds; round++)
    digest = digestOf(...turn(round, digest, keys, grains));
  return algorithm === "sha256" ? sha256Text(digest) : sha512Text(digest);
}

/** The parts of one round: they alternate by its number, in the same way in all three algorithms. */
function turn(round: number, digest: Uint8Array, key: Uint8Array, salt: Uint8Array): Uint8Array[] {
  const isOdd = (round & 1) === 1;
  const parts = [isOdd ? key : digest];
  if (round % 3 !== 0) parts.push(salt);
  if (round % 7 !== 0) parts.push(key);
  parts.push(isOdd ? digest : key);
  return parts;
}

function sha256Text(digest: Uint8Array): string {
  let text = "";
  let [a, b, c] = [0, 10, 20];
  for (let i = 0; i < 10; i++) {
    text += sixes(digest, [a, b, c], 4);
    [a, b, c] = [c + 1, a + 1, b + 1];
  }
  return text + sixes(digest, [31, 30], 3);
}

function sha512Text(digest: Uint8Array): string {
  let text = "";
  let [a, b, c] = [0, 21, 42];
  for (let i = 0; i < 21; i++) {
    text += sixes(digest, [a, b, c], 4);
    [a, b, c] = [b + 1, c + 1, a + 1];
  }
  return text + sixes(digest, [63], 2);
}

/** Some bytes, most significant first, as characters of six bits, least significant first. */
function sixes(digest: Uint8Array, at: readonly number[], characters: number): string {
  let value = at.reduce((sum, i) => (sum << 8) | (digest[i] as number), 0);
  let text = "";
  for (let i = 0; i < characters; i++, value >>= 6) text += ALPHABET[value & 63];
  return text;
}

function repeated(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += bytes.length)
    out.set(bytes.subarray(0, Math.min(bytes.length, length - at)), at);
  return out;
}

function md5(...parts: readonly Uint8Array[]): Buffer {
  return hash("md5", Buffer.concat(parts), "buffer");
}
