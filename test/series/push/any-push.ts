import type { Random } from "../../support/seeded.ts";
import type { SlowStream } from "./slow-push.ts";

const NAMES = ["source", "function", "job", "app", "env", "_x", "A9", "service_name", "container"];
const METADATA = ["user", "http.route", "k é", "0", "request", "long_name_of_metadata"];
const TEXTS = ["", "x", 'say "hi"', "back\\slash", "ä漢🚀", "a\nb\tc", "\u0001", "{}", "a=b,c"];

function textOf(random: Random): string {
  const text = TEXTS[random(TEXTS.length)] ?? "";
  return random(10) === 0 ? text.repeat(1 + random(200)) : text;
}

function pairsOf(random: Random, names: readonly string[], most: number): [string, string][] {
  const chosen = names.filter(() => random(names.length) < most);
  return chosen.map((name) => [name, textOf(random)]);
}

/** Streams at random, with times around `nowMs`. */
export function anyPush(random: Random, nowMs: number): SlowStream[] {
  return Array.from({ length: random(4) }, () => ({
    labels: Object.fromEntries(pairsOf(random, NAMES, 4)),
    entries: Array.from({ length: random(5) }, () => ({
      nanos: BigInt(nowMs - random(1_000_000)) * 1_000_000n + BigInt(random(1_000_000)),
      line: textOf(random),
      metadata: pairsOf(random, METADATA, 2),
    })),
  }));
}
