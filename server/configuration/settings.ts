/**
 * The settings of a server.
 *
 * @module
 */

import type { Scope } from "../../lib/core/scope.ts";
import type { Framing } from "../../lib/line_exec/framing.ts";
import type { TokenTable } from "../auth/token_table.ts";
import type { ExecPolicy } from "../exec/allowed_commands.ts";

/** What a server does, where, for whom and within which limits: plain values, which can be checked before it starts. */
export interface ServerSettings extends HttpServeOptions {
  /** Address to listen on, `HOST:PORT`; port 0 picks a free one. Default: `127.0.0.1:9900`. */
  listen?: string | undefined;
  /**
   * The scopes of clients without a token. Default: with `tokens`, none; without `tokens`, on a loopback address, all,
   * but `exec` only if the option `exec` is given. On another address without `tokens` this option is required.
   */
  anonymous?: readonly Scope[] | undefined;
  /** The commands that may be run. Default: none. */
  exec?: ExecPolicy | undefined;
  /**
   * `HOST:PORT` of a listener for line exec, which needs `exec` with a shell. An address that is not on loopback is
   * refused unless `anonymous` has `exec`. Default: none.
   */
  classicExec?: string | undefined;
  /** What line exec sends in front of the output. Default: `json`. */
  framing?: Framing | undefined;
  /** The tokens with which clients may do more than `anonymous` says. Default: no tokens, and none is asked for. */
  tokens?: TokenTable | undefined;
  /**
   * The time limit for the start of a connection, in milliseconds: for the TLS handshake, and then for the first
   * request or, if nothing is allowed without a token, for logging in. Default: 10000.
   */
  handshakeTimeout?: number | undefined;
  /**
   * The maximum number of open connections of all listeners together; 0 for no limit. Further ones are rejected with
   * `busy`. Default: 4096.
   */
  maxConnections?: number | undefined;
  /**
   * The maximum number of open connections of one source, which is an IPv4 address or an IPv6 /64 network; 0 for no
   * limit. Connections from this machine do not count. Default: 256.
   */
  maxConnectionsPerSource?: number | undefined;
  /**
   * The maximum number of connections that are compressed at the same time, each of which takes the memory of a zstd
   * stream in each direction meanwhile; 0 for none. Further ones are not compressed, even if their clients ask for it. Default: 64.
   */
  maxCompressed?: number | undefined;
  /** The idle timeout in milliseconds: a peer that transfers no byte for this long is disconnected. Default: 60000. */
  idleTimeout?: number | undefined;
  /**
   * The minimum transfer rate of a peer while a message is being transferred, in bytes per second, averaged over the
   * idle timeout; 0 for no minimum. Default: 100.
   */
  minRate?: number | undefined;
  /**
   * `HOST:PORT` of an echo over TCP. An address that is not on loopback is refused unless `anonymous` has `echo`.
   * Default: none.
   */
  tcpEcho?: string | undefined;
  /** `HOST:PORT` of an echo over UDP, with the same rule. Default: none. */
  udpEcho?: string | undefined;
  /** Whether the echoes reply with the same bytes, instead of converting letters to upper case. Default: false. */
  verbatim?: boolean | undefined;
  /**
   * The maximum number of packets per second that the UDP echo sends to one source that is not on this machine; 0 for
   * no limit. Default: 1000.
   */
  echoRate?: number | undefined;
  /**
   * Whether other processes may listen on the same addresses for TCP, so that each gets a part of the connections
   * (`SO_REUSEPORT`). All of them have to say so, and need the storage that others serve at the same time. Only on Linux,
   * and with Deno's flag `--unstable-net`. Default: false.
   */
  reusePort?: boolean | undefined;
  /**
   * `HOST:PORT` of a listener for monitoring systems: `/metrics` has numbers in the text format of Prometheus, `/healthz`
   * and `/readyz` say whether the server is alive and ready. Anybody who reaches it may ask. Default: none.
   */
  metrics?: string | undefined;
}

/** Options of a server about HTTP. */
export interface HttpServeOptions {
  /**
   * `HOST:PORT` of a listener for HTTP, or for HTTPS if `tls` is given, with the same rule as `listen`. Default: none.
   */
  http?: string | undefined;
  /**
   * The names by which clients know that listener, such as `files.example.org`. Where something is granted to anybody
   * and connections are not encrypted, requests are refused that call it by another name than one of these, `localhost`,
   * or an address. Default: the hosts of `http` and `httpUrl`, which are always among them.
   */
  httpHosts?: readonly string[] | undefined;
  /**
   * The origins of web pages elsewhere whose scripts may make requests over HTTP, such as `https://app.example.org`.
   * Default: none.
   */
  httpOrigins?: readonly string[] | undefined;
  /**
   * The URL by which clients know that listener, if they reach it by way of a proxy: `https://files.example.org`. Share
   * links begin with it; with `https`, the cookies of sessions are for encrypted connections alone. Default: none; that of the request that makes a link, or else of the listener.
   */
  httpUrl?: string | undefined;
  /** How long uploads over HTTP that were cut are announced to be kept, in milliseconds. Default: 604800000, 7 days. */
  partialTtl?: number | undefined;
}
