/**
 * One connection of a client of HTTP: how long the client may be silent, and how the connection ends.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Address } from "../../../../lib/core/address.ts";
import type { FerryError } from "../../../../lib/core/errors.ts";
import type { Timer } from "../../../../lib/core/clock.ts";
import type { Runtime } from "../../../../lib/runtime/runtime.ts";
import { Deadlines } from "../../../../lib/wire/deadlines.ts";

/** How long a client may take to read the last response before the connection is closed, in milliseconds. */
const LINGER_MS = 2000;

/** Options of a {@linkcode Connection}. */
export interface ConnectionOptions {
  /** Provides buffers and the clock. */
  readonly runtime: Runtime;
  /** The time limit for the header of the first request, in milliseconds. */
  readonly handshakeTimeout: number;
  /** The idle timeout in milliseconds. */
  readonly idleTimeout: number;
  /** The minimum transfer rate during a request, in bytes per second. */
  readonly minRate: number;
}

/** What a {@linkcode Connection} asks its owner. */
export interface ConnectionOwner {
  /** Called when the client is too slow with the header of a request, or with the rest of a response. */
  onLate(): void;
  /** Whether the client may be in the middle of sending something. */
  isSending(): boolean;
}

/** An open connection. */
export class Connection {
  /** The socket, encrypted or not. */
  readonly socket: Socket;
  /** The address of the client. */
  readonly peer: Address;
  readonly #options: ConnectionOptions;
  /** How many bytes had been received when the client was last waited for. */
  #received = 0;
  /** When the client has to have sent the header of its next request, or taken the rest of a response. */
  #due: number;
  #timer: Timer | undefined;
  #isClosing = false;
  #reads = true;

  /** @param socket the socket, which this owns from now on */
  constructor(socket: Socket, options: ConnectionOptions, owner: ConnectionOwner) {
    this.socket = socket;
    // A socket that is closed does not know it any more.
    this.peer = { hostname: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    this.#options = options;
    const { handshakeTimeout, idleTimeout, runtime: { clock } } = options;
    // One timer for all requests: setting another one for each of them would take longer than a small request does.
    const lookAfter = (ms: number) => {
      this.#timer = clock.setTimeout(() => {
        const left = this.#due - clock.monotonic();
        if (left <= 0) owner.onLate();
        else lookAfter(Math.min(left, idleTimeout));
      }, ms);
    };
    this.#due = clock.monotonic() + handshakeTimeout;
    lookAfter(Math.min(handshakeTimeout, idleTimeout));
    socket.once("close", () => clock.clearTimeout(this.#timer));
    // `node:http` calls this after the last response. Closing while the client is still sending would make the system
    // reset the connection, and the client might lose the response.
    const { destroySoon } = socket;
    socket.destroySoon = () => owner.isSending() ? this.close() : destroySoon.call(socket);
  }

  /** Provides buffers and the clock. */
  get runtime(): Runtime {
    return this.#options.runtime;
  }

  /** From now on, the client has the idle timeout for the header of its next request, or the rest of a response. */
  awaitClient(): void {
    this.#received = this.socket.bytesRead;
    this.#due = this.runtime.clock.monotonic() + this.#options.idleTimeout;
  }

  /** Whether a part of the header of the next request has arrived. */
  get hasPart(): boolean {
    return this.socket.bytesRead > this.#received;
  }

  /** From now on, it is not the client that is waited for, or the {@linkcode Connection.deadlines} apply to it. */
  awaitNothing(): void {
    this.#due = Infinity;
  }

  /** The timeouts of a body. `onExpired` is called when the client is too slow. */
  deadlines(onExpired: (reason: FerryError) => void): Deadlines {
    const { idleTimeout, minRate, runtime: { clock } } = this.#options;
    return new Deadlines({ idleTimeout, minRate, clock }, onExpired);
  }

  /** Whether nothing more will be sent. */
  get isClosing(): boolean {
    return this.#isClosing || this.socket.destroyed;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Reads nothing more: what has arrived cannot be understood, so nothing after it can. */
  stopReading(): void {
    this.#reads = false;
    this.socket.pause();
  }

  /** Sends no more, and discards what comes until the client has read everything and ends the connection. */
  close(): void {
    if (this.isClosing) return;
    this.#isClosing = true;
    const { socket, runtime: { clock } } = this;
    this.awaitNothing();
    const timer = clock.setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clock.clearTimeout(timer));
    socket.once("end", () => socket.destroy());
    socket.end();
    if (this.#reads) socket.resume();
  }
}
