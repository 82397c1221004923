import type { ComponentConfig } from "../config/config.ts";

/** Id of the file_storage in which a receiver keeps its memos; undefined when it names none. */
export function receiverStorage(receiver: ComponentConfig | undefined): string | undefined {
  const options = receiver?.options as { readonly storage?: string } | undefined;
  return options?.storage;
}
