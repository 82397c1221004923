import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

/**
 * The house has floors (ARCHITECTURE.md). A file imports from its own room and from floors below, never from above or from
 * another room of its floor; components never import one another; the store stands beside the stairs.
 */
const FLOORS = [
  ["lib", "wire"],
  ["otlp", "line"],
  ["series", "journal"],
  ["config"],
  ["pipeline"],
  ["kit"],
  ["receivers", "processors", "connectors", "exporters", "extensions", "store"],
  ["components.ts"],
  ["service", "lambda"],
  ["commands"],
  ["main.ts"],
] as const;

const COMPONENT_ROOMS = new Set([
  "receivers",
  "processors",
  "connectors",
  "exporters",
  "extensions",
]);
const NETWORK_ROOMS = new Set([
  "kit",
  "receivers",
  "exporters",
  "extensions",
  "service",
  "lambda",
  "store",
  "commands",
]);
const LINES_MAX = 400;
const floorOf = new Map(
  FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room as string, floor])),
);
const root = join(import.meta.dirname, "..", "src");
const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((f) =>
  f.endsWith(".ts"),
);
const textOf = (file: string) => readFileSync(join(root, file), "utf8");

test.each(sources)("%s imports only downwards", (file) => {
  const [fromRoom, fromUnit] = file.split("/") as [string, string];
  for (const [, target] of textOf(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
    const imported = relative(root, join(root, dirname(file), target as string));
    if (imported.startsWith("..")) continue; // package.json
    const [toRoom, toUnit] = imported.split("/") as [string, string];
    const from = floorOf.get(fromRoom);
    const to = floorOf.get(toRoom);
    expect(from, `${fromRoom} has no floor`).toBeDefined();
    expect(to, `${toRoom} has no floor`).toBeDefined();
    if (fromRoom === toRoom && !COMPONENT_ROOMS.has(fromRoom)) continue;
    if (fromRoom === toRoom) expect(toUnit, `${file} → ${imported}`).toBe(fromUnit);
    else expect(to as number, `${file} → ${imported}`).toBeLessThan(from as number);
    if (toRoom === "store") expect(fromRoom, `${file} → ${imported}`).toBe("commands");
    if (fromRoom === "store" && toRoom === "kit")
      expect(imported, `${file}: of kit, the store may use the servers only`).toMatch(
        /server|compression/,
      );
  }
});

test.each(sources)("%s is in its place", (file) => {
  const text = textOf(file);
  expect(file.split("/").length, "depth ≤ 3").toBeLessThanOrEqual(3);
  expect(file).not.toMatch(/util|common|helper/);
  if (!COMPONENT_ROOMS.has(file.split("/")[0] as string)) expect(file).not.toMatch(/index\.ts$/);
  expect(text, "no default exports").not.toMatch(/^export default/m);
  const room = file.split("/")[0] as string;
  if (!NETWORK_ROOMS.has(room))
    expect(text, "no sockets here").not.toMatch(/"node:(http|http2|net|dgram|tls)"/);
  if (room !== "commands" && room !== "main.ts")
    expect(text, "arguments and the environment belong to commands").not.toMatch(
      /process\.(argv|env)\b/,
    );
  if (!file.endsWith(".gen.ts"))
    expect(text.split("\n").length - 1, "lines").toBeLessThanOrEqual(LINES_MAX);
});

test("nothing is left for later, no check is switched off, and no test is left out", () => {
  const top = join(root, "..");
  const files = ["src", "test", "tools", "bench", "docs", "config"].flatMap((folder) =>
    readdirSync(join(top, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.(ts|mjs|yaml|md)$/.test(file) && !file.startsWith("fixtures"))
      .map((file) => join(folder, file)),
  );
  // Spelled so that this file is not its own finding.
  const words = [
    "TO" + "DO",
    "FIX" + "ME",
    "biome-" + "ignore",
    "@ts-(ignore|expect-error|nocheck)",
  ];
  const switches = "\\b(test|it|describe)\\.(" + "only|skip|todo)\\b";
  const wrong = new RegExp([...words, switches].join("|"));
  const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "otel-config.yaml"];
  const found = [...files, ...pages].filter((file) =>
    wrong.test(readFileSync(join(top, file), "utf8")),
  );
  expect(files.length).toBeGreaterThan(300);
  expect(found).toEqual([]);
});

const folders = [...COMPONENT_ROOMS].flatMap((room) =>
  existsSync(join(root, room)) ? readdirSync(join(root, room)).map((type) => join(room, type)) : [],
);

test.each(folders)("%s is a whole component, and the registry names it", (folder) => {
  const files = readdirSync(join(root, folder));
  for (const file of ["README.md", "config.ts", "index.ts"]) expect(files).toContain(file);
  expect(basename(folder), "the type's own name").toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
  expect(textOf("components.ts")).toContain(`"./${folder}/index.ts"`);
});
