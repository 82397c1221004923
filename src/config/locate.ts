import { dirname, resolve } from "node:path";
import { type Node, nodeAt, withNode } from "./tree.ts";

/**
 * The options, with the paths in those named by `options` made absolute where they start with ./ or ../: they begin at the directory of
 * the file that they are written in.
 */
export function locate(node: Node, options: readonly string[], cwd: string): Node {
  let located = node;
  for (const option of options) {
    const value = nodeAt(node, [option]);
    if (value?.kind === "scalar") located = withPath(located, [option], value, cwd);
    if (value?.kind !== "list") continue;
    for (const [i, item] of value.items.entries())
      located = withPath(located, [option, i], item, cwd);
  }
  return located;
}

function withPath(node: Node, path: (string | number)[], item: Node, cwd: string): Node {
  if (item.kind !== "scalar" || typeof item.value !== "string") return node;
  if (!/^\.\.?[/\\]/.test(item.value)) return node;
  const value = resolve(cwd, directoryOf(item.place.file), item.value);
  return withNode(node, path, { kind: "scalar", value, place: item.place });
}

/** Of what was given with --config: a path, `file:path`, or a text that is in no file. */
function directoryOf(file: string): string {
  const path = file.replace(/^file:/, "");
  return /^[A-Za-z][A-Za-z0-9+.-]+:/.test(path) ? "." : dirname(path);
}
