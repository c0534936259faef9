import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type DatagramSocket,
  MAX_DATAGRAM_BYTES,
  openDatagramSocket,
} from "../../../lib/udp/datagram.ts";
import { FerryError } from "../../../lib/core/errors.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

/** What a socket receives next, with a copy of its bytes. */
async function next(socket: DatagramSocket) {
  const datagram = await socket.receive();
  assert(datagram, "the socket was closed");
  return { bytes: datagram.bytes.slice(), from: { ...datagram.from } };
}

for (const native of [true, false]) {
  const open = (address = LOOPBACK) => openDatagramSocket(address, { native });
  const test = (name: string, run: () => Promise<void>) =>
    Deno.test(`openDatagramSocket() ${name} (${native ? "Deno's own" : "node:dgram"})`, run);

  test("carries datagrams of every length, and tells who sent them", async () => {
    using a = await open();
    using b = await open();
    assert(a.address.port > 0 && a.address.port !== b.address.port);
    for (const size of [0, 1, 1472, 1473, 65506, MAX_DATAGRAM_BYTES]) {
      const sent = new Uint8Array(size).map((_, i) => i * 7);
      await a.send(sent, b.address);
      const { bytes, from } = await next(b);
      assertEquals(bytes, sent);
      assertEquals([from.hostname, from.port], ["127.0.0.1", a.address.port]);
    }
  });

  test("keeps the order", async () => {
    using a = await open();
    using b = await open();
    for (let i = 0; i < 50; i++) await a.send(Uint8Array.of(i), b.address);
    for (let i = 0; i < 50; i++) assertEquals((await next(b)).bytes, Uint8Array.of(i));
  });

  test("carries datagrams over IPv6", async () => {
    using a = await open({ hostname: "::1", port: 0 });
    using b = await open({ hostname: "::1", port: 0 });
    await a.send(Uint8Array.of(1, 2), b.address);
    const { bytes, from } = await next(b);
    assertEquals(bytes, Uint8Array.of(1, 2));
    assertEquals(from.hostname, "::1");
  });

  test("gives null when it is closed, also to who waits already", async () => {
    using socket = await open();
    const waiting = socket.receive();
    socket.close();
    socket.close();
    assertEquals(await waiting, null);
    assertEquals(await socket.receive(), null);
    const error = await assertRejects(() => socket.send(Uint8Array.of(1), LOOPBACK), FerryError);
    assertEquals(error.code, "closed");
  });

  test("refuses what is too long, or cannot be sent there, and goes on", async () => {
    using a = await open();
    using b = await open();
    const long = new Uint8Array(MAX_DATAGRAM_BYTES + 1);
    const codes = [];
    for (const [bytes, to] of [[long, b.address], [long.subarray(0, 1), LOOPBACK]] as const) {
      codes.push((await assertRejects(() => a.send(bytes, to), FerryError)).code);
    }
    assertEquals(codes, ["too_large", "unreachable"]);
    await a.send(Uint8Array.of(3), b.address);
    assertEquals((await next(b)).bytes, Uint8Array.of(3));
  });

  test("says which address is taken", async () => {
    using a = await open();
    const { port } = a.address;
    const error = await assertRejects(() => open({ hostname: "127.0.0.1", port }), FerryError);
    assertEquals(error.message, `Cannot listen on 127.0.0.1:${port}: the address is in use`);
  });
}
