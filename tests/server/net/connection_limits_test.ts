import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect, FerryError, FsStorage, newToken, parseGrants, serve } from "../../../mod.ts";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { ConnectionLimits } from "../../../server/net/connection_limits.ts";
import { createCertificate } from "../../../server/cli/certificate.ts";
import { tokenTable } from "../../../server/auth/token_table.ts";
import { ferry, Ferryd, TempDir } from "../../support/programs.ts";
import { frame, RawPeer } from "../../support/raw_peer.ts";

const FULL = "Cannot connect: too many connections are open";
/** The same as a client shows it. */
const SHOWN = "too many connections are open (on the server)";

Deno.test("ConnectionLimits.admit() admits so many, and the next one when one has left", () => {
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 2,
    maxConnectionsPerSource: 0,
  });
  const [first, second, third] = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
    .map((hostname) => limits.admit(hostname));
  assertEquals([first!.rejection, second!.rejection], [undefined, undefined]);
  assertEquals(third!.rejection?.code, "busy");
  assertEquals(third!.rejection?.message, FULL);
  third![Symbol.dispose]();
  assertEquals(limits.open, 2);
  first![Symbol.dispose]();
  first![Symbol.dispose]();
  assertEquals(limits.open, 1);
  assertEquals(limits.admit("192.0.2.2").rejection, undefined);
});

Deno.test("ConnectionLimits.admit() admits so many of one source, and any number of this machine", () => {
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 0,
    maxConnectionsPerSource: 2,
  });
  const table: [string, string, boolean][] = [
    ["192.0.2.1", "192.0.2.1", false],
    ["192.0.2.1", "192.0.2.2", true],
    ["192.0.2.1", "::ffff:192.0.2.1", false],
    // A network of 64 bits is one source.
    ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", false],
    ["2001:db8:0:1::1", "2001:db8:0:2::1", true],
    ["127.0.0.1", "127.0.0.1", true],
    ["::1", "::1", true],
    ["::ffff:127.0.0.1", "::ffff:127.0.0.1", true],
  ];
  for (const [there, next, taken] of table) {
    const entries = [there, there, next].map((hostname) => limits.admit(hostname));
    const [, , last] = entries;
    assertEquals(last!.rejection === undefined, taken, `${there}, ${next}`);
    if (!taken) {
      assertEquals(
        last!.rejection!.message,
        "Cannot connect: too many connections of this source are open",
      );
    }
    for (const entry of entries) entry[Symbol.dispose]();
  }
  assertEquals(limits.open, 0);
});

Deno.test("ConnectionLimits.admit() lets only so many rejected clients have a reply at a time", () => {
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 1,
    maxConnectionsPerSource: 0,
  });
  limits.admit("192.0.2.1");
  const entries = Array.from({ length: 100 }, () => limits.admit("192.0.2.1"));
  assertEquals(entries.filter(({ mayReply }) => mayReply).length, 64);
  for (const entry of entries) entry[Symbol.dispose]();
  assertEquals(limits.admit("192.0.2.1").mayReply, true);
  assertEquals(limits.open, 1);
});

/** Asks on new connections until one is taken: the server sees the end of others in its own time. */
async function untilTaken(port: number): Promise<RawPeer> {
  for (let tries = 0; tries < 1000; tries++) {
    const peer = await RawPeer.connect(port);
    if (await peer.ask({ op: "ping" }).catch(() => "closed") === "ok") return peer;
    peer[Symbol.dispose]();
  }
  throw new Error("no connection was taken");
}

Deno.test("ferryd --max-connections refuses what is too many with busy, and serves the others", async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--max-connections", "2"]);
  using first = await RawPeer.connect(server.port);
  {
    using second = await RawPeer.connect(server.port);
    assertEquals([await first.ask({ op: "ping" }), await second.ask({ op: "ping" })], ["ok", "ok"]);
    // It is the reply to whatever is asked first, and there before that.
    using silent = await RawPeer.connect(server.port);
    assertEquals((await silent.receive())?.header, {
      status: "error",
      code: "busy",
      message: FULL,
    });
    assertEquals(await silent.receive(), null);
    using eager = await RawPeer.connect(server.port);
    await eager.send({ op: "put", filename: "x", md5: null, total_size: 1e6 }, new Uint8Array(1e5));
    assertEquals(await eager.code(), "busy");
    const { code, stderr } = await ferry(["ping", "--retries", "0"], { server: server.address });
    assertEquals([code, stderr], [6, `ferry: Cannot connect to ${server.address}: ${SHOWN}\n`]);
    assertEquals([await first.ask({ op: "ping" }), await second.ask({ op: "ping" })], ["ok", "ok"]);
  }
  using _third = await untilTaken(server.port);
  assertEquals(await first.ask({ op: "ping" }), "ok");
  const { stderr } = await server.stop();
  assertStringIncludes(stderr, "Connections that were turned away: 1 (too many");
});

Deno.test("ferryd --max-connections counts the connections of all listeners", async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, [
    ...["--max-connections", "1", "--tcp-echo", "127.0.0.1:0"],
    ...["--classic-exec", "127.0.0.1:0", "--allow-shell"],
  ]);
  {
    using _echo = await (async () => {
      const peer = await RawPeer.connect(server.portOf("tcp-echo"));
      await peer.send("a");
      assertEquals(await peer.read(1), new TextEncoder().encode("A"));
      return peer;
    })();
    using busy = await RawPeer.connect(server.port);
    assertEquals(await busy.code(), "busy");
    // These have no words for it.
    for (const kind of ["tcp-echo", "classic-exec"]) {
      using closed = await RawPeer.connect(server.portOf(kind));
      assertEquals(await closed.read(1), null, kind);
    }
  }
  using _peer = await untilTaken(server.port);
  using closed = await RawPeer.connect(server.portOf("classic-exec"));
  assertEquals(await closed.read(1), null);
});

Deno.test("a client is told over TLS, too, that its connection is not taken", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  const keyPair = await createCertificate({ hosts: ["127.0.0.1"], lifetime: 60_000 });
  await using server = await serve({
    storage,
    listen: "127.0.0.1:0",
    tls: keyPair,
    maxConnections: 1,
  });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const options = { tls: { ca: [keyPair.cert] }, retries: 0 };
  await using client = await connect(address, options);
  const error = await assertRejects(() => connect(address, options), FerryError, SHOWN);
  assertEquals(error.code, "busy");
  await client.ping();
});

Deno.test("ferryd --handshake-timeout ends a connection that asks for nothing", async (t) => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--handshake-timeout", "200ms"]);
  // It counts for the beginning only.
  using begun = await RawPeer.connect(server.port);
  assertEquals(await begun.ask({ op: "ping" }), "ok");
  const request = frame({ op: "ping", pad: "x".repeat(1000) });
  for (const sent of [0, 3, 500]) {
    await t.step(`behind ${sent} bytes of a request`, async () => {
      using peer = await RawPeer.connect(server.port);
      await peer.send(request.subarray(0, sent));
      assertEquals(await peer.code().catch(() => "ended"), "ended");
    });
  }
  await t.step("but a body may take longer", async () => {
    using peer = await RawPeer.connect(server.port);
    const md5 = "900150983cd24fb0d6963f7d28e17f72";
    await peer.send({ op: "put", filename: "abc", md5, total_size: 3 }, "a");
    using other = await RawPeer.connect(server.port);
    assertEquals(await other.code().catch(() => "ended"), "ended");
    await peer.send("bc");
    assertEquals(await peer.code(), "ok");
  });
  assertEquals(await begun.ask({ op: "ping" }), "ok");
  const { stderr } = await server.stop();
  assertStringIncludes(stderr, "no request came within 0.2 s");
});

Deno.test("a client that may do nothing has to show a token within the time of the handshake", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  const { record, token } = await newToken({
    name: "t",
    grants: parseGrants(["read"], []),
    expires: null,
  });
  await using server = await serve({
    storage,
    listen: "127.0.0.1:0",
    tokens: tokenTable([record]),
    handshakeTimeout: 300,
  });
  const { port } = server.addresses[0]!;
  await using client = await connect(`127.0.0.1:${port}`, { token });
  // One that shows none has its time, however often it asks for something.
  using peer = await RawPeer.connect(port);
  let asked = 0;
  const ask = () => peer.ask({ op: "ping" }).catch(() => "ended");
  while (await ask() === "ok") {
    asked++;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert(asked > 0);
  assertEquals((await client.stat("")).type, "directory");
});
