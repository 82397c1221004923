import type { WrittenComponent } from "./components.ts";
import type { Place, Problems } from "./problem.ts";
import { placeAt } from "./tree.ts";

interface Listener {
  readonly owner: string;
  readonly host: string;
  readonly port: number;
  readonly transport: "tcp" | "udp";
  readonly place: Place;
}

const ENDPOINT = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/]*):(\d{1,5})$/;
const EVERY_ADDRESS = new Set(["", "0.0.0.0", "::"]);
const MAX_DEPTH = 6;

/** Two parts of one configuration must not want the same address and port: told before the start. */
export function checkListeners(
  used: readonly WrittenComponent[],
  metricsEndpoint: string | undefined,
  metricsAt: Place,
  problems: Problems,
): void {
  const listeners = used.flatMap(listenersOf);
  if (metricsEndpoint !== undefined)
    listeners.push(...listener("service.telemetry.metrics", metricsEndpoint, [], metricsAt));
  listeners.forEach((mine, i) => {
    const other = listeners.slice(0, i).find((earlier) => clash(earlier, mine));
    if (other === undefined) return;
    const { file, line, column } = other.place;
    problems.error(
      mine.place,
      `${mine.host}:${mine.port} (${mine.transport}) is taken already by ${other.owner} (${file}:${line}:${column}): choose another port`,
    );
  });
}

function listenersOf({ section, id, config, node, at }: WrittenComponent): readonly Listener[] {
  const found: Listener[] = [];
  const walk = (value: unknown, path: readonly string[]): void => {
    if (typeof value !== "object" || value === null || path.length > MAX_DEPTH) return;
    for (const [key, inner] of Object.entries(value)) {
      const here = [...path, key];
      if (typeof inner === "object") walk(inner, here);
      else if (typeof inner === "string" && /^(?:endpoint|listen_address)$/.test(key)) {
        const place = placeAt(node, here);
        const isNear = place !== node.place;
        found.push(...listener(`${section}.${id}`, inner, here, isNear ? place : at));
      }
    }
  };
  walk(config?.options, []);
  return found;
}

function listener(
  owner: string,
  endpoint: string,
  path: readonly string[],
  place: Place,
): readonly Listener[] {
  const [, written = "", digits = "0"] = ENDPOINT.exec(endpoint) ?? [];
  const port = Number(digits);
  if (port === 0) return [];
  const name = written.replace(/^\[|\]$/g, "");
  const host = name === "localhost" ? "127.0.0.1" : name;
  return [{ owner, host, port, transport: path.includes("udp") ? "udp" : "tcp", place }];
}

function clash(a: Listener, b: Listener): boolean {
  if (a.port !== b.port || a.transport !== b.transport) return false;
  return a.host === b.host || EVERY_ADDRESS.has(a.host) || EVERY_ADDRESS.has(b.host);
}
