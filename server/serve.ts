/**
 * The server as a library: opens the listeners that are asked for, and ends them in order.
 *
 * @module
 */

import {
  type Address,
  formatAddress,
  isLoopback,
  type Listening,
  parseAddress,
} from "../lib/core/address.ts";
import type { Framing } from "../lib/line_exec/framing.ts";
import { FerryError } from "../lib/core/errors.ts";
import { assertNumbers, MAX_TIMEOUT_MS, TIMEOUT } from "../lib/core/number_options.ts";
import type { Storage } from "./storage/storage.ts";
import type { ByteStream } from "../lib/wire/wire.ts";
import { acceptTcp, type Listener } from "./net/listener.ts";
import { Admission, Parting } from "./net/connection_limits.ts";
import { DEFAULT_SCOPES, grantEverywhere, type Scope } from "./auth/authorization.ts";
import { Authority } from "./auth/authentication.ts";
import { listenClassic } from "./protocols/line_exec/line_exec.ts";
import { listenTcpEcho, listenUdpEcho } from "./protocols/echo/echo.ts";
import { Commands, type ExecPolicy } from "./exec/allowed_commands.ts";
import { Hooks, type ServerHooks } from "./observe/hooks.ts";
import { Session } from "./protocols/ferry/session.ts";
import { sourceOf } from "./auth/login_throttle.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import type { TokenTable } from "./auth/token_file.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions extends ServerHooks {
  /** Where the files are. The server uses it and does not dispose of it. */
  storage: Storage;
  /** `HOST:PORT`; port 0 picks a free one. `127.0.0.1:9900` unless told otherwise. */
  listen?: string | undefined;
  /**
   * What anybody who connects may do. Nothing unless told otherwise where there are `tokens`. Without them it
   * is all on a loopback address, to run commands only where `exec` is given; any other address is refused
   * until it is told.
   */
  anonymous?: readonly Scope[] | undefined;
  /** The commands that may be run; none unless told otherwise. */
  exec?: ExecPolicy | undefined;
  /**
   * `HOST:PORT` of a listener for classic exec; none unless told otherwise. It needs `exec` with a shell. An
   * address that is not on loopback is refused unless `anonymous` has `exec`.
   */
  classicExec?: string | undefined;
  /** What stands in front of the output there; `json` unless told otherwise. */
  framing?: Framing | undefined;
  /** The tokens that clients may show to do more than `anonymous` says. Nobody is asked for one where there is no table. */
  tokens?: TokenTable | undefined;
  /** The certificate for TLS; connections are not encrypted without one. */
  tls?: KeyPair | undefined;
  /**
   * Milliseconds for the beginning of a connection: for the TLS handshake, and then for the first request, or
   * where nothing is granted to who shows no token, for showing one. 10000 unless told otherwise.
   */
  handshakeTimeout?: number | undefined;
  /**
   * How many connections may be open, those of all listeners together; 4096 unless told otherwise, 0 for any
   * number. Those that are too many are refused with `busy`.
   */
  maxConnections?: number | undefined;
  /**
   * How many connections of one source may be open, an IPv4 address or an IPv6 network of 64 bits; 256 unless
   * told otherwise, 0 for any number. Those from this machine itself are not counted so.
   */
  maxConnectionsPerSource?: number | undefined;
  /** Milliseconds after which a peer that moves no byte is disconnected; 60000 unless told otherwise. */
  idleTimeout?: number | undefined;
  /**
   * How many bytes a second a peer has to move, on an average over the idle time, while a message of it is under
   * way; 100 unless told otherwise, and 0 for any number.
   */
  minRate?: number | undefined;
  /**
   * `HOST:PORT` of an echo over TCP; none unless told otherwise. An address that is not on loopback is
   * refused unless `anonymous` has `echo`.
   */
  tcpEcho?: string | undefined;
  /** `HOST:PORT` of an echo over UDP, as `tcpEcho`. */
  udpEcho?: string | undefined;
  /** Whether the echoes answer with the same bytes, instead of letters in upper case. */
  verbatim?: boolean | undefined;
  /**
   * The most packets a second that the echo over UDP sends to one source that is not on this machine;
   * 1000 unless told otherwise, 0 for any number.
   */
  echoRate?: number | undefined;
  /** Ends the server when it is aborted, as {@linkcode Server.close} does. */
  signal?: AbortSignal | undefined;
}

/** What a running server can be told anew. */
export interface ReloadOptions {
  /** The tokens that clients may show; the old ones stay unless told otherwise. */
  tokens?: TokenTable | undefined;
  /** The certificate for new connections; the old one stays unless told otherwise. */
  tls?: KeyPair | undefined;
}

/** A server that runs. */
export interface Server extends AsyncDisposable {
  /** Where it listens, with the real ports. */
  readonly addresses: readonly Listening[];
  /** Resolves when it has ended, for whatever reason, as the promise of {@linkcode Server.close} does. Never fails. */
  readonly finished: Promise<void>;
  /**
   * Uses other tokens and another certificate from now on. Connections stay open, but for those in the middle
   * of a `get`; what a token allowed ends at once where that is not there any more or has changed.
   *
   * @throws {FerryError} `usage` where the server has been started without what is to be replaced, or the
   * certificate and its key are none; nothing has changed then
   */
  reload(options: ReloadOptions): void;
  /**
   * Takes no new connection, lets what is under way finish within `drainTimeout` milliseconds (10000
   * unless told otherwise), then ends it. Resolves when the last connection has ended; what goes on
   * for seconds after that, such as reading a large file for its checksum, is not waited for.
   * Whoever calls it again gets the same promise.
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
 * @throws {FerryError} `usage` for an address that is not on loopback without `tokens` or `anonymous`, for a
 * certificate that is none, a command that is not there and a number that is out of its limits; `io`, `denied`, `unreachable` where the address
 * cannot be listened on
 * @throws the reason of the `signal` where that was aborted before the server could start
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { signal } = options;
  signal?.throwIfAborted();
  assertNumbersOf(options);
  const commands = options.exec && new Commands(options.exec, { root: options.storage.root });
  const { maxConnections = 4096, maxConnectionsPerSource = 256 } = options;
  const admission = new Admission({ maxConnections, maxConnectionsPerSource });
  const hooks = new Hooks(options);
  const sessions = await listenForSessions(options, { commands, admission, hooks });
  const listeners: Listener[] = [sessions];
  try {
    for (const open of wanted(options, { commands, admission })) listeners.push(await open());
    signal?.throwIfAborted();
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    throw error;
  }
  const server = new ListeningServer({ sessions, listeners, hooks, signal });
  hooks.listening(server.addresses);
  return server;
}

function assertNumbersOf(options: ServeOptions): void {
  const { idleTimeout, handshakeTimeout } = options;
  assertNumbers({ idleTimeout, handshakeTimeout }, TIMEOUT);
  const { maxConnections, maxConnectionsPerSource, minRate, echoRate } = options;
  assertNumbers({ maxConnections, maxConnectionsPerSource, minRate, echoRate });
}

/** What all listeners share. */
interface Shared {
  /** The commands that may be run, where there are some. */
  commands: Commands | undefined;
  /** Decides which connections are taken. */
  admission: Admission;
}

/** How to open each of the other listeners that are asked for. */
function wanted(
  options: ServeOptions,
  shared: Shared,
): (() => Listener | Promise<Listener>)[] {
  const { classicExec, tcpEcho, udpEcho } = options;
  return [
    ...(classicExec === undefined ? [] : [() => openClassic(classicExec, options, shared)]),
    ...(tcpEcho === undefined ? [] : [() => openTcpEcho(tcpEcho, options, shared)]),
    ...(udpEcho === undefined ? [] : [() => openUdpEcho(udpEcho, options)]),
  ];
}

/** The listener that the protocol is spoken on. */
interface SessionListener extends Listener {
  reload(options: ReloadOptions): void;
}

async function listenForSessions(
  options: ServeOptions,
  { commands, admission, hooks }: Shared & { hooks: Hooks },
): Promise<SessionListener> {
  const { storage, anonymous, tokens, tls } = options;
  const { idleTimeout = 60_000, minRate = 100, handshakeTimeout = 10_000 } = options;
  const address = parseAddress(options.listen ?? "127.0.0.1");
  assertOpenedTo(address, { anonymous, tokens });
  const unasked: Scope[] = commands ? [...DEFAULT_SCOPES, "exec"] : [...DEFAULT_SCOPES];
  const granted = anonymous ?? (tokens ? [] : unasked);
  const authority = new Authority({ anonymous: grantEverywhere(granted), tokens });
  const begin = (stream: ByteStream & { remoteAddr: Address }) => {
    const { remoteAddr } = stream;
    const [peer, source] = [formatAddress(remoteAddr), sourceOf(remoteAddr.hostname)];
    return new Session(stream, {
      storage,
      authority,
      commands,
      handshakeTimeout,
      idleTimeout,
      minRate,
      peer,
      source,
      tell: hooks.toldBy(remoteAddr),
    });
  };
  // Loading it takes its time, and few need it.
  const secured = tls &&
    await (await import("./net/tls_listener.ts"))
      .acceptTls(address, { keyPair: tls, handshakeTimeout, admission, begin });
  const listener = secured ?? acceptTcp("tcp", address, {
    admission,
    begin(conn) {
      conn.setNoDelay(true);
      return begin(conn);
    },
    turnAway: (conn, refusal) => new Parting(conn, refusal),
  });
  return {
    listening: listener.listening,
    close: (drainTimeout) => listener.close(drainTimeout),
    reload(changed) {
      if (changed.tls) {
        if (!secured) throw new FerryError("usage", "it was started without TLS");
        secured.replace(changed.tls);
      }
      if (!changed.tokens) return;
      if (!tokens) throw new FerryError("usage", "it was started without tokens");
      authority.replace(changed.tokens);
    },
  };
}

function openClassic(
  listen: string,
  { anonymous, framing = "json", idleTimeout = 60_000 }: ServeOptions,
  { commands, admission }: Shared,
): Listener {
  const address = parseAddress(listen, { defaultPort: null });
  assertOpenedTo(address, { anonymous, scope: "exec" });
  if (!commands?.hasShell) {
    throw new FerryError("usage", "the lines go to the shell, and that takes --allow-shell", {
      action: `listen for classic exec on ${formatAddress(address)}`,
    });
  }
  return listenClassic(address, { commands, admission, framing, idleTimeout });
}

function openTcpEcho(listen: string, options: ServeOptions, { admission }: Shared): Listener {
  const { verbatim = false, anonymous, idleTimeout = 60_000, minRate = 100 } = options;
  const address = parseAddress(listen, { defaultPort: null });
  assertOpenedTo(address, { anonymous, scope: "echo" });
  return listenTcpEcho(address, { admission, verbatim, idleTimeout, minRate });
}

function openUdpEcho(listen: string, options: ServeOptions): Promise<Listener> {
  const { verbatim = false, anonymous, echoRate = 1000 } = options;
  const address = parseAddress(listen, { defaultPort: null });
  assertOpenedTo(address, { anonymous, scope: "echo" });
  return listenUdpEcho(address, { verbatim, rate: echoRate });
}

/**
 * Refuses an address that others than this machine can reach, unless it was said what anybody may do. A
 * listener that knows nobody's name needs its `scope` to be among that.
 */
function assertOpenedTo(
  address: Address,
  { anonymous, tokens, scope }: {
    anonymous: readonly Scope[] | undefined;
    tokens?: TokenTable | undefined;
    scope?: Scope;
  },
): void {
  if (isLoopback(address) || tokens) return;
  if (scope === undefined ? anonymous !== undefined : anonymous?.includes(scope)) return;
  const remedy = scope === undefined
    ? "say with --anonymous SCOPES what anybody may do, or give tokens with --token-file"
    : `--anonymous has to name ${scope} among what anybody may do`;
  throw new FerryError("usage", `others than this machine could connect: ${remedy}`, {
    action: `listen on ${formatAddress(address)}`,
  });
}

/** What a {@linkcode ListeningServer} is made of. */
interface ServerParts {
  sessions: SessionListener;
  /** All listeners, that for sessions among them. */
  listeners: readonly Listener[];
  hooks: Hooks;
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
    this.addresses = parts.listeners.map(({ listening }) => listening);
    parts.signal?.addEventListener("abort", this.#stop);
  }

  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  reload(options: ReloadOptions): void {
    if (!this.#closing) this.#parts.sessions.reload(options);
  }

  close({ drainTimeout = 10_000 }: { drainTimeout?: number } = {}): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#finished.resolve(this.#end(Math.min(drainTimeout, MAX_TIMEOUT_MS)));
    }
    return this.finished;
  }

  async #end(drainTimeout: number): Promise<void> {
    const { listeners, hooks, signal } = this.#parts;
    signal?.removeEventListener("abort", this.#stop);
    await Promise.all(listeners.map((listener) => listener.close(drainTimeout)));
    await hooks.settle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
