import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import { connect as connectTls } from "node:tls";
import { FerryError, type Storage } from "../../../../mod.ts";
import { FaultyPeer } from "../../../support/faulty_peer.ts";
import { HttpServer } from "../../../support/http_server.ts";
import { conversation, responsesIn } from "../../../support/raw_http.ts";
import { RawPeer } from "../../../support/raw_peer.ts";
import { RecordedLog } from "../../../support/recorded_log.ts";
import { untilStalled } from "../../../support/stalls.ts";
import { MINE, OTHER } from "../../../support/tls_servers.ts";

const HOST = "Host: 127.0.0.1\r\n";
const GET = `GET /a HTTP/1.1\r\n${HOST}\r\n`;

/** The protocol and the certificate of a TLS connection. */
async function handshake(
  port: number,
  maxVersion: "TLSv1.1" | "TLSv1.2" | "TLSv1.3",
): Promise<{ protocol: string | null; subject: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ca = [MINE.cert, OTHER.cert];
  const minVersion = "TLSv1.1";
  const socket = connectTls({ host: "127.0.0.1", port, ca, maxVersion, minVersion }, resolve);
  socket.on("error", reject);
  try {
    await promise;
    const { raw } = socket.getPeerCertificate();
    return { protocol: socket.getProtocol(), subject: encodeBase64(raw) };
  } finally {
    socket.destroy();
  }
}

/** The bytes of a certificate in base64. */
const bytesOf = ({ cert }: { cert: string }) => cert.replace(/-----[^-]*-----|\s/g, "");

Deno.test("with a certificate it speaks HTTPS, from TLS 1.2 on", async () => {
  await using server = await HttpServer.start({ tls: MINE });
  server.write("a", "hello");
  assertEquals(server.server.addresses.map(({ kind }) => kind), ["tls", "https"]);
  const [response] = await conversation(server.port, GET, { caCerts: [MINE.cert] });
  assertEquals(response!.text, "hello");
  assertEquals((await handshake(server.port, "TLSv1.3")).protocol, "TLSv1.3");
  assertEquals((await handshake(server.port, "TLSv1.2")).protocol, "TLSv1.2");
});

Deno.test("a certificate that is replaced is that of new connections, and a wrong one changes nothing", async () => {
  await using server = await HttpServer.start({ tls: MINE });
  server.write("a", "hello");
  using open = await RawPeer.connect(server.port, [MINE.cert]);
  server.server.reload({ tls: OTHER });
  assertEquals((await handshake(server.port, "TLSv1.3")).subject, bytesOf(OTHER));
  const mixed = { cert: OTHER.cert, key: MINE.key };
  const { code } = assertThrows(() => server.server.reload({ tls: mixed }), FerryError);
  assertEquals(code, "usage");
  assertEquals((await handshake(server.port, "TLSv1.3")).subject, bytesOf(OTHER));
  await open.send(GET);
  await open.end();
  assertEquals(responsesIn(await open.readAll()).map(({ text }) => text), ["hello"]);
});

Deno.test("a client that does not shake hands is disconnected in time, and others are served", async (t) => {
  await using server = await HttpServer.start({ tls: MINE, handshakeTimeout: 150 });
  server.write("a", "hello");
  for (const sent of ["", "\x16\x03\x01", GET]) {
    await t.step(JSON.stringify(sent.slice(0, 20)), async () => {
      using peer = await RawPeer.connect(server.port);
      await peer.send(sent);
      await peer.readAll().catch(() => {});
    });
  }
  const [response] = await conversation(server.port, GET, { caCerts: [MINE.cert] });
  assertEquals(response!.text, "hello");
});

Deno.test("what is no handshake, in whatever pieces it arrives, harms nobody", async () => {
  await using log = await RecordedLog.start();
  await using server = await HttpServer.start({ tls: MINE });
  server.write("a", "hello");
  const ask = async () => {
    const [response] = await conversation(server.port, GET, { caCerts: [MINE.cert] });
    assertEquals(response!.text, "hello");
  };
  for (const junk of [GET, "\0", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05\x01\0\0\0\0"]) {
    for (let first = 0; first < Math.min(junk.length, 6); first++) {
      using peer = await RawPeer.connect(server.port);
      await peer.send(junk.slice(0, first));
      // The server receives the pieces one by one.
      await ask();
      // It may have closed the connection before the second piece.
      await peer.send(junk.slice(first)).catch(() => {});
      await peer.end().catch(() => {});
      const answer = await peer.readAll().catch(() => []);
      assert(answer.length < 100, "a TLS alert at most");
    }
  }
  assert(/^info: 127\.0\.0\.1:\d+: no TLS: /.test(await log.until("no TLS")));
  await ask();
});

Deno.test("what is damaged on its way ends its own connection only", async () => {
  await using server = await HttpServer.start({ tls: MINE });
  server.write("a", "hello");
  const caCerts = [MINE.cert];
  for (const at of [0, 5, 50, 300, 350, 400, 450]) {
    const faults = [{ kind: "flip" as const, direction: "up" as const, at }];
    await using relay = FaultyPeer.start(server.port, { faults, split: 40 });
    const port = Number(relay.address.split(":")[1]);
    await conversation(port, GET, { caCerts }).catch(() => {});
    const [response] = await conversation(server.port, GET, { caCerts });
    assertEquals(response!.text, "hello");
  }
});

/** A storage in which a method waits before it does anything. */
function stuck(storage: Storage, method: "create" | "find", until: Promise<void>): Storage {
  return new Proxy(storage, {
    get(target, key) {
      if (key === "within") return () => stuck(storage, method, until);
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key !== method) return value.bind(target);
      return async (...args: unknown[]) => {
        await until;
        return await value.apply(target, args);
      };
    },
  });
}

for (const [what, tls] of [["", undefined], [" over TLS", MINE]] as const) {
  Deno.test(`a client whose body nobody reads is held back${what}, and loses nothing`, async () => {
    const go = Promise.withResolvers<void>();
    const wrap = (storage: Storage) => stuck(storage, "create", go.promise);
    await using server = await HttpServer.start({ tls, wrap });
    using peer = await RawPeer.connect(server.port, tls && [tls.cert]);
    const size = 64 * 1024 * 1024;
    await peer.send(`PUT /a HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
    const piece = new Uint8Array(64 * 1024).map((_, i) => i);
    const count = size / piece.length;
    const { taken, finished } = await untilStalled(() => peer.send(piece), count);
    assert(taken < count / 4, `${taken} of ${count} pieces were taken`);
    go.resolve();
    await finished;
    await peer.end();
    const [response] = responsesIn(await peer.readAll());
    assertEquals(response!.status, 201);
    const stored = Deno.readFileSync(server.path("a"));
    assertEquals(stored.length, size);
    assert(stored.every((byte, i) => byte === piece[i % piece.length]));
  });
}

for (const method of ["find", "create"] as const) {
  Deno.test(`bodies in tiny chunks that wait to be read take little memory: storage.${method}()`, async () => {
    const go = Promise.withResolvers<void>();
    const wrap = (storage: Storage) => stuck(storage, method, go.promise);
    await using server = await HttpServer.start({ wrap, idleTimeout: 100_000 });
    const before = Deno.memoryUsage().rss;
    const tiny = "1\r\nx\r\n".repeat(10_000);
    const uploads = await Promise.all(Array.from({ length: 20 }, async () => {
      const peer = await RawPeer.connect(server.port);
      await peer.send(`PUT /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
      return { peer, ...await untilStalled(() => peer.send(tiny), 1000) };
    }));
    const grown = (Deno.memoryUsage().rss - before) / 1024 / 1024;
    assert(grown < 20 * 15, `${grown} MiB more are used`);
    for (const { peer, finished } of uploads) {
      peer[Symbol.dispose]();
      await finished.catch(() => {});
    }
    go.resolve();
  });
}

Deno.test("connections beyond the maximum are told so, and those before them are served", async () => {
  await using server = await HttpServer.start({ maxConnections: 1 });
  server.write("a", "hello");
  using first = await RawPeer.connect(server.port);
  await first.send(GET);
  await first.read(1);
  const [refused] = await conversation(server.port, GET.repeat(2), { end: false });
  assertEquals([refused!.status, JSON.parse(refused!.text).code], [503, "busy"]);
  assertEquals(refused!.headers.connection, "close");
  assertEquals(refused!.headers["retry-after"], "1");
  await first.send(GET);
  await first.end();
  const rest = new TextDecoder().decode(await first.readAll());
  assertEquals(rest.match(/hello/g)?.length, 2);
});

Deno.test("close() waits for running requests, refuses new ones, and ends idle connections", async () => {
  await using server = await HttpServer.start();
  const { port } = server;
  using idle = await RawPeer.connect(port);
  using busy = await RawPeer.connect(port);
  await busy.send(`PUT /a HTTP/1.1\r\n${HOST}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`);
  // It says so when it reads.
  await busy.read("HTTP/1.1 100 Continue\r\n\r\n".length);
  await busy.send("01234");
  const closed = server.server.close({ drainTimeout: 60_000 });
  assertEquals((await idle.readAll()).length, 0);
  await busy.send("56789");
  const [response] = responsesIn(await busy.readAll());
  assertEquals([response!.status, response!.headers.connection], [201, "close"]);
  await closed;
  assertEquals(server.read("a"), "0123456789");
});

Deno.test("close() ends requests that take longer than they may", async () => {
  await using server = await HttpServer.start();
  using busy = await RawPeer.connect(server.port);
  await busy.send(`PUT /a HTTP/1.1\r\n${HOST}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`);
  await busy.read(1);
  await server.server.close({ drainTimeout: 50 });
  await busy.readAll().catch(() => {});
});

Deno.test("the log has each request, and no whole share link", async () => {
  await using log = await RecordedLog.start();
  await using server = await HttpServer.start();
  server.write("a", "hello");
  await server.request("GET", "/a");
  await server.request("GET", "/b?c");
  await server.request("GET", "/.ferry/s/0123456789abcdef/d");
  await server.request("GET", `/${"x".repeat(10_000)}`);
  const line = await log.until('get "a"');
  assert(/^info: 127\.0\.0\.1:\d+: get "a": 5 bytes sent, [\d.]+ s/.test(line), line);
  const failed = await log.until('get "b"');
  assertStringIncludes(failed, 'get "b": no such file or directory (not_found)');
  assertStringIncludes(await log.until("/.ferry/s/"), 'GET "/.ferry/s/012345…/d"');
  const long = await log.until("xxx");
  assert(long.length < 400, long);
  assert(log.lines.every((line) => !line.includes("89abcdef")));
});
