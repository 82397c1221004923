import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
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
  ["service"],
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
  "store",
  "commands",
]);
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
    expect(text, "argv belongs to commands").not.toMatch(/process\.argv/);
});
