/**
 * Carries probes to an echo service and the replies back: as numbered datagrams over one UDP socket, as datagrams too
 * short for a number over a socket each, or over a TCP connection.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { lookup } from "node:dns/promises";
import type { Address } from "../../lib/core/address.ts";
import { type DatagramSocket, openDatagramSocket } from "../../lib/udp/datagram.ts";
import { mismatch } from "../../lib/udp/echo_reply.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { untilAborted } from "../../lib/cli/signals.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import { dial } from "../net/dial.ts";

/** The number of decimal digits at the beginning of a numbered probe, and of its reply. */
const DIGITS = 10;

/** The shortest numbered probe, in bytes: the letters after the number show whether the echo service changes them. */
const MIN_NUMBERED = DIGITS + 2;

/** How many sockets stay open for late and duplicate replies. */
const MAX_SETTLED_SOCKETS = 64;

/** The pause after a failed receive, in milliseconds. */
const RETRY_MS = 10;

const PIECE_BYTES = 64 * 1024;

/** The content of probes. */
export class Payload {
  readonly #template: Uint8Array;
  /** Whether each probe carries its number. */
  readonly numbered: boolean;

  /** Probes that all consist of the same bytes. */
  static of(bytes: Uint8Array): Payload {
    return new Payload(bytes, false);
  }

  /** Probes of this many bytes: a number, where there is room for it, and letters. */
  static sized(size: number): Payload {
    const letters = new Uint8Array(size).map((_, i) => 0x61 + i % 26);
    return new Payload(letters, size >= MIN_NUMBERED);
  }

  private constructor(template: Uint8Array, numbered: boolean) {
    this.#template = template;
    this.numbered = numbered;
  }

  /** The length of a probe in bytes. */
  get size(): number {
    return this.#template.length;
  }

  /** The bytes of the probe with that number. */
  bytes(sequence: number): Uint8Array {
    if (!this.numbered) return this.#template;
    const bytes = this.#template.slice();
    for (let i = DIGITS - 1, rest = sequence; i >= 0; i--) {
      bytes[i] = 0x30 + rest % 10;
      rest = Math.floor(rest / 10);
    }
    return bytes;
  }

  /** The number in a reply; NaN where there is none. */
  static sequenceIn(reply: Uint8Array): number {
    if (reply.length < DIGITS) return NaN;
    let sequence = 0;
    for (let i = 0; i < DIGITS; i++) {
      const digit = reply[i]! - 0x30;
      if (digit < 0 || digit > 9) return NaN;
      sequence = sequence * 10 + digit;
    }
    return sequence;
  }
}

/** A received reply. */
export interface Arrival {
  /** The number of the probe that it answers; NaN where it has none. */
  sequence: number;
  /** Its length in bytes. */
  size: number;
  /** The index of the first wrong byte; undefined where all are right. */
  wrongAt: number | undefined;
  /** When it arrived, on the clock of `performance.now()`. */
  at: number;
}

/** The callbacks for what a {@linkcode Carrier} receives. */
export interface Receiver {
  /** Called for each reply. */
  onReply(arrival: Arrival): void;
  /** Called when no more replies can arrive. */
  onEnd(error: FerryError): void;
}

/** Sends probes to an echo service. */
export interface Carrier extends Disposable {
  /**
   * Sends the probe with this number.
   *
   * @throws {FerryError} what the system reports; a later probe may succeed
   */
  send(sequence: number): Promise<void>;
  /** Called when the probe with this number has been answered or given up. */
  settled(sequence: number): void;
}

/** An echo service and how to connect to it. */
export interface Destination {
  /** The transport protocol. */
  protocol: "tcp" | "udp";
  /** The address of the echo service. */
  address: Address;
  /** Milliseconds for connecting, or for looking up the address. */
  connectTimeout: number;
  /** Aborts connecting. */
  signal: AbortSignal;
}

/**
 * Opens a carrier: connects, or looks up the address.
 *
 * @throws {FerryError} `unreachable`, `timeout`
 */
export async function openCarrier(
  destination: Destination,
  payload: Payload,
  receiver: Receiver,
): Promise<Carrier> {
  const { protocol, address, connectTimeout, signal } = destination;
  if (protocol === "tcp") {
    return new StreamProbes(
      await dial(address, { timeout: connectTimeout, signal }),
      payload,
      receiver,
    );
  }
  const peer = await UdpPeer.resolve(destination);
  if (!payload.numbered) return new SeparateDatagrams(peer, payload, receiver);
  return new NumberedDatagrams(await peer.open(), peer, payload, receiver);
}

/** An echo service over UDP. Datagrams from other addresses are ignored. */
export class UdpPeer {
  readonly #to: Address;
  /** The IP address as the system writes it for received datagrams. */
  readonly #from: string;

  private constructor(to: Address, from: string) {
    this.#to = to;
    this.#from = from;
  }

  /**
   * Looks up the address of a host. Sending to a name would look it up for every datagram.
   *
   * @throws {FerryError} `unreachable`, `timeout`
   */
  static async resolve(
    { address: { hostname, port }, connectTimeout, signal }: Destination,
  ): Promise<UdpPeer> {
    const found = await lookupHost(hostname, connectTimeout, signal);
    // Datagrams to the unspecified address stay on this machine, and the replies come from loopback.
    const ipv4 = /^(?:::ffff:)?(\d+(?:\.\d+){3})$/i.exec(found)?.[1];
    if (ipv4 !== undefined) {
      const host = ipv4 === "0.0.0.0" ? "127.0.0.1" : ipv4;
      return new UdpPeer({ hostname: host, port }, host);
    }
    const host = found === "::" ? "::1" : found;
    const shown = new URL(`http://[${host.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
    return new UdpPeer({ hostname: host, port }, shown);
  }

  /** Opens a socket to send from. */
  open(): Promise<DatagramSocket> {
    return openDatagramSocket({ hostname: this.#from.includes(":") ? "::" : "0.0.0.0", port: 0 });
  }

  /** Sends a datagram to the echo. */
  send(socket: DatagramSocket, bytes: Uint8Array): Promise<void> {
    return socket.send(bytes, this.#to);
  }

  /**
   * Waits for a datagram from the echo service. Null: the socket was closed. The bytes are valid until the next call.
   */
  async receive(socket: DatagramSocket): Promise<Uint8Array | null> {
    for (;;) {
      try {
        const datagram = await socket.receive();
        if (!datagram) return null;
        const { bytes, from } = datagram;
        if (from.port === this.#to.port && from.hostname === this.#from) return bytes;
      } catch {
        // The system reports that an earlier datagram was not delivered. The missing reply shows that too.
        await delay(RETRY_MS);
      }
    }
  }
}

async function lookupHost(hostname: string, timeout: number, signal: AbortSignal): Promise<string> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new FerryError("timeout", `no address was found in ${timeout / 1000} s`));
  }, timeout);
  const found = lookup(hostname).catch((cause) => {
    throw new FerryError("unreachable", "no address is known for that host", { cause });
  });
  try {
    return (await untilAborted(found, AbortSignal.any([signal, late.signal]))).address;
  } finally {
    clearTimeout(timer);
  }
}

class NumberedDatagrams implements Carrier {
  readonly #socket: DatagramSocket;
  readonly #peer: UdpPeer;
  readonly #payload: Payload;

  constructor(socket: DatagramSocket, peer: UdpPeer, payload: Payload, receiver: Receiver) {
    this.#socket = socket;
    this.#peer = peer;
    this.#payload = payload;
    void this.#receive(receiver);
  }

  async #receive(receiver: Receiver): Promise<void> {
    let bytes: Uint8Array | null;
    while ((bytes = await this.#peer.receive(this.#socket))) {
      const at = performance.now();
      const sequence = Payload.sequenceIn(bytes);
      const wrongAt = mismatch(this.#payload.bytes(sequence || 0), bytes);
      receiver.onReply({ sequence, size: bytes.length, wrongAt, at });
    }
  }

  send(sequence: number): Promise<void> {
    return this.#peer.send(this.#socket, this.#payload.bytes(sequence));
  }

  settled(): void {}

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Datagrams without a number. Each is sent from a socket of its own, so that a reply can be assigned to its probe. */
class SeparateDatagrams implements Carrier {
  readonly #peer: UdpPeer;
  readonly #payload: Payload;
  readonly #receiver: Receiver;
  /** The socket of the next probe, opened in advance so that the round trip does not include it. */
  #spare: Promise<DatagramSocket> | undefined;
  readonly #waiting = new Map<number, DatagramSocket>();
  /** Sockets of probes that were answered or given up, oldest first: late and duplicate replies may still arrive. */
  readonly #settled: DatagramSocket[] = [];
  readonly #arrived: Arrival[] = [];
  #handing: ReturnType<typeof setTimeout> | undefined;
  #disposed = false;

  constructor(peer: UdpPeer, payload: Payload, receiver: Receiver) {
    this.#peer = peer;
    this.#payload = payload;
    this.#receiver = receiver;
    this.#openSpare();
  }

  #openSpare(): void {
    this.#spare = this.#peer.open();
    // send() reports the failure.
    this.#spare.catch(() => {});
  }

  async send(sequence: number): Promise<void> {
    const spare = this.#spare ?? this.#peer.open();
    this.#spare = undefined;
    const socket = await spare;
    if (this.#disposed) return socket.close();
    this.#waiting.set(sequence, socket);
    void this.#receive(sequence, socket);
    await this.#peer.send(socket, this.#payload.bytes(sequence));
    if (!this.#disposed) this.#openSpare();
  }

  async #receive(sequence: number, socket: DatagramSocket): Promise<void> {
    let bytes: Uint8Array | null;
    while ((bytes = await this.#peer.receive(socket))) {
      const at = performance.now();
      const wrongAt = mismatch(this.#payload.bytes(sequence), bytes);
      this.#arrived.push({ sequence, size: bytes.length, wrongAt, at });
      // With only one probe under way, there is no other reply to order this one with.
      if (this.#waiting.size < 2 && this.#arrived.length === 1) this.#hand();
      else this.#handing ??= setTimeout(() => this.#hand(), 0);
    }
  }

  /**
   * Passes on the replies that have arrived. The order of replies that were waiting at several sockets at the same time
   * is not known: they count as in order.
   */
  #hand(): void {
    this.#handing = undefined;
    const arrived = this.#arrived.splice(0).sort((a, b) => a.sequence - b.sequence);
    for (const arrival of arrived) this.#receiver.onReply(arrival);
  }

  settled(sequence: number): void {
    const socket = this.#waiting.get(sequence);
    if (!socket) return;
    this.#waiting.delete(sequence);
    this.#settled.push(socket);
    if (this.#settled.length > MAX_SETTLED_SOCKETS) this.#settled.shift()!.close();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    clearTimeout(this.#handing);
    this.#spare?.then((socket) => socket.close(), () => {});
    for (const socket of this.#waiting.values()) socket.close();
    for (const socket of this.#settled) socket.close();
  }
}

/** Probes over a TCP connection. The replies arrive in the order of the probes. */
class StreamProbes implements Carrier {
  readonly #stream: ByteStream;
  readonly #payload: Payload;
  /** The numbers of the probes that are sent or being sent, and not answered yet. */
  readonly #unanswered: number[] = [];
  /** The bytes received so far of the reply to the first of them. */
  readonly #reply: Uint8Array;
  #filled = 0;
  #writing = Promise.resolve();
  #disposed = false;

  constructor(stream: ByteStream, payload: Payload, receiver: Receiver) {
    this.#stream = stream;
    this.#payload = payload;
    this.#reply = new Uint8Array(payload.size);
    void this.#receive(receiver);
  }

  async #receive(receiver: Receiver): Promise<void> {
    try {
      const piece = new Uint8Array(PIECE_BYTES);
      let count: number | null;
      while ((count = await this.#stream.read(piece)) !== null) {
        this.#take(piece.subarray(0, count), receiver);
      }
      receiver.onEnd(new FerryError("closed", "the server ended the connection"));
    } catch (error) {
      if (!this.#disposed) receiver.onEnd(toFerryError(error));
    }
  }

  #take(bytes: Uint8Array, receiver: Receiver): void {
    const at = performance.now();
    const size = this.#payload.size;
    for (let rest = bytes; rest.length > 0;) {
      const [sequence] = this.#unanswered;
      if (sequence === undefined) {
        receiver.onReply({ sequence: NaN, size: rest.length, wrongAt: 0, at });
        return;
      }
      const head = rest.subarray(0, size - this.#filled);
      this.#reply.set(head, this.#filled);
      this.#filled += head.length;
      rest = rest.subarray(head.length);
      if (this.#filled < size) return;
      this.#filled = 0;
      this.#unanswered.shift();
      const wrongAt = mismatch(this.#payload.bytes(sequence), this.#reply);
      receiver.onReply({ sequence, size, wrongAt, at });
    }
  }

  send(sequence: number): Promise<void> {
    this.#unanswered.push(sequence);
    return this.#writing = this.#writing.then(async () => {
      const bytes = this.#payload.bytes(sequence);
      for (let done = 0; done < bytes.length;) {
        done += await this.#stream.write(bytes.subarray(done));
      }
    });
  }

  settled(): void {}

  [Symbol.dispose](): void {
    this.#disposed = true;
    try {
      this.#stream.close();
    } catch {
      // The runtime has closed it after an error.
    }
  }
}
