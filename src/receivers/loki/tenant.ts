import { PipelineError } from "../../otlp/status.ts";

const MAX = 150;

/** The tenant that a request names, where it is one of Loki's; "" is none. Throws PipelineError in Loki's words. */
export function checkedTenant(header: string | undefined): string {
  const tenant = header ?? "";
  if (tenant === "") throw refused("unauthorized", "no org id");
  if (tenant.includes("|")) throw refused("invalid", "multiple org IDs present");
  if (tenant.length > MAX) throw refused("invalid", `tenant ID is too long: max ${MAX} characters`);
  const [wrong] = /[^a-zA-Z0-9!\-_.*'()]/.exec(tenant) ?? [];
  if (wrong !== undefined)
    throw refused("invalid", `tenant ID '${tenant}' contains unsupported character '${wrong}'`);
  if (tenant === "." || tenant === "..") throw refused("invalid", "tenant ID is '.' or '..'");
  return tenant;
}

function refused(kind: "unauthorized" | "invalid", why: string): PipelineError {
  return new PipelineError({ kind, retryAfterMs: 0, why });
}
