/**
 * The server as a library: opens the requested listeners, and shuts them down in an orderly way.
 *
 * @module
 */

import { type Address, formatAddress, type Listening } from "../lib/core/address.ts";
import type { SharedLinks } from "./shares/shares.ts";
import { FerryError } from "../lib/core/errors.ts";
import { Places } from "../lib/core/places.ts";
import { MAX_TIMEOUT_MS } from "../lib/core/number_options.ts";
import type { Storage } from "./storage/storage.ts";
import { AssembledUploads } from "./files/assembled_upload.ts";
import { UploadLocks } from "./files/upload_locks.ts";
import type { ByteStream } from "../lib/wire/byte_stream.ts";
import { createRuntime, type Runtime } from "../lib/runtime/runtime.ts";
import {
  assertSettings,
  ferryAddress,
  httpTerms,
  lineExecAddress,
  tcpEchoAddress,
  udpEchoAddress,
} from "./configuration/listening.ts";
import type { ServerSettings } from "./configuration/settings.ts";
import { type ListenAddress, type Listener, listenTcp } from "./net/listener.ts";
import { ConnectionLimits } from "./net/connection_limits.ts";
import { Rejection } from "./net/rejection.ts";
import { Receipts } from "./receipts.ts";
import { DEFAULT_SCOPES, grantEverywhere } from "./auth/grants.ts";
import type { Scope } from "../lib/core/scope.ts";
import { Authority } from "./auth/authority.ts";
import { collectMetrics, traceOperations } from "./monitoring.ts";
import { listenLineExec } from "./protocols/line_exec/line_exec.ts";
import { listenTcpEcho, listenUdpEcho } from "./protocols/echo/echo.ts";
import { AllowedCommands } from "./exec/allowed_commands.ts";
import { Hooks, type ServerHooks } from "./observe/hooks.ts";
import type { BeforeStore, Observer, OpenConnection } from "./observe/operation.ts";
import type { Metrics } from "./observe/metrics/metrics.ts";
import type { ScrubFindings } from "./observe/metrics/scrub_metrics.ts";
import { operationLog } from "./observe/operation_log.ts";
import { Traffic } from "./observe/traffic.ts";
import { openHttp } from "./open_http.ts";
import type { HttpListener } from "./protocols/http/http.ts";
import { limitByTokens } from "./auth/token_quotas.ts";
import { Session } from "./protocols/ferry/session.ts";
import { sourceOf } from "../lib/core/source_address.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import type { TokenTable } from "./auth/token_table.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions extends ServerHooks, ServerSettings {
  /** The storage that keeps the files. The server does not dispose of it. */
  storage: Storage;
  /** The certificate for TLS. Default: connections are not encrypted. */
  tls?: KeyPair | undefined;
  /**
   * Called before the content of an upload is received, and waited for; the upload is refused if it fails. One upload
   * may be asked about several times: when it is offered, when it is sent, and when it is sent again. Default: undefined,
   * all uploads that the grants allow are let in.
   */
  beforeStore?: BeforeStore | undefined;
  /** What a scrubbing of the storage has found so far, for `metrics`. Default: undefined, there is none. */
  scrubbed?: (() => ScrubFindings) | undefined;
  /** What else is told of connections and operations, at once. Default: nothing. */
  observers?: readonly Observer[] | undefined;
  /** Ends the server when it is aborted, as {@linkcode Server.close} does. Default: none. */
  signal?: AbortSignal | undefined;
  /**
   * Buffers, threads and the clock, which may be shared with others; see {@linkcode createRuntime}. Default: its own.
   */
  runtime?: Runtime | undefined;
}

/** What can be replaced in a running server. */
export interface ReloadOptions {
  /** The tokens that clients may log in with. Default: those in use. */
  tokens?: TokenTable | undefined;
  /** The certificate for new connections. Default: the one in use. */
  tls?: KeyPair | undefined;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  /** The addresses that the server listens on, with the actual ports. */
  readonly addresses: readonly Listening[];
  /** The open connections, in the order in which they were opened. */
  readonly connections: ReadonlySet<OpenConnection>;
  /**
   * Resolves when the server has ended, for whatever reason, like the promise of {@linkcode Server.close} does. Never
   * fails.
   */
  readonly finished: Promise<void>;
  /**
   * Replaces the tokens and the certificate. Connections stay open. Requests that were allowed by a token that is
   * removed or changed end immediately; this closes connections in the middle of such a `get`.
   *
   * @throws {FerryError} `usage` if the server was started without what is to be replaced, or if certificate and key
   * are not valid; nothing is changed then
   */
  reload(options: ReloadOptions): void;
  /**
   * Stops accepting connections, lets running requests finish within `drainTimeout` milliseconds (default: 10000), then
   * ends them. Resolves when the last connection has ended. Work that continues for seconds after that, such as reading
   * a large file for its checksum, is not waited for. A second call returns the same promise.
   */
  close(options?: { drainTimeout?: number }): Promise<void>;
}

/**
 * Starts a server.
 *
 * @example Serving a directory
 * ```ts
 * import { FsStorage, serve } from "@ferry/ferry";
 *
 * await using storage = FsStorage.open(await Deno.makeTempDir());
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 * console.log(server.addresses[0]?.port);
 * ```
 *
 * @example Serving it over HTTP, too
 * ```ts
 * import { MemoryStorage, serve } from "@ferry/ferry";
 *
 * await using storage = new MemoryStorage();
 * await using server = await serve({ storage, listen: "127.0.0.1:0", http: "127.0.0.1:0" });
 * const { port } = server.addresses.find(({ kind }) => kind === "http")!;
 * const url = `http://127.0.0.1:${port}/notes.txt`;
 * await (await fetch(url, { method: "PUT", body: "hello" })).text();
 * console.log(await (await fetch(url)).text());
 * ```
 *
 * @throws {FerryError} `usage` for an address that is not on loopback without `tokens` or `anonymous`, for a
 * certificate that is not valid, a command that is missing and a number out of its limits; `io`, `denied`,
 * `unreachable` if the address cannot be listened on
 * @throws the abort reason of the `signal` if that was aborted before the server could start
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { signal } = options;
  signal?.throwIfAborted();
  assertSettings(options);
  limitByTokens(options.storage, options.tokens);
  const shared = prepare(options);
  await traceOperations(shared.traffic);
  const metrics = await collectMetrics(options, shared);
  const listeners: Listener[] = [];
  let main: MainListener;
  let web: HttpListener | undefined;
  try {
    listeners.push(main = await openMain(options, shared));
    const http = httpTerms(options);
    if (http) {
      const opened = await openHttp(http, options, shared);
      listeners.push(web = opened.listener);
      shared.links = opened.links;
    }
    const lineExec = lineExecAddress(options);
    if (lineExec) listeners.push(openLineExec(lineExec, options, shared));
    const tcpEcho = tcpEchoAddress(options);
    if (tcpEcho) listeners.push(openTcpEcho(tcpEcho, options, shared));
    const udpEcho = udpEchoAddress(options);
    if (udpEcho) listeners.push(await openUdpEcho(udpEcho, options, shared));
    await metrics?.listen();
    signal?.throwIfAborted();
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    await metrics?.close();
    throw error;
  }
  const { hooks, traffic } = shared;
  const server = new ListeningServer({ main, web, listeners, metrics, hooks, traffic, signal });
  hooks.listening(server.addresses);
  return server;
}

/** What the listeners share: every access to the files of a server uses the same locks and the same tokens. */
interface Shared {
  runtime: Runtime;
  /** The locks that arbitrate between the writers of partial uploads. */
  locks: UploadLocks;
  /** The authority that knows the grants and tokens. */
  authority: Authority;
  /** The commands that may be run; undefined if there are none. */
  commands: AllowedCommands | undefined;
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Limits how many connections are compressed. */
  compressed: Places;
  hooks: Hooks;
  /** Takes note of all connections, and of what goes on in them. */
  traffic: Traffic;
  /** The share links; undefined until HTTP is listened for, to which they lead. */
  links?: SharedLinks | undefined;
  /** See {@linkcode ServeOptions}. */
  idleTimeout: number;
  minRate: number;
}

function prepare(options: ServeOptions): Shared {
  const { runtime = createRuntime(), exec, storage, idleTimeout = 60_000, minRate = 100 } = options;
  const { maxConnections = 4096, maxConnectionsPerSource = 256, maxCompressed = 64 } = options;
  const { anonymous, tokens, beforeStore, observers = [] } = options;
  const { clock } = runtime;
  const hooks = new Hooks(options);
  const commands = exec && AllowedCommands.find(exec, { root: storage.root });
  const everything: Scope[] = commands ? [...DEFAULT_SCOPES, "exec"] : [...DEFAULT_SCOPES];
  const granted = anonymous ?? (tokens ? [] : everything);
  return {
    runtime,
    locks: new UploadLocks(),
    authority: new Authority({ anonymous: grantEverywhere(granted), tokens, clock }),
    commands,
    limits: new ConnectionLimits({ maxConnections, maxConnectionsPerSource, clock }),
    compressed: new Places(maxCompressed),
    hooks,
    // The hooks are the last: they begin when the others have let the reply go.
    traffic: new Traffic([operationLog, ...observers, hooks], clock, beforeStore),
    idleTimeout,
    minRate,
  };
}

/** The listener for the protocol of ferry. */
interface MainListener extends Listener {
  reload(options: ReloadOptions): void;
}

async function openMain(
  options: ServeOptions,
  shared: Shared,
): Promise<MainListener> {
  const { storage, tokens, tls, handshakeTimeout = 10_000 } = options;
  const { runtime, locks, authority, commands, limits, traffic, idleTimeout, minRate } = shared;
  const { clock } = runtime;
  const { compressed } = shared;
  const assembled = new AssembledUploads();
  const receipts = new Receipts(storage, clock, tls);
  const address = ferryAddress(options);
  const begin = (stream: ByteStream & { remoteAddr: Address; localAddr: Address }) => {
    const { remoteAddr, localAddr } = stream;
    const { links } = shared;
    return new Session(stream, {
      runtime,
      storage,
      locks,
      assembled,
      authority,
      commands,
      handshakeTimeout,
      idleTimeout,
      minRate,
      compressed,
      traffic,
      listener: tls ? "tls" : "tcp",
      peer: remoteAddr,
      source: sourceOf(remoteAddr.hostname),
      receipt: (stored) => receipts.for(stored, formatAddress(localAddr)),
      links: links && {
        shares: links.shares,
        urlOf: (path) => links.urlOf(path, localAddr.hostname),
      },
    });
  };
  // Loaded on demand, since it takes time and few servers need it.
  const secured = tls &&
    await (await import("./net/tls_listener.ts"))
      .listenTls(address, { keyPair: tls, handshakeTimeout, limits, traffic, runtime, begin });
  const listener = secured ?? listenTcp("tcp", address, {
    limits,
    traffic,
    clock,
    begin(conn) {
      conn.setNoDelay(true);
      return begin(conn);
    },
    reject: (conn, reason) => new Rejection(conn, reason, runtime),
  });
  return {
    listening: listener.listening,
    close: (drainTimeout) => listener.close(drainTimeout),
    reload(changed) {
      if (changed.tls) {
        if (!secured) throw new FerryError("usage", "it was started without TLS");
        secured.replace(changed.tls);
        receipts.replace(changed.tls);
      }
      if (!changed.tokens) return;
      if (!tokens) throw new FerryError("usage", "it was started without tokens");
      limitByTokens(storage, changed.tokens);
      authority.replace(changed.tokens);
    },
  };
}

function openLineExec(
  address: ListenAddress,
  { framing = "json" }: ServeOptions,
  { runtime, commands, limits, traffic, idleTimeout }: Shared,
): Listener {
  return listenLineExec(address, {
    runtime,
    commands: commands!,
    limits,
    traffic,
    framing,
    idleTimeout,
  });
}

function openTcpEcho(
  address: ListenAddress,
  { verbatim = false }: ServeOptions,
  { runtime, limits, traffic, idleTimeout, minRate }: Shared,
): Listener {
  return listenTcpEcho(address, { runtime, limits, traffic, verbatim, idleTimeout, minRate });
}

function openUdpEcho(
  address: Address,
  { verbatim = false, echoRate = 1000 }: ServeOptions,
  { runtime: { clock } }: Shared,
): Promise<Listener> {
  return listenUdpEcho(address, { verbatim, rate: echoRate, clock });
}

/** The parts of a {@linkcode ListeningServer}. */
interface ServerParts {
  main: MainListener;
  /** The listener for HTTP, if there is one. */
  web: HttpListener | undefined;
  /** All listeners, the main one included. */
  listeners: readonly Listener[];
  metrics: Metrics | undefined;
  hooks: Hooks;
  traffic: Traffic;
  signal: AbortSignal | undefined;
}

class ListeningServer implements Server {
  readonly addresses: readonly Listening[];
  readonly #parts: ServerParts;
  readonly #finished = Promise.withResolvers<void>();
  readonly #stop = () => void this.close();
  #closing = false;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    const { listeners, metrics } = parts;
    this.addresses = [...listeners.map(({ listening }) => listening), ...metrics?.listening ?? []];
    parts.signal?.addEventListener("abort", this.#stop);
  }

  get connections(): ReadonlySet<OpenConnection> {
    return this.#parts.traffic.connections;
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  reload(options: ReloadOptions): void {
    if (this.#closing) return;
    this.#parts.main.reload(options);
    if (!options.tls) return;
    this.#parts.web?.replace(options.tls);
    this.#parts.metrics?.replace(options.tls);
  }

  close({ drainTimeout = 10_000 }: { drainTimeout?: number } = {}): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#finished.resolve(this.#end(Math.min(drainTimeout, MAX_TIMEOUT_MS)));
    }
    return this.finished;
  }

  async #end(drainTimeout: number): Promise<void> {
    const { listeners, metrics, hooks, signal } = this.#parts;
    signal?.removeEventListener("abort", this.#stop);
    metrics?.drain();
    await Promise.all(listeners.map((listener) => listener.close(drainTimeout)));
    await metrics?.close();
    await hooks.settle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
