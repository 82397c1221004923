import type { WrittenComponent } from "./components.ts";
import type { Problems } from "./problem.ts";
import { nodeAt } from "./tree.ts";

/** Warns of options that the Collector has and that are taken without effect, where somebody may rely on them. */
export function checkWithoutEffect(
  receivers: Iterable<WrittenComponent>,
  problems: Problems,
): void {
  for (const { id, node } of receivers) {
    // The otlp receiver has it in the blocks of its protocols, and heeds it.
    const found = nodeAt(node, ["include_metadata"]);
    if (found?.kind === "scalar" && found.value === true)
      problems.warn(
        found.place,
        `include_metadata has no effect in ${id}: processors read the headers of the otlp receiver's requests only`,
      );
  }
}
