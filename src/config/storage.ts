import { suggestion } from "../lib/nearest.ts";
import type { Written, WrittenComponent } from "./components.ts";
import type { Problems } from "./problem.ts";
import { nodeAt } from "./tree.ts";

/** A queue's `storage` names a file_storage extension that is configured and started. */
export function checkStorage(
  written: Written,
  started: readonly string[],
  problems: Problems,
): void {
  for (const exporter of written.exporters.values())
    checkQueue(exporter, written, started, problems);
}

function checkQueue(
  { id, node }: WrittenComponent,
  written: Written,
  started: readonly string[],
  problems: Problems,
): void {
  const storage = nodeAt(node, ["sending_queue", "storage"]);
  if (storage?.kind !== "scalar" || typeof storage.value !== "string") return;
  const name = storage.value.trim();
  const extension = written.extensions.get(name);
  const storages = [...written.extensions.values()].filter(isStorage).map((known) => known.id);
  if (extension === undefined)
    problems.error(
      storage.place,
      `exporter "${id}" wants the storage "${name}", which is not configured under extensions${suggestion(name, storages)}`,
    );
  else if (!isStorage(extension))
    problems.error(
      storage.place,
      `extension "${name}" is no storage: name a file_storage extension${suggestion(name, storages)}`,
    );
  else if (!started.includes(name))
    problems.error(
      storage.place,
      `storage "${name}" is configured but does not start: add it to service.extensions`,
    );
}

function isStorage({ schema }: WrittenComponent): boolean {
  return schema === undefined || schema.type === "file_storage";
}
