/**
 * A listener for TLS connections, whose certificate can be replaced and whose handshakes have a time limit.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { formatAddress, type Listening } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Traffic } from "../observe/traffic.ts";
import type { ConnectionLimits } from "./connection_limits.ts";
import {
  AcceptLoop,
  type ConnectionHandler,
  type ConnectionSource,
  type ListenAddress,
  type Listener,
} from "./listener.ts";
import { Rejection, REJECTION_MS } from "./rejection.ts";
import { keepListening, listenNode } from "./node_listener.ts";
import { guarded } from "../observe/failures.ts";
import { TlsStream } from "./tls_stream.ts";

const logger = getLogger(["ferry", "server"]);

/** A certificate and its private key. */
export interface KeyPair {
  /** The certificate in PEM, followed by the intermediate certificates. */
  cert: string;
  /** The private key in PEM. */
  key: string;
}

/** Options of {@linkcode listenTls}. */
export interface TlsListenerOptions {
  /** The certificate. */
  keyPair: KeyPair;
  /** The timeout of the handshake, in milliseconds. */
  handshakeTimeout: number;
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Takes note of clients that are turned away. */
  traffic: Traffic;
  /** Provides buffers and the clock. */
  runtime: Runtime;
  /** Starts serving a connection whose handshake is done. */
  begin(stream: TlsStream): ConnectionHandler;
}

/** A listener whose certificate can be replaced. */
export interface TlsListener extends Listener {
  /**
   * Uses another certificate for new connections. Open connections are not affected.
   *
   * @throws {FerryError} `usage` if certificate and key are not valid or do not match; the old pair stays in use then
   */
  replace(keyPair: KeyPair): void;
}

/** The oldest version of Deno whose `node:tls` can do the handshake on a socket that was accepted separately. */
const OLDEST_RUNTIME = { major: 2, minor: 8 };

/**
 * Checks that a version of Deno can serve TLS. With an older one every handshake would hang.
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
 * Listens for TLS 1.3 connections.
 *
 * @throws {FerryError} `usage` if the certificate or the key is not valid, or the runtime is too old; `io`, `denied`,
 * `unreachable` if the address cannot be listened on
 */
export async function listenTls(
  address: ListenAddress,
  { keyPair, handshakeTimeout, limits, traffic, runtime, begin }: TlsListenerOptions,
): Promise<TlsListener> {
  assertServesTls(Deno.version.deno);
  const { clock } = runtime;
  const source = new TlsSource(secureContext(keyPair));
  const listening = await source.listen(address);
  const loop = AcceptLoop.start<TlsStream>(listening, source, {
    limits,
    traffic,
    clock,
    begin: (stream) => new Handshake(stream, { timeout: handshakeTimeout, clock, traffic, begin }),
    reject: (stream, reason) =>
      new Handshake(stream, {
        timeout: Math.min(handshakeTimeout, REJECTION_MS),
        clock,
        traffic,
        begin: () => new Rejection(stream, reason, runtime),
      }),
  });
  return {
    listening,
    close: (drainTimeout) => loop.close(drainTimeout),
    replace: (keyPair) => void (source.context = secureContext(keyPair)),
  };
}

/** What the handshakes of new connections use. */
function secureContext(keyPair: KeyPair): SecureContext {
  assertKeyPair(keyPair);
  return createSecureContext({ ...keyPair, minVersion: "TLSv1.3" });
}

/**
 * Checks a certificate and its key, which otherwise would only be checked when a client connects.
 *
 * @throws {FerryError} `usage` if they are not valid or do not match
 */
export function assertKeyPair({ cert, key }: KeyPair): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    createSecureContext({ cert, key });
  } catch (error) {
    const { message } = error as Error;
    throw new FerryError("usage", `${message.charAt(0).toLowerCase()}${message.slice(1)}`, {
      action: "use the certificate and its key",
      cause: error,
    });
  }
}

/** The source of TLS connections. */
class TlsSource implements ConnectionSource<TlsStream> {
  readonly #server: Server;
  readonly #waiting: TlsStream[] = [];
  #next: PromiseWithResolvers<TlsStream> | undefined;
  #accepting: Disposable | undefined;
  #closed = false;
  /** What the handshakes of new connections use. */
  context: SecureContext;

  constructor(context: SecureContext) {
    this.context = context;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  /** Starts listening, and returns the actual address. */
  async listen(address: ListenAddress): Promise<Listening> {
    const onError = (error: Error) => this.#next?.reject(error);
    const listening = await listenNode(this.#server, address, "tls", onError);
    this.#accepting = keepListening(this.#server);
    return listening;
  }

  accept(): Promise<TlsStream> {
    const stream = this.#waiting.shift();
    if (stream) return Promise.resolve(stream);
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  close(): void {
    this.#closed = true;
    this.#accepting?.[Symbol.dispose]();
    guarded("close the listener", () => this.#server.close());
    for (const stream of this.#waiting) guarded("end a connection", () => stream.close());
    this.#next?.reject(new FerryError("closed", "the listener was closed"));
  }

  /**
   * Starts TLS on a socket without delay: data that the socket reads before that would be lost or, if it is invalid and
   * arrives in several parts, end the program.
   */
  #take(socket: Socket): void {
    if (this.#closed) return void socket.destroy();
    let stream: TlsStream;
    try {
      stream = TlsStream.accept(socket, this.context);
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

/** Options of a {@linkcode Handshake}. */
interface HandshakeOptions extends Pick<TlsListenerOptions, "begin"> {
  clock: Clock;
  /** Takes note of clients that are turned away. */
  traffic: Traffic;
  timeout: number;
}

/** Handles a connection from its start: first the handshake, then the handler that serves it. */
class Handshake implements ConnectionHandler {
  readonly #stream: TlsStream;
  readonly #options: HandshakeOptions;
  #handler: ConnectionHandler | undefined;

  constructor(stream: TlsStream, options: HandshakeOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { timeout, clock, begin, traffic } = this.#options;
    let late = false;
    const timer = clock.setTimeout(() => {
      late = true;
      guarded("end a connection", () => this.#stream.close());
    }, timeout);
    try {
      await this.#stream.handshake();
    } catch (error) {
      const { cause, reason } = toFerryError(error);
      const peer = formatAddress(this.#stream.remoteAddr);
      // The message of the TLS library is meant for people.
      const why = late ? "it took too long" : cause instanceof Error ? cause.message : reason;
      logger.info("{peer}: no TLS: {why}", { peer, why });
      traffic.refused({ peer: this.#stream.remoteAddr, listener: "tls", reason: "tls" });
      this.#stream.close();
      return;
    } finally {
      clock.clearTimeout(timer);
    }
    this.#handler = begin(this.#stream);
    // Not awaited, so that the memory of the handshake is freed while the connection lasts.
    return this.#handler.run();
  }

  drain(): void | Promise<void> {
    if (this.#handler) return this.#handler.drain();
    this.#stream.close();
  }

  close(reason: FerryError): void {
    if (this.#handler) this.#handler.close(reason);
    else this.#stream.close();
  }
}
