/**
 * Serves the echo over TCP and UDP: what arrives is sent back with its ASCII letters in upper case, or unchanged as in
 * RFC 862. docs/protocol/ has the specification.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Address, type Listening } from "../../../lib/core/address.ts";
import { type DatagramSocket, openDatagramSocket } from "../../../lib/udp/datagram.ts";
import { upperCase } from "../../../lib/udp/echo_reply.ts";
import { type Clock, sleep } from "../../../lib/core/clock.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { BufferBudget } from "../../../lib/core/buffer_budget.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { Deadlines } from "../../../lib/wire/deadlines.ts";
import type { ByteStream } from "../../../lib/wire/byte_stream.ts";
import {
  type ConnectionHandler,
  type ListenAddress,
  type Listener,
  listenTcp,
} from "../../net/listener.ts";
import type { ConnectionLimits } from "../../net/connection_limits.ts";
import { guarded, logFailure } from "../../observe/failures.ts";
import type { ClientConnection, Traffic } from "../../observe/traffic.ts";
import { ReflectionLimit, type Refusal } from "./reflection_limit.ts";

const logger = getLogger(["ferry", "server"]);

/** How many bytes of a connection are read at once. They are sent back before more is read. */
const CHUNK_BYTES = 16 * 1024;

/** The shortest interval between two reports of unanswered datagrams in the log, in milliseconds. */
const REPORT_MS = 10_000;

/** The pause after a receive that failed, in milliseconds. */
const RETRY_MS = 10;

/** Options of {@linkcode listenTcpEcho}. */
export interface TcpEchoOptions {
  /** Provides buffers and the clock. */
  runtime: Runtime;
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Takes note of connections. */
  traffic: Traffic;
  /** Whether bytes are sent back unchanged. */
  verbatim: boolean;
  /** A peer that transfers no byte for this long is disconnected, in milliseconds. */
  idleTimeout: number;
  /** The minimum rate at which a peer has to read what is sent to it, in bytes per second. */
  minRate: number;
}

/** Options of {@linkcode listenUdpEcho}. */
export interface UdpEchoOptions {
  /** The clock. */
  clock: Clock;
  /** Whether datagrams are sent back unchanged, and also to ports below 1024. */
  verbatim: boolean;
  /** The maximum number of packets per second to one source that is not on this machine; 0 for no limit. */
  rate: number;
}

/**
 * Listens for TCP connections, and echoes what they send.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export function listenTcpEcho(address: ListenAddress, options: TcpEchoOptions): Listener {
  const { limits, traffic, runtime: { clock } } = options;
  return listenTcp("tcp-echo", address, {
    limits,
    traffic,
    clock,
    begin(conn) {
      conn.setNoDelay(true);
      return new TcpEcho(conn, conn.remoteAddr, options);
    },
  });
}

/** Echoes one connection. */
class TcpEcho implements ConnectionHandler {
  readonly #stream: ByteStream;
  readonly #client: ClientConnection;
  readonly #verbatim: boolean;
  readonly #buffers: BufferBudget;
  readonly #deadlines: Deadlines;
  #reading = false;
  #draining = false;
  #reason: FerryError | undefined;

  constructor(stream: ByteStream, peer: Address, options: TcpEchoOptions) {
    this.#stream = stream;
    this.#client = options.traffic.open({
      listener: "tcp-echo",
      peer,
      close: (reason) => this.close(reason),
    });
    this.#verbatim = options.verbatim;
    this.#buffers = options.runtime.buffers;
    this.#deadlines = new Deadlines(
      { ...options, clock: options.runtime.clock },
      (reason) => this.close(reason),
    );
  }

  async run(): Promise<void> {
    const { name: peer } = this.#client;
    logger.debug("{peer} connected to the echo", { peer });
    let failure: FerryError | undefined;
    let bytes = 0;
    try {
      using lent = this.#buffers.lend(CHUNK_BYTES);
      const chunk = lent.bytes;
      while (!this.#draining) {
        this.#reading = true;
        const read = () => this.#stream.read(chunk);
        const count = await this.#deadlines.run("read", read, { paced: false });
        this.#reading = false;
        // The peer has ended its side, and everything read was sent back.
        if (count === null) break;
        const answer = chunk.subarray(0, count);
        if (!this.#verbatim) upperCase(answer);
        for (let done = 0; done < count;) {
          const write = () => this.#stream.write(answer.subarray(done));
          done += await this.#deadlines.run("write", write, { paced: true });
        }
        bytes += count;
      }
    } catch (error) {
      failure = this.#reason ?? toFerryError(error);
      const text = "{peer} left the echo: {reason} ({code})";
      logFailure(text, failure, { properties: { peer } });
    } finally {
      this.#close();
      this.#client.end(failure);
      logger.debug("{peer} disconnected from the echo after {bytes} bytes", { peer, bytes });
    }
  }

  drain(): void {
    this.#draining = true;
    if (this.#reading) this.close(new FerryError("closed", "the server is shutting down"));
  }

  close(reason: FerryError): void {
    this.#reason ??= reason;
    this.#close();
  }

  #close(): void {
    try {
      this.#stream.close();
    } catch {
      // It is already closed.
    }
  }
}

/**
 * Listens for datagrams, and echoes each of them.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export async function listenUdpEcho(address: Address, options: UdpEchoOptions): Promise<Listener> {
  return UdpEcho.start(await openDatagramSocket(address), options);
}

class UdpEcho implements Listener {
  readonly listening: Listening;
  readonly #socket: DatagramSocket;
  readonly #verbatim: boolean;
  readonly #limit: ReflectionLimit;
  readonly #clock: Clock;
  #ended: Promise<void> | undefined;
  #closed = false;
  /** How many datagrams were not answered since the last report, by reason. */
  readonly #unanswered = new Map<Refusal | "cannot be sent", number>();
  #reported = -Infinity;

  private constructor(socket: DatagramSocket, { verbatim, rate, clock }: UdpEchoOptions) {
    const { port } = socket.address;
    this.listening = { kind: "udp-echo", ...socket.address };
    this.#socket = socket;
    this.#verbatim = verbatim;
    this.#clock = clock;
    const now = () => clock.monotonic();
    this.#limit = new ReflectionLimit({ port, anyPort: verbatim, rate, now });
  }

  /** Starts answering the datagrams of a socket. */
  static start(socket: DatagramSocket, options: UdpEchoOptions): UdpEcho {
    const echo = new UdpEcho(socket, options);
    echo.#ended = echo.#run();
    return echo;
  }

  async close(): Promise<void> {
    this.#closed = true;
    guarded("close the UDP echo", () => this.#socket.close());
    await this.#ended;
    if (this.#unanswered.size > 0) this.#report();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        const datagram = await this.#socket.receive();
        if (!datagram) return;
        const { bytes, from } = datagram;
        const changed = !this.#verbatim && upperCase(bytes);
        const refusal = this.#limit.refusal(from, bytes, !changed);
        if (refusal) this.#count(refusal);
        else await this.#socket.send(bytes, from).catch(() => this.#count("cannot be sent"));
      } catch (error) {
        // Some systems report here that an earlier reply could not be delivered.
        const text = "The UDP echo cannot receive: {reason} ({code})";
        logFailure(text, error, { level: "debug" });
        await sleep(this.#clock, RETRY_MS);
      }
    }
  }

  #count(reason: Refusal | "cannot be sent"): void {
    this.#unanswered.set(reason, (this.#unanswered.get(reason) ?? 0) + 1);
    const now = this.#clock.monotonic();
    if (now - this.#reported < REPORT_MS) return;
    this.#reported = now;
    this.#report();
  }

  #report(): void {
    for (const [reason, count] of this.#unanswered) {
      logger.info("Datagrams that the UDP echo did not answer: {count} ({reason})", {
        count,
        reason,
      });
    }
    this.#unanswered.clear();
  }
}
