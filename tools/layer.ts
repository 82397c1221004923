/**
 * `npm run layer`: the AWS Lambda layer with `weir lambda-extension` in dist/weir-lambda-layer.zip: one bundle, what is needed of it and
 * nothing else, and a wrapper that Lambda starts. The same sources make the same bytes. `--node <file>` adds that executable of Node, for
 * functions of other languages; without it the layer uses the one of the function's own Node.js runtime. `--dir <directory>` leaves the files there, too; `--out <file>` is
 * another place for the archive.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { bundleExtension } from "./layer-bundle.ts";
import { type Entry, zip } from "./zip.ts";

const ROOT = join(import.meta.dirname, "..");
const EXECUTABLE = 0o755;
const PLAIN = 0o644;

const { values } = parseArgs({
  options: { node: { type: "string" }, dir: { type: "string" }, out: { type: "string" } },
});

const modules = await bundleExtension(ROOT);
const entries: Entry[] = [
  {
    name: "extensions/weir",
    mode: EXECUTABLE,
    bytes: readFileSync(join(ROOT, "tools", "layer-wrapper.sh")),
  },
  ...[...modules].map(([name, code]) => ({
    name: `weir/${name}`,
    mode: PLAIN,
    bytes: Buffer.from(code),
  })),
  { name: "weir/LICENSE", mode: PLAIN, bytes: readFileSync(join(ROOT, "LICENSE")) },
];
if (values.node !== undefined)
  entries.push({ name: "weir/node", mode: EXECUTABLE, bytes: readFileSync(values.node) });

if (values.dir !== undefined)
  for (const { name, mode, bytes } of entries) {
    const path = join(values.dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes, { mode });
  }
const target = values.out ?? join(ROOT, "dist", "weir-lambda-layer.zip");
mkdirSync(dirname(target), { recursive: true });
const archive = zip(entries);
writeFileSync(target, archive);
const kib = (bytes: number) => `${Math.round(bytes / 1024)} KiB`;
const sizes = [...modules].map(([name, code]) => `${name} ${kib(Buffer.byteLength(code))}`);
console.log(`${relative(ROOT, target)}  ${kib(archive.length)}; unpacked ${sizes.join(", ")}`);
