/**
 * The server's end of a TLS connection, as what a `Wire` runs over.
 *
 * It is one of `node:tls`, since `Deno.listenTls` offers no way to be rid of a peer that falls silent in the
 * handshake or takes nothing: the socket stays until the peer moves. Nor can it insist on TLS 1.3, switch off
 * Nagle's algorithm, which costs 40 ms where it meets a delayed acknowledgement, or change its certificate.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ByteStream } from "../../lib/wire/wire.ts";

/** Where so many decrypted bytes wait to be read, the peer is not listened to, and where so few, it is again. */
const BUFFERED = { high: 512 * 1024, low: 128 * 1024 };

/** How much is encrypted at once: each piece that has left is progress, for whoever watches. */
const WRITE_BYTES = 256 * 1024;

/** What reads a socket. */
interface SocketHandle {
  readStart(): number;
  readStop(): number;
  /** Is given what was read. */
  onread?: (this: SocketHandle, bytes?: unknown) => void;
}

/** A connection on which the other side is to begin a handshake. */
export class TlsStream implements ByteStream {
  readonly #socket: Socket;
  readonly #tls: TLSSocket;
  readonly #handle: SocketHandle;
  readonly #handshake = Promise.withResolvers<void>();
  /** What has come and was not read yet. */
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** How much of the first of them has been read. */
  #taken = 0;
  #buffered = 0;
  #stopped = false;
  #ended = false;
  #failure: FerryError | undefined;
  #wake: (() => void) | undefined;
  #fail: (reason: FerryError) => void = () => {};
  /** Where the peer is. */
  readonly remoteAddr: { hostname: string; port: number };

  /** TLS 1.3 over a socket that was just accepted, which this owns from now on. */
  constructor(socket: Socket, secureContext: SecureContext) {
    this.#socket = socket;
    this.remoteAddr = { hostname: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    // To pause a TLS socket of Deno's holds nobody back: what the peer sends piles up in memory. Only the
    // handle of the socket beneath can be told to stop.
    this.#handle = handleOf(socket);
    socket.setNoDelay(true);
    socket.on("error", (error) => this.#end(toFerryError(error)));
    this.#tls = new TLSSocket(
      socket,
      {
        isServer: true,
        secureContext,
        requestCert: false,
        // A client may end its direction and wait for the replies.
        allowHalfOpen: true,
      } as ConstructorParameters<typeof TLSSocket>[1],
    );
    freeWhatWasRead(this.#handle, (error) => this.#fall(error));
    this.#tls.on("secure", () => this.#handshake.resolve());
    this.#tls.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
      try {
        this.#push(chunk);
      } catch (error) {
        this.#fall(error);
      }
    });
    this.#tls.on("end", () => this.#end());
    // Who leaves in the handshake is not waited for.
    socket.on("end", () => this.#handshake.reject(new FerryError("closed", "the peer left")));
    this.#tls.on("error", (error) => this.#end(toFerryError(error)));
    this.#tls.on("close", () => this.#end(new FerryError("closed", "connection closed")));
    this.#handshake.promise.catch(() => {});
  }

  /**
   * Waits until the handshake is done.
   *
   * @throws {FerryError} what is wrong with the peer's part in it
   */
  handshake(): Promise<void> {
    return this.#handshake.promise;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#buffered > 0) return Promise.resolve(this.#take(into));
    if (this.#ended) return Promise.resolve(null);
    if (this.#failure) return Promise.reject(this.#failure);
    // What comes in one go is read in one go: not before all of it was taken in.
    return new Promise<void>((resolve) => this.#wake = resolve).then(() => this.read(into));
  }

  #take(into: Uint8Array): number {
    let filled = 0;
    while (filled < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const end = this.#taken + into.length - filled;
      const piece = chunk.subarray(this.#taken, end);
      into.set(piece, filled);
      filled += piece.length;
      if (end < chunk.length) this.#taken = end;
      else {
        this.#taken = 0;
        this.#chunks.shift();
        free(chunk);
      }
    }
    this.#buffered -= filled;
    if (this.#stopped && this.#buffered <= BUFFERED.low && !this.#failure) {
      this.#stopped = false;
      this.#handle.readStart();
    }
    return filled;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#failure) throw this.#failure;
    const piece = bytes.length > WRITE_BYTES ? bytes.subarray(0, WRITE_BYTES) : bytes;
    const done = Promise.withResolvers<void>();
    this.#fail = done.reject;
    const view = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    this.#tls.write(view, (error) => error ? done.reject(toFerryError(error)) : done.resolve());
    try {
      await done.promise;
    } catch (error) {
      // Why the connection ended says more than that a write failed for it.
      throw this.#failure ?? error;
    }
    return piece.length;
  }

  async closeWrite(): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#fail = done.reject;
    this.#tls.end(() => done.resolve());
    await done.promise;
  }

  close(): void {
    this.#end(new FerryError("closed", "connection closed"));
    this.#tls.destroy();
    this.#socket.destroy();
  }

  #push(chunk: Uint8Array<ArrayBuffer>): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered >= BUFFERED.high && !this.#stopped) {
      this.#stopped = true;
      this.#handle.readStop();
    }
    this.#awake();
  }

  /** Nothing more comes; where there is a reason, nothing can be sent any more either. */
  #end(failure?: FerryError): void {
    // What ended it first is the reason.
    if (failure && !this.#failure) {
      this.#failure = failure;
      this.#fail(failure);
      this.#handshake.reject(failure);
    } else if (!failure) {
      this.#ended = true;
      this.#handshake.reject(new FerryError("closed", "the peer left"));
    }
    this.#awake();
  }

  /** Ends it for what went wrong where nobody waits: in a callback of the runtime. */
  #fall(error: unknown): void {
    this.#end(toFerryError(error));
    this.#tls.destroy();
  }

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/**
 * The handle of a socket. Node has no other name for it; where a runtime had it no more, no connection would be
 * taken rather than one that can fill the memory.
 */
function handleOf(socket: Socket): SocketHandle {
  const { _handle: handle } = socket as Socket & { _handle?: Partial<SocketHandle> | null };
  if (handle?.readStop && handle.readStart) return handle as SocketHandle;
  throw new FerryError("internal", "the runtime does not say how a TLS connection is held back");
}

/**
 * Frees what was read from the network as soon as it is decrypted. Left to the collector, it makes that look
 * through the whole heap for every few megabytes that come. What the decryption throws would end the program: it is
 * for `onFailure`.
 */
function freeWhatWasRead(handle: SocketHandle, onFailure: (error: unknown) => void): void {
  const { onread } = handle;
  if (!onread) return;
  handle.onread = function (bytes) {
    try {
      onread.call(this, bytes);
      if (bytes instanceof ArrayBuffer) bytes.transfer(0);
    } catch (error) {
      onFailure(error);
    }
  };
}

/** Frees a chunk of decrypted bytes for the same reason, unless it is a part of memory that others use. */
function free({ byteLength, buffer }: Uint8Array<ArrayBuffer>): void {
  if (byteLength === buffer.byteLength) buffer.transfer(0);
}
