/**
 * The settings of a server from the options of `ferryd`.
 *
 * @module
 */

import { parseScopes } from "../auth/grants.ts";
import type { ServeValues } from "../cli/serve_spec.ts";
import type { ExecPolicy } from "../exec/allowed_commands.ts";
import type { ServerSettings } from "./settings.ts";

/**
 * The settings that options mean. Tokens are not among them: they are in a file.
 *
 * @throws {FerryError} `usage` for scopes that are none
 */
export function settingsFrom(options: ServeValues): ServerSettings {
  return {
    listen: options.listen,
    reusePort: options.together,
    anonymous: options.anonymous === undefined ? undefined : parseScopes(options.anonymous),
    idleTimeout: options["idle-timeout"],
    minRate: options["min-rate"],
    exec: execPolicyFrom(options),
    classicExec: options["classic-exec"],
    framing: options.framing,
    tcpEcho: options["tcp-echo"],
    udpEcho: options["udp-echo"],
    http: options.http,
    httpHosts: options["http-host"],
    httpOrigins: options["http-origin"],
    httpUrl: options["http-url"],
    partialTtl: options["partial-ttl"],
    verbatim: options.verbatim,
    echoRate: options["echo-rate"],
    handshakeTimeout: options["handshake-timeout"],
    maxConnections: options["max-connections"],
    maxConnectionsPerSource: options["max-connections-per-source"],
    maxCompressed: options["max-compressed"],
    metrics: options.metrics,
  };
}

/** The commands that clients may run; undefined if they may run none. */
function execPolicyFrom(options: ServeValues): ExecPolicy | undefined {
  const { root, "allow-exec": allow, "allow-shell": shell } = options;
  if (allow.length === 0 && !shell) return undefined;
  return {
    cwd: root,
    allow,
    shell,
    timeout: options["exec-timeout"],
    outputLimit: options["exec-output-limit"],
  };
}
