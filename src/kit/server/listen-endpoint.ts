/** Where to listen, in the form that node:net takes. No host = every address. */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** Splits "host:port", "[::1]:port" or ":port". The configuration schema has checked the form; ports above 65535 throw. */
export function parseEndpoint(endpoint: string): ListenAddress {
  const colon = endpoint.lastIndexOf(":");
  const port = Number(endpoint.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`"${endpoint}" is not host:port with a port from 0 to 65535`);
  const host = endpoint.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host: host === "" ? undefined : host, port };
}
