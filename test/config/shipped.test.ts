import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configOf } from "./loading.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Those that keep something on the disk. */
const shipped = readdirSync(join(ROOT, "config")).filter(
  (name) =>
    name.endsWith(".yaml") && readFileSync(join(ROOT, "config", name), "utf8").includes("data/"),
);

/** All texts in a value, and in what it maps. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (value instanceof Map) return [...value.values()].flatMap(textsOf);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

test.each(shipped)(
  "config/%s keeps and looks for its data below the working directory, wherever it lies itself",
  async (name) => {
    const catalog = await createComponents();
    const env = { DATAFLUX_TOKEN: "t", LOKI_IP: "127.0.0.1" };
    const config = configOf(
      await loadConfig({ sources: [join("config", name)], sets: [], env, catalog, cwd: ROOT }),
    );
    const paths = textsOf(config).filter((text) => /\bdata\//.test(text));
    expect(paths.length).toBeGreaterThan(0);
    expect(
      paths.filter((path) => !path.startsWith("./data/") && !path.startsWith(join(ROOT, "data/"))),
    ).toEqual([]);
  },
);
