import { z } from "zod";

/** `query_upstream:` of receivers whose senders also read: where requests go that ask for data. */
export const queryUpstream = z
  .url({
    protocol: /^http$/,
    error: 'expected a URL that begins with http://, for example "http://127.0.0.1:8181"',
  })
  .refine((text) => isOrigin(URL.parse(text)), {
    error: "expected only http://host:port: paths and credentials come from who asks",
  })
  .optional()
  .describe(
    "Where queries go, for example http://127.0.0.1:8181 (the embedded store). Absent: they are answered with an error that names this option.",
  );

function isOrigin(url: URL | null): boolean {
  if (url === null) return false;
  return url.username === "" && url.password === "" && url.pathname === "/" && url.search === "";
}
