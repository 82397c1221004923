import { suggestion } from "../lib/nearest.ts";
import type { Written, WrittenComponent } from "./components.ts";
import type { Problems } from "./problem.ts";
import { nodeAt } from "./tree.ts";

/** The `storage` of a queue or a receiver names a file_storage extension that is configured and started. */
export function checkStorage(
  written: Written,
  started: readonly string[],
  problems: Problems,
): void {
  for (const exporter of written.exporters.values())
    check("exporter", exporter, ["sending_queue", "storage"], { written, started, problems });
  for (const receiver of written.receivers.values())
    check("receiver", receiver, ["storage"], { written, started, problems });
}

interface Around {
  readonly written: Written;
  readonly started: readonly string[];
  readonly problems: Problems;
}

function check(
  kind: string,
  { id, node }: WrittenComponent,
  path: readonly string[],
  { written, started, problems }: Around,
): void {
  const storage = nodeAt(node, path);
  if (storage?.kind !== "scalar" || typeof storage.value !== "string") return;
  const name = storage.value.trim();
  const extension = written.extensions.get(name);
  const storages = [...written.extensions.values()].filter(isStorage).map((known) => known.id);
  if (extension === undefined)
    problems.error(
      storage.place,
      `${kind} "${id}" wants the storage "${name}", which is not configured under extensions${suggestion(name, storages)}`,
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
