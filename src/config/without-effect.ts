import type { WrittenComponent } from "./components.ts";
import type { Problems } from "./problem.ts";
import { nodeAt } from "./tree.ts";

/** Where receivers have it: in a protocol's block, or at the top of their options. */
const INCLUDE_METADATA = [
  ["include_metadata"],
  ["protocols", "grpc", "include_metadata"],
  ["protocols", "http", "include_metadata"],
] as const;

/** Warns of options that the Collector has and that are taken without effect, where somebody may rely on them. */
export function checkWithoutEffect(
  receivers: Iterable<WrittenComponent>,
  problems: Problems,
): void {
  for (const { node } of receivers)
    for (const path of INCLUDE_METADATA) {
      const found = nodeAt(node, path);
      if (found?.kind === "scalar" && found.value === true)
        problems.warn(
          found.place,
          "include_metadata has no effect: no processor or exporter reads headers of requests (from_context, headers_setter); authenticators see them anyway",
        );
    }
}
