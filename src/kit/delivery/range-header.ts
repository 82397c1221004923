import type { Sending } from "./backend.ts";

/**
 * The header X-Weir-Range: `<journal>/<route>/<seq>.<item>-<seq>.<item>`. A store that understands it keeps no item twice; others ignore
 * it. As a flat pair of name and value.
 */
export function rangeHeader({ journal, route, from, to }: Sending): readonly [string, string] {
  const name = route.split("/").map(encodeURIComponent).join("/");
  return [
    "x-weir-range",
    `${encodeURIComponent(journal)}/${name}/${from[0]}.${from[1]}-${to[0]}.${to[1]}`,
  ];
}
