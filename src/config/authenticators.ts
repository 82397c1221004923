import { suggestion } from "../lib/nearest.ts";
import type { Written, WrittenComponent } from "./components.ts";
import { parseId } from "./names.ts";
import type { Problems } from "./problem.ts";
import type { Node } from "./tree.ts";

type Side = "receivers" | "exporters";
type Scalar = Extract<Node, { readonly kind: "scalar" }>;

/** Each `auth: { authenticator: … }` names an extension that is configured, starts, and is set up for its side. */
export function checkAuthenticators(
  written: Written,
  started: readonly string[],
  problems: Problems,
): void {
  for (const side of ["receivers", "exporters"] as const)
    for (const { node } of written[side].values())
      for (const name of authenticatorsIn(node)) check(name, side, written, started, problems);
}

/** The scalars behind `auth.authenticator`, at any depth. */
function authenticatorsIn(node: Node): readonly Scalar[] {
  if (node.kind === "list") return node.items.flatMap(authenticatorsIn);
  if (node.kind !== "map") return [];
  return [...node.entries].flatMap(([key, { value }]) => {
    const named =
      key === "auth" && value.kind === "map"
        ? value.entries.get("authenticator")?.value
        : undefined;
    if (named?.kind === "scalar" && typeof named.value === "string") return [named];
    return authenticatorsIn(value);
  });
}

function check(
  node: Scalar,
  side: Side,
  written: Written,
  started: readonly string[],
  problems: Problems,
): void {
  const parsed = parseId(String(node.value));
  const id = typeof parsed === "string" ? String(node.value) : parsed.id;
  const extension = written.extensions.get(id);
  const known = [...written.extensions.values()].filter(authenticates).map((one) => one.id);
  if (extension === undefined)
    problems.error(
      node.place,
      `authenticator "${id}" is not configured under extensions${suggestion(id, known)}`,
    );
  else if (!authenticates(extension))
    problems.error(
      node.place,
      `extension "${id}" is no authenticator: name a bearer_token_auth or basic_auth extension${suggestion(id, known)}`,
    );
  else if (!started.includes(id))
    problems.error(
      node.place,
      `authenticator "${id}" is configured but does not start: add it to service.extensions`,
    );
  else if (extension.config && !extension.schema?.authenticates?.(extension.config.options)[side])
    problems.error(
      node.place,
      `authenticator "${id}" is not set up for ${side}: see the README of ${extension.schema?.type}`,
    );
}

/** An unknown type was reported already. */
function authenticates({ schema }: WrittenComponent): boolean {
  return schema === undefined || schema.authenticates !== undefined;
}
