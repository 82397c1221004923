import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeRequest } from "../../support/otlp.ts";
import { decodePush } from "./push-proto.ts";
import { pushes } from "./writing.ts";

/** test/golden/loki/<case>/{in.otlp.json, out.json}: labels → entries; `UPDATE=1` writes out.json anew. */
const root = join(import.meta.dirname, "..", "..", "golden", "loki");

test.each(readdirSync(root))("%s", (name) => {
  const folder = join(root, name);
  const request = JSON.parse(readFileSync(join(folder, "in.otlp.json"), "utf8")) as object;
  const { bodies } = pushes([encodeRequest("logs", request)]);
  const streams = bodies.flatMap(decodePush).map(({ labels, entries }) => [
    labels,
    entries.map(({ nanos, line, metadata }) => ({
      time: String(nanos),
      line,
      metadata: Object.fromEntries(metadata),
    })),
  ]);
  const text = `${JSON.stringify(Object.fromEntries(streams), undefined, 2)}\n`;
  if (process.env["UPDATE"] === "1") writeFileSync(join(folder, "out.json"), text);
  expect(text).toBe(readFileSync(join(folder, "out.json"), "utf8"));
});
