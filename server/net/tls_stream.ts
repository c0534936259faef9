/**
 * The server's end of a TLS connection, as a stream for a `Wire`.
 *
 * It uses `node:tls`, since `Deno.listenTls` cannot close a connection whose peer stalls in the handshake or reads
 * nothing: the socket stays open until the peer continues. Nor can it require TLS 1.3, change its certificate, or
 * disable Nagle's algorithm, which together with delayed acknowledgements costs 40 ms.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";

/**
 * The limits for decrypted bytes that wait to be read. Above `high` reading from the peer pauses, below `low` it
 * continues.
 */
const BUFFERED = { high: 512 * 1024, low: 128 * 1024 };

/** How many bytes are encrypted at once. Each part that was sent counts as progress for the deadlines. */
const WRITE_BYTES = 256 * 1024;

/** The internal handle through which a socket is read. */
interface SocketHandle {
  readStart(): number;
  readStop(): number;
  /** Called with the bytes that were read. */
  onread?: (this: SocketHandle, bytes?: unknown) => void;
}

/** A TLS connection on which the client starts the handshake. */
export class TlsStream implements ByteStream {
  readonly #socket: Socket;
  readonly #tls: TLSSocket;
  readonly #handle: SocketHandle;
  readonly #handshake = Promise.withResolvers<void>();
  /** The decrypted chunks that were not read yet. */
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  /** How many bytes of the first chunk have been read. */
  #taken = 0;
  #buffered = 0;
  #stopped = false;
  #ended = false;
  #failure: FerryError | undefined;
  #wake: (() => void) | undefined;
  #fail: (reason: FerryError) => void = () => {};
  /** The address of the peer. */
  readonly remoteAddr: { hostname: string; port: number };
  /** The address of this machine that the peer connected to. */
  readonly localAddr: { hostname: string; port: number };

  private constructor(socket: Socket, secureContext: SecureContext) {
    this.#socket = socket;
    this.remoteAddr = { hostname: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    this.localAddr = { hostname: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    // Pausing a TLS socket in Deno does not apply backpressure: the peer's data accumulates in memory. Only the handle
    // of the underlying socket can stop reading.
    this.#handle = handleOf(socket);
    socket.setNoDelay(true);
    socket.on("error", (error) => this.#end(toFerryError(error)));
    this.#tls = new TLSSocket(
      socket,
      {
        isServer: true,
        secureContext,
        requestCert: false,
        // A client may half-close the connection and wait for the replies.
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
    // If the peer disconnects during the handshake, the handshake fails.
    socket.on("end", () => this.#handshake.reject(new FerryError("closed", "the peer left")));
    this.#tls.on("error", (error) => this.#end(toFerryError(error)));
    this.#tls.on("close", () => this.#end(new FerryError("closed", "connection closed")));
    this.#handshake.promise.catch(() => {});
  }

  /** Starts TLS 1.3 on a socket that was just accepted, which the stream owns from now on. */
  static accept(socket: Socket, secureContext: SecureContext): TlsStream {
    return new TlsStream(socket, secureContext);
  }

  /**
   * Waits until the handshake is done.
   *
   * @throws {FerryError} why the handshake failed
   */
  handshake(): Promise<void> {
    return this.#handshake.promise;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#buffered > 0) return Promise.resolve(this.#take(into));
    if (this.#ended) return Promise.resolve(null);
    if (this.#failure) return Promise.reject(this.#failure);
    // Data that arrives together is read together, after all of it has been buffered.
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
      // The reason why the connection ended is more informative than the failed write.
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

  /** Records that no more data will arrive. With a failure, nothing can be sent any more either. */
  #end(failure?: FerryError): void {
    // The first failure is the one reported.
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

  /** Ends the connection because of an error in a callback of the runtime. */
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
 * The internal handle of a socket, which has no public type in Node. A runtime without it accepts no connections, since
 * one without backpressure could fill the memory.
 */
function handleOf(socket: Socket): SocketHandle {
  const { _handle: handle } = socket as Socket & { _handle?: Partial<SocketHandle> | null };
  if (handle?.readStop && handle.readStart) return handle as SocketHandle;
  throw new FerryError("internal", "the runtime has no way to pause reading from a TLS connection");
}

/**
 * Frees the encrypted bytes as soon as they are decrypted. Otherwise the garbage collector would scan the whole heap
 * for every few megabytes that arrive. Errors that decryption throws are passed to `onFailure`, since uncaught they
 * would end the program.
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

/** Frees a chunk of decrypted bytes for the same reason, unless its memory is shared with other chunks. */
function free({ byteLength, buffer }: Uint8Array<ArrayBuffer>): void {
  if (byteLength === buffer.byteLength) buffer.transfer(0);
}
