/**
 * Asking an echo for the reply to one text after the other.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { untilAborted } from "../../lib/cli/signals.ts";
import { Deadlines } from "../../lib/wire/deadlines.ts";
import { dial } from "../net/dial.ts";
import { type Destination, UdpPeer } from "./carrier.ts";

/** What came back. */
export interface Answer {
  /** The bytes. */
  bytes: Uint8Array;
  /** Milliseconds from when the question was sent. */
  rtt: number;
}

/** An echo that is asked for one reply after the other. */
export interface Exchange extends Disposable {
  /**
   * Sends bytes and gives what comes back.
   *
   * @throws {FerryError} `timeout`, `unreachable`, `closed`
   * @throws the signal's reason
   */
  ask(bytes: Uint8Array): Promise<Answer>;
}

/** Makes ready to ask an echo; a reply that does not come for `timeout` milliseconds is given up. */
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
    // A socket of its own: what comes too late for an earlier one cannot be taken for its reply.
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
      // A long text has to be read before all of it is written: the echo keeps nothing.
      const [reply] = await untilAborted(
        Promise.all([this.#read(conn, bytes.length), this.#write(conn, bytes)]),
        signal,
      );
      return { bytes: reply, rtt: performance.now() - started };
    } catch (error) {
      // What is still to come belongs to this text: the next one gets another connection.
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
      // Closed by the runtime already, after an error.
    }
    this.#conn = undefined;
  }
}
