import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { connect } from "../../mod.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { assertServesTls } from "../../server/net/tls_listener.ts";
import { X509Certificate } from "node:crypto";
import { TextLineStream } from "@std/streams/text-line-stream";
import { DENO, programArgs, TempDir } from "../support/programs.ts";
import { frame } from "../support/raw_peer.ts";
import { utf8 } from "../support/bytes.ts";
import { Fixture, Handshaker, make, MINE, OTHER, refusal } from "../support/tls_servers.ts";

Deno.test("serve() with a certificate speaks TLS and nothing else", async () => {
  await using f = await Fixture.start();
  assertEquals(f.server.addresses[0]!.kind, "tls");
  await using client = await f.connect();
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(5_000_000).map((_, at) => content[at % 60_000]! ^ at >> 16);
  await client.put(large, { as: "a/b" });
  assertEquals(Deno.readFileSync(f.join("a/b")), large);
  await client.get("a/b", { out: f.join("copy") });
  assertEquals(Deno.readFileSync(f.join("copy")), large);
  const [code, reason] = await refusal(f.port, {});
  assertEquals(code, "bad_header");
  assertMatch(reason, /seems to speak TLS$/);
});

Deno.test("serve() refuses a certificate that is none, and a key that is another's", async () => {
  for (const tls of [{ cert: "", key: "" }, { ...MINE, key: OTHER.key }, { ...MINE, cert: "x" }]) {
    const error = await assertRejects(() => Fixture.start({ tls }), FerryError);
    assertEquals(error.code, "usage");
    assertMatch(error.message, /^Cannot use the certificate and its key: /);
  }
});

Deno.test("assertServesTls() refuses a runtime that answers no handshake", () => {
  for (const version of ["2.8.0", "2.9.6", "2.10.1", "3.0.0", Deno.version.deno]) {
    assertServesTls(version);
  }
  for (const version of ["1.46.3", "2.4.2", "2.7.12"]) {
    const error = assertThrows(() => assertServesTls(version), FerryError);
    assertEquals(error.code, "usage");
    assertMatch(error.message, /takes Deno 2\.8 or newer, and this is/);
  }
});

Deno.test("connect() trusts a certificate by --ca or by its fingerprint, and no other", async () => {
  await using f = await Fixture.start();
  for (const tls of [{ ca: [MINE.cert] }, { ca: [OTHER.cert, MINE.cert] }, { pins: [MINE.pin] }]) {
    await using client = await f.connect({ tls });
    await client.ping();
  }
  await using either = await f.connect({ tls: { pins: [OTHER.pin, MINE.pin] } });
  await either.ping();
  // Where both are given, the pin takes precedence.
  const both = await refusal(f.port, { tls: { ca: [MINE.cert], pins: [OTHER.pin] } });
  assertEquals(both[0], "denied");
  for (const tls of [true, { ca: [OTHER.cert] }]) {
    const [code, reason] = await refusal(f.port, { tls });
    assertEquals(code, "denied");
    assertMatch(reason, /not trusted: nobody who is trusted here has signed it/);
  }
});

Deno.test("connect() takes a certificate for the host that was asked for only", async () => {
  const elsewhere = await make(["files.example.org"]);
  await using f = await Fixture.start({ tls: elsewhere });
  const [code, reason] = await refusal(f.port, { tls: { ca: [elsewhere.cert] } });
  assertEquals([code, reason], [
    "denied",
    'the server\'s certificate is not trusted: it is not for "127.0.0.1"',
  ]);
  // A pin is for one certificate, whatever names are in it.
  await using client = await f.connect({ tls: { pins: [elsewhere.pin] } });
  await client.ping();
});

/** Certificates made by openssl: an authority, a server certificate that it has signed, and some invalid ones. */
function opensslCertificates(dir: TempDir) {
  const run = (...args: string[]) => {
    const { success, stderr } = new Deno.Command("openssl", { args, cwd: dir.path }).outputSync();
    assert(success, new TextDecoder().decode(stderr));
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const selfSigned = (name: string, ...rest: string[]) => {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
    run("req", "-x509", ...key, ...files, "-days", "2", "-subj", `/CN=${name}`, ...rest);
  };
  const san = ["-addext", "subjectAltName=IP:127.0.0.1"];
  selfSigned("plain", ...san);
  selfSigned("server", ...san, "-addext", "basicConstraints=critical,CA:FALSE");
  selfSigned("nameless", "-addext", "basicConstraints=critical,CA:FALSE");
  selfSigned("authority");
  selfSigned("impostor", "-subj", "/CN=authority");
  dir.write("ext", "subjectAltName=IP:127.0.0.1");
  run("req", ...key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf");
  const signing = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"];
  run("x509", "-req", "-in", "leaf.csr", ...signing, "-extfile", "ext", "-out", "leaf.pem");
  const read = (name: string) => Deno.readTextFileSync(dir.join(name));
  const pair = (name: string, ...chain: string[]) => ({
    cert: [name, ...chain].map((name) => read(`${name}.pem`)).join(""),
    key: read(`${name}.key`),
    pin: `sha256:${new X509Certificate(read(`${name}.pem`)).fingerprint256.replaceAll(":", "")}`,
  });
  return { pair, authority: read("authority.pem") };
}

const openssl = await new Deno.Command("openssl", { args: ["version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name:
    "connect() takes ordinary certificates by --ca, by --pin and by both, or says what is wrong" +
    (openssl ? "" : " (ignored: needs openssl)"),
  ignore: !openssl,
  async fn(t) {
    await using dir = new TempDir();
    const { pair, authority } = opensslCertificates(dir);
    const leaf = pair("leaf", "authority");
    const server = pair("server");
    const plain = pair("plain");
    const table: [string, typeof leaf, { ca?: string[]; pins?: string[] }, says?: string][] = [
      ["an authority's, --ca", leaf, { ca: [authority] }],
      ["an authority's, --pin", leaf, { pins: [leaf.pin] }],
      ["an authority's, both", leaf, { ca: [authority], pins: [leaf.pin] }],
      ["an authority's that shows no authority, both", pair("leaf"), {
        ca: [authority],
        pins: [leaf.pin],
      }],
      [
        "an authority's that shows no authority, --pin",
        pair("leaf"),
        { pins: [leaf.pin] },
        "the authority that has signed it is not trusted here; name that one with --ca beside --pin",
      ],
      ["an authority's with another one of that name", pair("leaf", "impostor"), {
        pins: [leaf.pin],
      }, "the authority that has signed it is not trusted here"],
      ["openssl req -x509 as README has it, --ca", server, { ca: [server.cert] }],
      ["openssl req -x509 as README has it, --pin", server, { pins: [server.pin] }],
      ["openssl req -x509 as README has it, both", server, {
        ca: [server.cert],
        pins: [server.pin],
      }],
      ["openssl req -x509, --ca", plain, { ca: [plain.cert] }, "-addext basicConstraints="],
      ["openssl req -x509, --pin", plain, { pins: [plain.pin] }, "make one with ferryd cert"],
      ["one without a host", pair("nameless"), { pins: [pair("nameless").pin] }, "names no host"],
      [
        "another than the pinned one",
        server,
        { pins: [leaf.pin], ca: [server.cert] },
        "is not the pinned one",
      ],
    ];
    for (const [name, tls, trust, says] of table) {
      await t.step(name, async () => {
        await using f = await Fixture.start({ tls });
        if (says === undefined) {
          await using client = await f.connect({ tls: trust });
          await client.ping();
        } else {
          const [code, reason] = await refusal(f.port, { tls: trust });
          assertEquals(code, "denied");
          assertStringIncludes(reason, says);
        }
      });
    }
  },
});

Deno.test("connect() takes no certificate that has expired", async () => {
  const old = await make(["127.0.0.1"], -1000);
  await using f = await Fixture.start({ tls: old });
  for (const tls of [{ ca: [old.cert] }, { pins: [old.pin] }]) {
    const [code, reason] = await refusal(f.port, { tls });
    assertEquals([code, reason], [
      "denied",
      "the server's certificate is not trusted: it has expired",
    ]);
  }
});

Deno.test("connect() sends nothing to a server that has another certificate than the pinned one", async () => {
  await using fake = new Handshaker(OTHER);
  const [code, reason] = await refusal(fake.port, { tls: { pins: [MINE.pin] } });
  assertEquals(code, "denied");
  assertStringIncludes(reason, `it is ${OTHER.pin}`);
  assertEquals(await fake.finish(), [new Uint8Array()]);
});

Deno.test("connect() sends nothing to who shows the pinned certificate first and then another", async () => {
  // A man in the middle lets the check of the certificate through, but not the real connection.
  await using fake = new Handshaker(MINE, OTHER);
  const [code] = await refusal(fake.port, { tls: { pins: [MINE.pin] } });
  assertEquals(code, "denied");
  assertEquals(await fake.finish(), [new Uint8Array(), new Uint8Array()]);
});

Deno.test("connect() says that a server does not speak TLS", async () => {
  await using f = await Fixture.start({ tls: undefined });
  for (const tls of [{ ca: [MINE.cert] }, { pins: [MINE.pin] }]) {
    const [code, reason] = await refusal(f.port, { tls });
    assertEquals([code, reason], ["bad_header", "the server does not speak TLS"]);
  }
});

Deno.test("connect() gives up a handshake that does not end, and can be told to", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  for (const tls of [{ ca: [MINE.cert] }, { pins: [MINE.pin] }]) {
    const [code] = await refusal(port, { tls, connectTimeout: 100 });
    assertEquals(code, "timeout");
    const stop = new AbortController();
    const connecting = connect(`127.0.0.1:${port}`, { tls, signal: stop.signal });
    stop.abort(new Error("enough"));
    assertEquals((await assertRejects(() => connecting, Error)).message, "enough");
  }
});

/** Connections of which half begin a handshake; none completes it. */
async function neverShakingHands(port: number): Promise<Deno.TcpConn[]> {
  const peers = await Promise.all(
    Array.from({ length: 20 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  const begun = utf8.encode("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
  for (const [at, peer] of peers.entries()) if (at % 2 === 0) await peer.write(begun);
  return peers;
}

Deno.test("serve() serves others while handshakes do not end", async () => {
  await using f = await Fixture.start({ handshakeTimeout: 600_000 });
  const peers = await neverShakingHands(f.port);
  await using client = await f.connect();
  await client.ping();
  for (const peer of peers) peer.close();
});

Deno.test("serve() gives up a handshake that does not end, also one in which a byte comes now and then", async () => {
  await using f = await Fixture.start({ handshakeTimeout: 500 });
  const peers = await neverShakingHands(f.port);
  let over = false;
  const trickling = peers.filter((_, at) => at % 2 === 0).map(async (peer) => {
    while (!over) {
      await peer.write(new Uint8Array(1)).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  const ends = peers.map(async (peer) => await peer.read(new Uint8Array(100)).catch(() => null));
  assertEquals(await Promise.all(ends), peers.map(() => null));
  over = true;
  await Promise.all(trickling);
  for (const peer of peers) peer.close();
  await using client = await f.connect();
  await client.ping();
});

Deno.test("serve() survives what is no handshake", async () => {
  await using f = await Fixture.start();
  for (
    const junk of ["GET / HTTP/1.1\r\n\r\n", "\0", frame({ op: "ping" }), "\x16\x03\x01\xff\xff"]
  ) {
    const peer = await Deno.connect({ hostname: "127.0.0.1", port: f.port });
    await peer.write(typeof junk === "string" ? utf8.encode(junk) : junk);
    await peer.closeWrite();
    const answer = await new Response(peer.readable).bytes();
    assert(answer.length < 100, "a TLS alert at most");
  }
  for (const junk of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\0\0"]) {
    for (let first = 1; first < 6; first++) {
      const peer = await Deno.connect({ hostname: "127.0.0.1", port: f.port });
      const answer = new Response(peer.readable).bytes();
      await peer.write(utf8.encode(junk.slice(0, first)));
      // The server receives the pieces one by one.
      await using client = await f.connect();
      await client.ping();
      // The server may have closed the connection before the second piece.
      await peer.write(utf8.encode(junk.slice(first))).catch(() => {});
      await peer.closeWrite().catch(() => {});
      assert((await answer.catch(() => [])).length < 100, "a TLS alert at most");
    }
  }
  await using client = await f.connect();
  await client.ping();
});

Deno.test("Server.reload() gives new connections another certificate, and keeps the others open", async () => {
  await using f = await Fixture.start();
  await using before = await f.connect();
  await before.put(utf8.encode("one"), { as: "one" });
  f.server.reload({ tls: OTHER });
  assertEquals((await refusal(f.port, { tls: { ca: [MINE.cert] } }))[0], "denied");
  await using after = await f.connect({ tls: { pins: [OTHER.pin] } });
  await after.put(utf8.encode("two"), { as: "two" });
  await before.put(utf8.encode("three"), { as: "three" });
  assertEquals((await Array.fromAsync(before.list())).length, 3);
});

Deno.test("Server.reload() keeps the old certificate where the new one is none", async () => {
  await using f = await Fixture.start();
  const reload = () => f.server.reload({ tls: { ...OTHER, key: MINE.key } });
  assertEquals(assertThrows(reload, FerryError).code, "usage");
  await using client = await f.connect();
  await client.ping();
});

Deno.test("Server.reload() refuses what the server was started without", async () => {
  await using f = await Fixture.start({ tls: undefined });
  const tokens = { records: new Map(), decoyKey: new Uint8Array(32) };
  for (const change of [{ tls: MINE }, { tokens }]) {
    const error = assertThrows(() => f.server.reload(change), FerryError);
    assertEquals(error.code, "usage");
  }
});

Deno.test("Server.reload() again and again refuses no client, not for a moment", async () => {
  await using f = await Fixture.start();
  let left = 60;
  const use = async () => {
    while (left-- > 0) {
      await using client = await f.connect({ tls: { ca: [MINE.cert, OTHER.cert] } });
      f.server.reload({ tls: left % 2 === 0 ? OTHER : MINE });
      await client.ping();
    }
  };
  await Promise.all([use(), use(), use()]);
});

Deno.test("a client that leaves without a word is no error of the server's", async () => {
  await using f = await Fixture.start();
  const conn = await Deno.connectTls({ hostname: "localhost", port: f.port, caCerts: [MINE.cert] });
  await conn.write(frame({ op: "put", filename: "x", md5: null, total_size: 1000 }));
  await conn.write(utf8.encode("half"));
  conn.close();
  await using client = await f.connect();
  assertEquals(await Array.fromAsync(client.list()), []);
});

Deno.test("close() ends a connection that is still shaking hands", async () => {
  await using f = await Fixture.start();
  const peer = await Deno.connect({ hostname: "127.0.0.1", port: f.port });
  await using client = await f.connect();
  await client.ping();
  await f.server.close({ drainTimeout: 60_000 });
  assertEquals(await peer.read(new Uint8Array(1)).catch(() => null), null);
  peer.close();
});

Deno.test("ferryd goes on accepting TLS connections when file descriptors were used up", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  const [cert, key] = [dir.write("cert.pem", MINE.cert), dir.write("key.pem", MINE.key)];
  const args = ["--root", dir.join("root"), "--listen", "127.0.0.1:0"];
  const options = [...args, "--tls-cert", cert, "--tls-key", key];
  await using child = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 100; exec "$@"', "sh", DENO, ...programArgs("ferryd"), ...options],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream())[Symbol.asyncIterator]();
  const { value } = await lines.next();
  const port = Number(/^ferryd: listening tls 127\.0\.0\.1:(\d+)$/.exec(value ?? "")![1]);
  await lines.next();
  const tls = { ca: [MINE.cert] };
  const held = await Promise.all(
    Array.from({ length: 150 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  // Further connections are refused.
  const [code] = await refusal(port, { tls, connectTimeout: 1000 });
  assertEquals(code, "timeout");
  for (const conn of held) conn.close();
  await using client = await connect(`127.0.0.1:${port}`, { tls, connectTimeout: 2000 });
  await client.ping();
  await client[Symbol.asyncDispose]();
  child.kill("SIGTERM");
  while (!(await lines.next()).done);
});
