/**
 * A proxy that records what crosses it, and files of packets made of that.
 *
 * @module
 */

import { concat } from "./vectors.ts";

/** Bytes that crossed a connection in one piece. */
export interface Segment {
  /** Whether the client has sent them. */
  fromClient: boolean;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A segment has to fit into one packet, whose length has 16 bits. */
const READ_BYTES = 32 * 1024;

/** A proxy in front of a server on this machine. */
export class Recorder implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running: Promise<void>;
  /** What crossed, by connection. */
  readonly connections: Segment[][] = [];

  private constructor(port: number) {
    this.#running = this.#run(port);
  }

  /** Starts one in front of a port. */
  static start(port: number): Recorder {
    return new Recorder(port);
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #run(port: number): Promise<void> {
    const open: Promise<void>[] = [];
    for await (const client of this.#listener) {
      const segments: Segment[] = [];
      this.connections.push(segments);
      open.push(this.#forward(client, await Deno.connect({ port }), segments));
    }
    await Promise.all(open);
  }

  async #forward(client: Deno.TcpConn, server: Deno.TcpConn, segments: Segment[]): Promise<void> {
    using _client = client;
    using _server = server;
    const pass = async (from: Deno.TcpConn, to: Deno.TcpConn, fromClient: boolean) => {
      const buffer = new Uint8Array(READ_BYTES);
      for (let count; (count = await from.read(buffer)) !== null;) {
        const bytes = buffer.slice(0, count);
        segments.push({ fromClient, bytes });
        for (let done = 0; done < count;) done += await to.write(bytes.subarray(done));
      }
      await to.closeWrite();
    };
    await Promise.all([pass(client, server, true), pass(server, client, false)]);
  }

  /** Waits for the end of all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }
}

/** The same bytes in segments of another size; those that follow each other in one direction are put together. */
export function resegmented(segments: readonly Segment[], size: number): Segment[] {
  const runs: Segment[] = [];
  for (const { fromClient, bytes } of segments) {
    const last = runs.at(-1);
    if (last?.fromClient === fromClient) last.bytes = concat([last.bytes, bytes]);
    else runs.push({ fromClient, bytes });
  }
  return runs.flatMap(({ fromClient, bytes }) =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, turn) => {
      return { fromClient, bytes: bytes.subarray(turn * size, (turn + 1) * size) };
    })
  );
}

/** A connection in a file of packets. */
export interface Capture {
  /** The port of the server. */
  port: number;
  segments: readonly Segment[];
}

/** Raw IPv4 packets: LINKTYPE_RAW. */
const LINK_TYPE = 101;

/** The size of the headers of IPv4 and TCP without options, in bytes. */
const [IP_BYTES, TCP_BYTES] = [20, 20];

/** A file of packets, in the format of libpcap, with these connections one after the other. */
export function packetFile(captures: readonly Capture[]): Uint8Array<ArrayBuffer> {
  const head = new DataView(new ArrayBuffer(24));
  head.setUint32(0, 0xa1b2c3d4);
  head.setUint16(4, 2);
  head.setUint16(6, 4);
  head.setUint32(16, 0x40000);
  head.setUint32(20, LINK_TYPE);
  const parts = [new Uint8Array(head.buffer)];
  let second = 0;
  for (const [index, { port, segments }] of captures.entries()) {
    const next = { client: 1000, server: 2000 };
    for (const { fromClient, bytes } of segments) {
      const [own, other] = fromClient
        ? ["client", "server"] as const
        : ["server", "client"] as const;
      const ports = { client: 40000 + index, server: port };
      const packet = new DataView(new ArrayBuffer(16 + IP_BYTES + TCP_BYTES));
      const length = IP_BYTES + TCP_BYTES + bytes.length;
      packet.setUint32(0, second++);
      packet.setUint32(8, length);
      packet.setUint32(12, length);
      // RFC 791: version and header length, total length, time to live, protocol 6, addresses.
      packet.setUint8(16, 0x45);
      packet.setUint16(18, length);
      packet.setUint8(24, 64);
      packet.setUint8(25, 6);
      packet.setUint32(28, fromClient ? 0x0a000001 : 0x0a000002);
      packet.setUint32(32, fromClient ? 0x0a000002 : 0x0a000001);
      // RFC 9293: ports, the two numbers, the size of the header, PSH and ACK, the window.
      packet.setUint16(36, ports[own]);
      packet.setUint16(38, ports[other]);
      packet.setUint32(40, next[own]);
      packet.setUint32(44, next[other]);
      packet.setUint8(48, TCP_BYTES / 4 << 4);
      packet.setUint8(49, 0x18);
      packet.setUint16(50, 0xffff);
      next[own] += bytes.length;
      parts.push(new Uint8Array(packet.buffer), bytes);
    }
  }
  return concat(parts);
}
