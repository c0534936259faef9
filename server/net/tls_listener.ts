/**
 * Listening for TLS connections: with a certificate that can be replaced, and handshakes that take no longer
 * than they may.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { type Address, formatAddress } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { AcceptLoop, type ConnectionSource, type Listener, type Served } from "./listener.ts";
import { type Admission, Parting, PARTING_MS } from "./connection_limits.ts";
import { guarded } from "../observe/failures.ts";
import { TlsStream } from "./tls_stream.ts";

const logger = getLogger(["ferry", "server"]);

/** A certificate and the key to it. */
export interface KeyPair {
  /** The certificate in PEM, and those of the authorities between it and a root behind it. */
  cert: string;
  /** The private key in PEM. */
  key: string;
}

/** What a TLS listener is opened with. */
export interface TlsListenerOptions {
  /** The certificate. */
  keyPair: KeyPair;
  /** Milliseconds after which a handshake that has not come to its end is given up. */
  handshakeTimeout: number;
  /** Decides whether a connection is taken. */
  admission: Admission;
  /** Begins to serve a connection whose handshake is done. */
  begin(stream: TlsStream): Served;
}

/** A listener whose certificate can be replaced. */
export interface TlsListener extends Listener {
  /**
   * Uses another certificate for the connections to come; those that are open stay.
   *
   * @throws {FerryError} `usage` where the pair is none; the old one stays then
   */
  replace(keyPair: KeyPair): void;
}

/** The oldest version of Deno whose `node:tls` answers the handshake of a connection that was accepted by itself. */
const OLDEST_RUNTIME = { major: 2, minor: 8 };

/**
 * Checks that a version of Deno can serve TLS: with an older one every handshake would wait in vain.
 *
 * @throws {FerryError} `usage`
 */
export function assertServesTls(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const oldest = OLDEST_RUNTIME;
  if (major > oldest.major || major === oldest.major && minor >= oldest.minor) return;
  const reason = `that takes Deno ${oldest.major}.${oldest.minor} or newer, and this is ${version}`;
  throw new FerryError("usage", reason, { action: "serve TLS" });
}

/**
 * Listens for connections that speak TLS 1.3.
 *
 * @throws {FerryError} `usage` for a certificate or a key that is none, and where the runtime is too old; `io`,
 * `denied`, `unreachable` where the address cannot be listened on
 */
export async function acceptTls(
  address: Address,
  { keyPair, handshakeTimeout, admission, begin }: TlsListenerOptions,
): Promise<TlsListener> {
  assertServesTls(Deno.version.deno);
  const source = new TlsSource(secureContext(keyPair));
  const listening = { kind: "tls" as const, ...await source.listen(address) };
  const loop = new AcceptLoop<TlsStream>(listening, source, {
    admission,
    begin: (stream) => new Handshake(stream, handshakeTimeout, begin),
    turnAway: (stream, refusal) =>
      new Handshake(
        stream,
        Math.min(handshakeTimeout, PARTING_MS),
        () => new Parting(stream, refusal),
      ),
  });
  return {
    listening,
    close: (drainTimeout) => loop.close(drainTimeout),
    replace: (keyPair) => void (source.context = secureContext(keyPair)),
  };
}

/** What a connection is begun with. */
function secureContext({ cert, key }: KeyPair): SecureContext {
  try {
    // A context is not looked into before a client comes. This looks at once, and whether the two belong
    // together, too.
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    return createSecureContext({ cert, key, minVersion: "TLSv1.3" });
  } catch (error) {
    const { message } = error as Error;
    throw new FerryError("usage", `${message.charAt(0).toLowerCase()}${message.slice(1)}`, {
      action: "use the certificate and its key",
      cause: error,
    });
  }
}

/** How many connections the system holds ready that have not been accepted yet. */
const BACKLOG = 511;

/** What a listener of Node's is made of; it has no other name there. */
interface ListenHandle {
  listen(backlog: number): number;
}

/** How often the listener is roused, in milliseconds. */
const ROUSE_MS = 1000;

/** Where TLS connections come from. */
class TlsSource implements ConnectionSource<TlsStream> {
  readonly #server: Server;
  readonly #waiting: TlsStream[] = [];
  #next: PromiseWithResolvers<TlsStream> | undefined;
  #rousing: ReturnType<typeof setInterval> | undefined;
  #closed = false;
  /** What the next connections are begun with. */
  context: SecureContext;

  constructor(context: SecureContext) {
    this.context = context;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  /** Begins to listen, and tells where. */
  async listen({ hostname, port }: Address): Promise<Address> {
    const listening = Promise.withResolvers<void>();
    this.#server.once("error", listening.reject);
    this.#server.listen({ host: hostname, port, backlog: BACKLOG }, () => listening.resolve());
    try {
      await listening.promise;
    } catch (error) {
      throw toFerryError(error).during(`listen on ${formatAddress({ hostname, port })}`);
    }
    this.#server.on("error", (error) => this.#next?.reject(error));
    // Out of file descriptors, a listener of Deno's node:net accepts nothing ever after, and says nothing. To
    // listen once more with the same handle does no harm to one that is well.
    const { _handle: handle } = this.#server as Server & { _handle?: ListenHandle };
    if (!handle?.listen) {
      throw new FerryError("internal", "the runtime's listener cannot be roused");
    }
    const rousing = setInterval(() => {
      guarded("rouse the listener", () => handle.listen(BACKLOG));
    }, ROUSE_MS);
    Deno.unrefTimer(rousing);
    this.#rousing = rousing;
    const bound = this.#server.address() as { address: string; port: number };
    return { hostname: bound.address, port: bound.port };
  }

  accept(): Promise<TlsStream> {
    const stream = this.#waiting.shift();
    if (stream) return Promise.resolve(stream);
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#rousing);
    guarded("close the listener", () => this.#server.close());
    for (const stream of this.#waiting) guarded("end a connection", () => stream.close());
    this.#next?.reject(new FerryError("closed", "the listener was closed"));
  }

  /**
   * A socket becomes one of TLS at once: what it has read before would be lost, or end the program where it is
   * nonsense that came in pieces.
   */
  #take(socket: Socket): void {
    if (this.#closed) return void socket.destroy();
    let stream: TlsStream;
    try {
      stream = new TlsStream(socket, this.context);
    } catch (error) {
      socket.destroy();
      this.#next?.reject(error);
      return;
    }
    if (this.#next) this.#next.resolve(stream);
    else this.#waiting.push(stream);
    this.#next = undefined;
  }
}

/** A connection from its beginning: first the handshake, then what serves it. */
class Handshake implements Served {
  readonly #stream: TlsStream;
  readonly #timeout: number;
  readonly #begin: (stream: TlsStream) => Served;
  #served: Served | undefined;

  constructor(stream: TlsStream, timeout: number, begin: (stream: TlsStream) => Served) {
    this.#stream = stream;
    this.#timeout = timeout;
    this.#begin = begin;
  }

  async run(): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      guarded("end a connection", () => this.#stream.close());
    }, this.#timeout);
    try {
      await this.#stream.handshake();
    } catch (error) {
      const { cause, reason } = toFerryError(error);
      const peer = formatAddress(this.#stream.remoteAddr);
      // What the library says of a handshake is for people.
      const why = late ? "it took too long" : cause instanceof Error ? cause.message : reason;
      logger.info("{peer}: no TLS: {why}", { peer, why });
      this.#stream.close();
      return;
    } finally {
      clearTimeout(timer);
    }
    this.#served = this.#begin(this.#stream);
    // Not awaited: what the handshake took is not kept for as long as the connection lasts.
    return this.#served.run();
  }

  drain(): void | Promise<void> {
    if (this.#served) return this.#served.drain();
    this.#stream.close();
  }

  close(reason: FerryError): void {
    if (this.#served) this.#served.close(reason);
    else this.#stream.close();
  }
}
