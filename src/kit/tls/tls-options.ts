import { X509Certificate } from "node:crypto";
import type { SecureContextOptions, SecureVersion } from "node:tls";
import type { Secret } from "../../config/blocks.ts";
import { nodeTls } from "../server/node-http.ts";
import { readText } from "./file-watch.ts";
import { CIPHERS, CURVES, TLS13_CIPHERS } from "./tls-names.ts";

/** What servers and clients share of a `tls:` block, as its schema (tls-block.ts) reads it. */
interface Shared {
  readonly cert_file?: string | undefined;
  readonly cert_pem?: string | undefined;
  readonly key_file?: string | undefined;
  readonly key_pem: Secret;
  readonly min_version: string;
  readonly max_version?: string | undefined;
  readonly cipher_suites: readonly string[];
  readonly curve_preferences: readonly string[];
  /** Milliseconds; 0 = never. */
  readonly reload_interval: number;
}

/** `tls:` of a server. */
export interface TlsServer extends Shared {
  readonly client_ca_file?: string | undefined;
}

/** `tls:` of a client. */
export interface TlsClient extends Shared {
  readonly ca_file?: string | undefined;
  readonly ca_pem?: string | undefined;
  readonly insecure_skip_verify: boolean;
  readonly include_system_ca_certs_pool: boolean;
  readonly server_name_override?: string | undefined;
}

/** What is wrong with a `tls:` block, at one of its options or as a whole. */
export interface TlsProblem {
  readonly option: string | undefined;
  readonly why: string;
}

/** Thrown where a block that was right has become wrong: a file changed since. */
export class TlsError extends Error {
  readonly option: string | undefined;
  constructor({ option, why }: TlsProblem) {
    super(option === undefined ? why : `${option}: ${why}`);
    this.name = "TlsError";
    this.option = option;
  }
}

/** Options for a TLS server: with client_ca_file it demands certificates. */
export interface ServerTlsOptions extends SecureContextOptions {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

/** Options for a TLS client. */
export interface ClientTlsOptions extends SecureContextOptions {
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
}

/** Files that a server's block names. */
export function serverTlsFiles(tls: TlsServer): readonly string[] {
  return [tls.cert_file, tls.key_file, tls.client_ca_file].filter((path) => path !== undefined);
}

/** Files that a client's block names. */
export function clientTlsFiles(tls: TlsClient): readonly string[] {
  return [tls.cert_file, tls.key_file, tls.ca_file].filter((path) => path !== undefined);
}

/** Reads the files. Throws TlsError. */
export function serverTlsOptions(tls: TlsServer): ServerTlsOptions {
  const own = sharedOptions(tls);
  const { client_ca_file: path } = tls;
  if (own.cert === undefined)
    throw new TlsError({
      option: undefined,
      why: "a TLS server needs a certificate and its key: set cert_file and key_file (or cert_pem and key_pem)",
    });
  const ca = path === undefined ? undefined : certificates("client_ca_file", path);
  const options = {
    ...own,
    ...(ca !== undefined && { ca }),
    requestCert: ca !== undefined,
    rejectUnauthorized: ca !== undefined,
  };
  tryOut(options, nameOf(tls.key_file, "key"));
  return options;
}

/** Reads the files. Throws TlsError. */
export function clientTlsOptions(tls: TlsClient): ClientTlsOptions {
  const { ca_file, ca_pem, server_name_override: servername } = tls;
  onlyOne(ca_file, ca_pem, "ca");
  const own = ca_file === undefined ? ca_pem : certificates("ca_file", ca_file);
  if (ca_pem !== undefined) checkCertificate("ca_pem", ca_pem);
  const { getCACertificates } = nodeTls();
  const system = tls.include_system_ca_certs_pool
    ? [...getCACertificates("default"), ...getCACertificates("system")]
    : [];
  const options = {
    ...sharedOptions(tls),
    ...((own !== undefined || system.length > 0) && {
      ca: [...system, ...(own === undefined ? [] : [own])],
    }),
    rejectUnauthorized: !tls.insecure_skip_verify,
    ...(servername !== undefined && { servername }),
  };
  tryOut(options, nameOf(tls.key_file, "key"));
  return options;
}

/** Everything that can be known before the start. */
export function serverTlsProblems(tls: TlsServer): readonly TlsProblem[] {
  return problemsOf(() => serverTlsOptions(tls));
}

export function clientTlsProblems(tls: TlsClient): readonly TlsProblem[] {
  return problemsOf(() => clientTlsOptions(tls));
}

function problemsOf(read: () => void): readonly TlsProblem[] {
  try {
    read();
    return [];
  } catch (reason) {
    if (!(reason instanceof TlsError)) throw reason;
    const { option, message } = reason;
    return [{ option, why: option === undefined ? message : message.slice(option.length + 2) }];
  }
}

function sharedOptions(tls: Shared): SecureContextOptions {
  onlyOne(tls.cert_file, tls.cert_pem, "cert");
  onlyOne(tls.key_file, tls.key_pem.reveal(), "key");
  if (tls.max_version !== undefined && tls.max_version < tls.min_version)
    throw new TlsError({
      option: "max_version",
      why: `${tls.max_version} is older than min_version ${tls.min_version}: nothing would be left`,
    });
  const cert = tls.cert_file === undefined ? tls.cert_pem : read("cert_file", tls.cert_file);
  const key = tls.key_file === undefined ? tls.key_pem.reveal() : read("key_file", tls.key_file);
  if ((tls.key_file !== undefined || key !== "") && !key.includes("PRIVATE KEY-----"))
    throw new TlsError({
      option: nameOf(tls.key_file, "key"),
      why: "holds no private key: expected PEM that starts with -----BEGIN PRIVATE KEY-----",
    });
  if (cert !== undefined) checkCertificate(nameOf(tls.cert_file, "cert"), cert);
  if ((cert === undefined) !== (key === ""))
    throw new TlsError({
      option: cert === undefined ? nameOf(tls.key_file, "key") : nameOf(tls.cert_file, "cert"),
      why: "a certificate and its private key belong together: set both",
    });
  return {
    ...(cert !== undefined && { cert, key }),
    minVersion: `TLSv${tls.min_version}` as SecureVersion,
    ...(tls.max_version !== undefined && { maxVersion: `TLSv${tls.max_version}` as SecureVersion }),
    ...(tls.cipher_suites.length > 0 && {
      ciphers: `${TLS13_CIPHERS}:${tls.cipher_suites.map((name) => CIPHERS[name]).join(":")}`,
    }),
    ...(tls.curve_preferences.length > 0 && {
      ecdhCurve: tls.curve_preferences.map((name) => CURVES[name]).join(":"),
    }),
  };
}

function nameOf(file: string | undefined, what: "cert" | "key"): string {
  return file === undefined ? `${what}_pem` : `${what}_file`;
}

function onlyOne(file: string | undefined, text: string | undefined, what: string): void {
  if (file !== undefined && text !== undefined && text !== "")
    throw new TlsError({
      option: `${what}_pem`,
      why: `${what}_file and ${what}_pem are the same thing: set one`,
    });
}

function read(option: string, path: string): string {
  try {
    return readText(path);
  } catch (reason) {
    throw new TlsError({ option, why: reason instanceof Error ? reason.message : String(reason) });
  }
}

function certificates(option: string, path: string): string {
  const pem = read(option, path);
  checkCertificate(option, pem);
  return pem;
}

function checkCertificate(option: string, pem: string): void {
  try {
    new X509Certificate(pem);
  } catch {
    throw new TlsError({
      option,
      why: "holds no certificate: expected PEM that starts with -----BEGIN CERTIFICATE-----",
    });
  }
}

/** OpenSSL's own opinion: whether the key is readable and belongs to the certificate. */
function tryOut(options: SecureContextOptions, keyOption: string): void {
  try {
    nodeTls().createSecureContext(options);
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    const why = /key values mismatch/i.test(text)
      ? "the private key does not belong to the certificate"
      : `TLS cannot use this: ${text}`;
    throw new TlsError({ option: options.key === undefined ? undefined : keyOption, why });
  }
}
