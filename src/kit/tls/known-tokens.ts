import { hash, timingSafeEqual } from "node:crypto";

/** Tokens that are let in. Only their digests are kept. */
export class KnownTokens {
  readonly #digests: readonly Buffer[];

  constructor(tokens: readonly string[]) {
    this.#digests = tokens.map(digestOf);
  }

  /** All are compared, each in the same time, so that the time of an answer tells nothing. */
  has(token: string): boolean {
    const digest = digestOf(token);
    let isKnown = false;
    for (const known of this.#digests) if (timingSafeEqual(known, digest)) isKnown = true;
    return isKnown;
  }
}

function digestOf(token: string): Buffer {
  return hash("sha256", token, "buffer");
}
