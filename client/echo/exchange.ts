/**
 * Sends texts to an echo service, each when the reply to the previous one has arrived.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { untilAborted } from "../../lib/cli/signals.ts";
import { Deadlines } from "../../lib/wire/deadlines.ts";
import { dial } from "../net/dial.ts";
import { type Destination, UdpPeer } from "./carrier.ts";

/** A reply. */
export interface Answer {
  /** Its bytes. */
  bytes: Uint8Array;
  /** Milliseconds from sending the text to the reply. */
  rtt: number;
}

/** An exchange of texts and replies with an echo service. */
export interface Exchange extends Disposable {
  /**
   * Sends bytes and waits for the reply.
   *
   * @throws {FerryError} `timeout`, `unreachable`, `closed`
   * @throws the signal's reason
   */
  ask(bytes: Uint8Array): Promise<Answer>;
}

/**
 * Prepares an exchange, which connects with the first text. A reply that takes longer than `timeout` milliseconds is
 * given up.
 */
export function openExchange(destination: Destination, timeout: number): Exchange {
  return destination.protocol === "udp"
    ? new DatagramExchange(destination, timeout)
    : new StreamExchange(destination, timeout);
}

function noAnswer(timeout: number): FerryError {
  return new FerryError("timeout", `no answer for ${timeout / 1000} s`);
}

class DatagramExchange implements Exchange {
  readonly #destination: Destination;
  readonly #timeout: number;
  #peer: UdpPeer | undefined;

  constructor(destination: Destination, timeout: number) {
    this.#destination = destination;
    this.#timeout = timeout;
  }

  async ask(bytes: Uint8Array): Promise<Answer> {
    const peer = this.#peer ??= await UdpPeer.resolve(this.#destination);
    // With a socket for each text, a late reply to an earlier one cannot be mistaken for this reply.
    using socket = await peer.open();
    const started = performance.now();
    const deadline = setTimeout(() => socket.close(), this.#timeout);
    try {
      await peer.send(socket, bytes);
      const reply = await untilAborted(peer.receive(socket), this.#destination.signal);
      if (reply) return { bytes: reply, rtt: performance.now() - started };
      throw noAnswer(this.#timeout);
    } finally {
      clearTimeout(deadline);
    }
  }

  [Symbol.dispose](): void {}
}

class StreamExchange implements Exchange {
  readonly #destination: Destination;
  readonly #timeout: number;
  readonly #deadlines: Deadlines;
  #conn: Deno.TcpConn | undefined;
  #expired = false;

  constructor(destination: Destination, timeout: number) {
    this.#destination = destination;
    this.#timeout = timeout;
    this.#deadlines = new Deadlines({ idleTimeout: timeout }, () => {
      this.#expired = true;
      this[Symbol.dispose]();
    });
  }

  async ask(bytes: Uint8Array): Promise<Answer> {
    const { address, connectTimeout, signal } = this.#destination;
    this.#expired = false;
    const conn = this.#conn ??= await dial(address, { timeout: connectTimeout, signal });
    const started = performance.now();
    try {
      // Reads and writes at the same time: the echo service buffers nothing, so a long text would block.
      const [reply] = await untilAborted(
        Promise.all([this.#read(conn, bytes.length), this.#write(conn, bytes)]),
        signal,
      );
      return { bytes: reply, rtt: performance.now() - started };
    } catch (error) {
      // The rest of this reply must not be taken for that of the next text, which gets another connection.
      this[Symbol.dispose]();
      if (this.#expired) throw noAnswer(this.#timeout);
      throw signal.aborted ? error : toFerryError(error);
    }
  }

  async #read(conn: Deno.TcpConn, size: number): Promise<Uint8Array> {
    const reply = new Uint8Array(size);
    for (let filled = 0; filled < size;) {
      const read = () => conn.read(reply.subarray(filled));
      const count = await this.#deadlines.run("read", read, { paced: false });
      if (count === null) throw new FerryError("closed", "the server ended the connection");
      filled += count;
    }
    return reply;
  }

  async #write(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const write = () => conn.write(bytes.subarray(done));
      done += await this.#deadlines.run("write", write, { paced: false });
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn?.close();
    } catch {
      // The runtime has closed it after an error.
    }
    this.#conn = undefined;
  }
}
