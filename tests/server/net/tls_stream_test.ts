import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { FerryError } from "../../../lib/core/errors.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { Traffic } from "../../../server/observe/traffic.ts";
import { ConnectionLimits } from "../../../server/net/connection_limits.ts";
import { createCertificate } from "../../../server/cli/certificate.ts";
import { listenTls, type TlsListener } from "../../../server/net/tls_listener.ts";
import type { TlsStream } from "../../../server/net/tls_stream.ts";
import { randomBytes } from "../../support/random_file.ts";
import { MIB } from "../../support/bytes.ts";

/** It is made before the first test, and has to be valid in the last one. */
const KEY_PAIR = await createCertificate({ hosts: ["localhost"], lifetime: 24 * 60 * 60 * 1000 });

/** Both ends of a TLS connection: the server's as it is used, the client's one of Deno's own. */
class Fixture implements AsyncDisposable {
  listener!: TlsListener;
  stream!: TlsStream;
  client!: Deno.TlsConn;
  readonly #done = Promise.withResolvers<void>();

  /** Connects to the port that `via` makes of the listener's. */
  static async start(via = (port: number) => port): Promise<Fixture> {
    const fixture = new Fixture();
    const begun = Promise.withResolvers<TlsStream>();
    fixture.listener = await listenTls({ hostname: "127.0.0.1", port: 0 }, {
      keyPair: KEY_PAIR,
      handshakeTimeout: 10_000,
      runtime: RUNTIME,
      traffic: new Traffic([], SYSTEM_CLOCK),
      limits: new ConnectionLimits({
        clock: SYSTEM_CLOCK,
        maxConnections: 0,
        maxConnectionsPerSource: 0,
      }),
      begin(stream) {
        begun.resolve(stream);
        const end = () => fixture.#done.resolve();
        return { run: () => fixture.#done.promise, drain: end, close: end };
      },
    });
    const { port } = fixture.listener.listening;
    fixture.client = await Deno.connectTls({
      hostname: "localhost",
      port: via(port),
      caCerts: [KEY_PAIR.cert],
    });
    await fixture.client.handshake();
    fixture.stream = await begun.promise;
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream.close();
    this.#done.resolve();
    await this.listener.close(0);
    try {
      this.client.close();
    } catch {
      // It has ended already.
    }
  }
}

/** Hands one connection on, what the client says first in many segments. */
class SlowRelay implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns: Deno.TcpConn[] = [];

  /** The port that leads to another one. */
  to(port: number): number {
    void this.#relay(port);
    return this.#listener.addr.port;
  }

  async #relay(port: number): Promise<void> {
    const client = await this.#listener.accept();
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    server.setNoDelay(true);
    this.#conns.push(client, server);
    void server.readable.pipeTo(client.writable).catch(() => {});
    const bytes = new Uint8Array(16 * 1024);
    let slow = 300;
    for (let count; (count = await client.read(bytes).catch(() => null)) !== null;) {
      for (let done = 0; done < count;) {
        const size = slow-- > 0 ? 1 : count - done;
        done += await server.write(bytes.subarray(done, done + size));
        // The other side gets its turn between two of them.
        if (size === 1) await new Promise((resolve) => setTimeout(resolve));
      }
    }
    await server.closeWrite().catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch {
        // It has ended already.
      }
    }
  }
}

async function send(conn: Deno.TlsConn, bytes: Uint8Array, onSent = (_: number) => {}) {
  for (let done = 0; done < bytes.length;) {
    done += await conn.write(bytes.subarray(done));
    onSent(done);
  }
}

async function receive(from: { read(into: Uint8Array): Promise<number | null> }) {
  const pieces: Uint8Array[] = [];
  const buffer = new Uint8Array(100_000);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) break;
    pieces.push(buffer.slice(0, count));
  }
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

Deno.test("TlsStream holds a peer back while nobody reads, and loses nothing", async () => {
  await using f = await Fixture.start();
  const bytes = randomBytes(128 * MIB);
  let sent = 0;
  const sending = send(f.client, bytes, (count) => sent = count).then(() => f.client.closeWrite());
  // Until the buffers of both systems are full and nothing moves any more.
  for (let before = -1; sent === 0 || before !== sent;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert(sent > 0 && sent < 64 * MIB, `${sent} bytes were taken that nobody read`);
  const got = await receive(f.stream);
  await sending;
  assertEquals(got.length, bytes.length);
  assert(Buffer.compare(got, bytes) === 0, "the bytes differ");
});

Deno.test("TlsStream frees what came as soon as it was read, encrypted and decrypted", async () => {
  const { transfer } = ArrayBuffer.prototype;
  let freed = 0;
  ArrayBuffer.prototype.transfer = function (this: ArrayBuffer, length?: number) {
    if (length === 0) freed += this.byteLength;
    return transfer.call(this, length);
  };
  try {
    await using f = await Fixture.start();
    const bytes = randomBytes(4 * MIB);
    const sending = send(f.client, bytes).then(() => f.client.closeWrite());
    // In pieces that end in the middle of chunks.
    const got = await receive(f.stream);
    await sending;
    assertEquals(got.length, bytes.length);
    assert(Buffer.compare(got, bytes) === 0, "the bytes differ");
    assert(freed > 2 * bytes.length, `${freed} bytes were freed`);
  } finally {
    ArrayBuffer.prototype.transfer = transfer;
  }
});

Deno.test("TlsStream.write() waits for a peer that takes nothing, and fails when it is closed", async () => {
  await using f = await Fixture.start();
  const bytes = new Uint8Array(MIB);
  let sent = 0;
  const sending = (async () => {
    for (;;) sent += await f.stream.write(bytes);
  })();
  sending.catch(() => {});
  for (let before = -1; sent === 0 || before !== sent;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert(sent > 0 && sent < 64 * MIB, `${sent} bytes were taken that nobody read`);
  f.stream.close();
  const error = await assertRejects(() => sending, FerryError);
  assertEquals(error.code, "closed");
  assertEquals((await assertRejects(() => f.stream.write(bytes), FerryError)).code, "closed");
  // The peer is told, though it has taken nothing for so long.
  await receive(f.client).catch(() => {});
});

Deno.test("TlsStream shakes hands with a peer whose first bytes come one by one", async () => {
  using relay = new SlowRelay();
  await using f = await Fixture.start((port) => relay.to(port));
  await send(f.client, randomBytes(100_000));
  await f.client.closeWrite();
  assertEquals(await receive(f.stream), randomBytes(100_000));
});

Deno.test("TlsStream goes on sending when the peer has ended its direction", async () => {
  await using f = await Fixture.start();
  await send(f.client, randomBytes(1000));
  await f.client.closeWrite();
  assertEquals(await receive(f.stream), randomBytes(1000));
  assertEquals(await f.stream.read(new Uint8Array(1)), null);
  const receiving = receive(f.client);
  const bytes = randomBytes(4 * MIB);
  for (let done = 0; done < bytes.length;) done += await f.stream.write(bytes.subarray(done));
  await f.stream.closeWrite();
  const got = await receiving;
  assert(Buffer.compare(got, bytes) === 0);
});

Deno.test("TlsStream.read() fails when it is closed meanwhile, and ends when the peer is gone", async () => {
  await using f = await Fixture.start();
  const reading = f.stream.read(new Uint8Array(1));
  f.stream.close();
  assertEquals((await assertRejects(() => reading, FerryError)).code, "closed");

  await using g = await Fixture.start();
  const waiting = g.stream.read(new Uint8Array(1)).catch((error) => error.code);
  g.client.close();
  assert([null, "closed"].includes(await waiting));
});
