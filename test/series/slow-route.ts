/** The route of a request as mapping §3 and §9.6 say it, with strings. `text` gives the first of some attributes that is there, else "". */
export function slowRoute(text: (names: string[]) => string, name: string): string | undefined {
  const method = text(["http.request.method", "http.method"]) || "_OTHER";
  const route = text(["http.route"]);
  if (route !== "") return `${method}:${slashed(route)}`;
  const named = /^([A-Z_]+) (\/[^?#]*)/.exec(name);
  if (named !== null) return `${named[1]}:${named[2]}`;
  const path = text(["url.path", "http.target"]);
  if (path !== "")
    return `${method}:${slashed(path.split(/[?#]/)[0] as string)
      .split("/")
      .map(segment)
      .join("/")}`;
  if (text(["rpc.system", "rpc.system.name"]) === "") return undefined;
  const service = text(["rpc.service"]);
  const rpcMethod = text(["rpc.method"]);
  if (rpcMethod.includes("/")) return `RPC:/${rpcMethod.replace(/^\//, "")}`;
  if (service !== "" && rpcMethod !== "") return `RPC:/${service}/${rpcMethod}`;
  if (service !== "" && name !== "") return `RPC:/${service}/${name.split("/").at(-1)}`;
  if (name !== "") return `RPC:/${name.replace(/^\//, "")}`;
  return rpcMethod === "" ? undefined : `RPC:/${rpcMethod}`;
}

function slashed(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

function segment(text: string): string {
  const isId =
    /^\d+$/.test(text) ||
    /^[0-9a-f]{16,}$/i.test(text) ||
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
  return isId ? "{id}" : text;
}
