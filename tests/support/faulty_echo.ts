/**
 * An echo service over UDP on a real socket that treats each datagram as specified: it simulates a bad network,
 * reproducibly.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import { openDatagramSocket } from "../../lib/udp/datagram.ts";

/**
 * What happens to a datagram: it is answered, not answered, answered twice, answered after the next one, answered with
 * a wrong byte, without its last byte or with other content, or first answered from another address.
 */
export type Fault =
  | "none"
  | "lose"
  | "twice"
  | "hold"
  | "damage"
  | "shorten"
  | "babble"
  | "stranger";

/** The echo service. */
export class FaultyEcho implements AsyncDisposable {
  readonly #running: Promise<void>;
  readonly #close: () => void;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** The received datagrams, in order. */
  readonly received: Uint8Array[] = [];

  private constructor(
    address: Address,
    close: () => void,
    run: (echo: FaultyEcho) => Promise<void>,
  ) {
    this.address = formatAddress(address);
    this.#close = close;
    this.#running = run(this);
  }

  /** Starts an echo service. The faults apply to the first datagrams; later ones are answered. */
  static async start(...faults: Fault[]): Promise<FaultyEcho> {
    const socket = await openDatagramSocket({ hostname: "127.0.0.1", port: 0 });
    const stranger = await openDatagramSocket({ hostname: "127.0.0.1", port: 0 });
    const close = () => {
      socket.close();
      stranger.close();
    };
    return new FaultyEcho(socket.address, close, async ({ received }) => {
      let held: (() => Promise<void>) | undefined;
      for (let datagram; (datagram = await socket.receive());) {
        const reply = datagram.bytes.map((byte) => byte >= 97 && byte <= 122 ? byte - 32 : byte);
        const to = { ...datagram.from };
        const answer = () => socket.send(reply, to);
        const fault = faults[received.length] ?? "none";
        received.push(datagram.bytes.slice());
        if (fault === "hold") {
          held = answer;
          continue;
        }
        if (fault === "stranger") await stranger.send(new TextEncoder().encode("NOT ME"), to);
        if (fault === "babble") reply.fill(0x3f);
        if (fault === "damage") reply[reply.length - 1]! ^= 0x80;
        if (fault === "shorten") await socket.send(reply.subarray(0, -1), to);
        else if (fault !== "lose") await answer();
        if (fault === "twice") await answer();
        await held?.();
        held = undefined;
      }
    });
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#running;
  }
}
