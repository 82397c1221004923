import type { Component } from "./contracts.ts";

/** A request's header by lower-case name; undefined when it is not there. */
export type HeaderOf = (name: string) => string | undefined;

/** Why a request may not come in. */
export interface Denial {
  /** For the sender; says nothing about which credentials would have been right. */
  readonly why: string;
  /** For WWW-Authenticate: what to send instead (RFC 9110 §11.6.1). */
  readonly challenge: string;
}

/** Decides from the head of a request, before any of its body is read or its bytes are taken. Undefined = come in. */
export interface ServerAuth {
  check(header: HeaderOf): Denial | undefined | Promise<Denial | undefined>;
}

/** What a client adds to its requests. */
export interface ClientAuth {
  /** A flat list: name, value, … Asked for each request, so that new credentials hold at once. Secret: goes on the wire only. */
  headers(): readonly string[];
}

/** An extension that `auth: { authenticator: <id> }` may name. It is good for what it has. */
export interface Authenticator extends Component {
  readonly server?: ServerAuth;
  readonly client?: ClientAuth;
}

/** Whether a component is one. */
export function isAuthenticator(component: Component): component is Authenticator {
  return "server" in component || "client" in component;
}
