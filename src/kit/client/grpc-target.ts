/** Where a gRPC client dials, and how. */
export interface GrpcTarget {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
}

const HOST_PORT =
  /^(?:(https?):\/\/|dns:(?:\/\/[^/]*\/)?)?(\[[0-9a-fA-F:.]+\]|[^:/[\]\s@?#]+):(\d{1,5})\/?$/;

/**
 * Reads an endpoint as the Collector's configgrpc does: host:port, http:// (plain text), https:// (TLS), dns:///host:port. Without
 * a scheme there is TLS, unless `insecure`. A text is what is wrong with it.
 */
export function grpcTarget(endpoint: string, insecure: boolean): GrpcTarget | string {
  const [, scheme, host = "", digits = ""] = HOST_PORT.exec(endpoint) ?? [];
  const port = Number(digits);
  if (host === "")
    return 'expected host:port, with or without http://, https:// or dns:/// in front, for example "collector:4317"';
  if (port < 1 || port > 65_535) return `there is no port ${digits}: expected 1 to 65535`;
  const isTls = scheme === undefined ? !insecure : scheme === "https";
  return { host: host.replace(/^\[|\]$/g, ""), port, isTls };
}

/** `host:port` for `:authority`; IPv6 addresses in brackets. */
export function authorityOf({ host, port }: GrpcTarget): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
