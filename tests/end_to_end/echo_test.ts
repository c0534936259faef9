import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type DatagramSocket,
  MAX_DATAGRAM_BYTES,
  openDatagramSocket,
} from "../../lib/udp/datagram.ts";
import { mismatch, upperCase } from "../../lib/udp/echo_reply.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { serve } from "../../server/serve.ts";
import { Pair } from "../support/pair.ts";
import {
  DENO,
  ferry,
  Ferryd,
  type Launch,
  outcome,
  programArgs,
  PROJECT,
  TempDir,
} from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { utf8 } from "../support/bytes.ts";

const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? undefined);
const ALL_BYTES = new Uint8Array(256).map((_, i) => i);

/** A ferryd with both echo services. */
function startEchoes(...args: string[]): Promise<Pair> {
  return Pair.start(["--tcp-echo", "127.0.0.1:0", "--udp-echo", "127.0.0.1:0", ...args]);
}

function udp(hostname = "127.0.0.1", port = 0): Promise<DatagramSocket> {
  return openDatagramSocket({ hostname, port });
}

/** Sends datagrams and returns the first reply to any of them. */
async function ask(
  socket: DatagramSocket,
  port: number,
  ...datagrams: (Uint8Array | string)[]
): Promise<Uint8Array> {
  const { hostname } = socket.address;
  for (const datagram of datagrams) {
    const content = typeof datagram === "string" ? utf8.encode(datagram) : datagram;
    await socket.send(content, { hostname, port });
  }
  return await next(socket);
}

async function next(socket: DatagramSocket): Promise<Uint8Array> {
  return (await socket.receive())!.bytes.slice();
}

Deno.test("upperCase() changes ASCII a to z and nothing else", () => {
  const all = ALL_BYTES.slice();
  assertEquals(upperCase(all), true);
  for (const [byte, changed] of all.entries()) {
    assertEquals(changed, byte >= 97 && byte <= 122 ? byte - 32 : byte);
  }
  assertEquals(upperCase(all), false);
  assertEquals(upperCase(new Uint8Array(0)), false);
});

Deno.test("mismatch() takes both kinds of echoes, and finds the first wrong byte of any other", () => {
  const table: [string, string, number | undefined][] = [
    ["", "", undefined],
    ["abc", "ABC", undefined],
    ["abc", "abc", undefined],
    ["ab1-ÄZ", "AB1-ÄZ", undefined],
    ["abc", "ABc", 2],
    ["abc", "abC", 2],
    ["abc", "ABX", 2],
    ["abc", "xBC", 0],
    ["abc", "AB", 2],
    ["abc", "ABCD", 3],
    ["abc", "", 0],
    ["", "x", 0],
    ["A", "a", 0],
  ];
  for (const [sent, reply, wrongAt] of table) {
    assertEquals(mismatch(utf8.encode(sent), utf8.encode(reply)), wrongAt, `${sent} ${reply}`);
  }
});

Deno.test("ferryd says where it echoes", async () => {
  await using p = await startEchoes();
  assertEquals([...p.server.listening.keys()], ["tcp", "tcp-echo", "udp-echo"]);
  for (const kind of p.server.listening.keys()) assert(p.server.portOf(kind) > 0);
});

Deno.test("ferryd echoes over TCP as the bytes arrive, and ends when the peer has", async () => {
  await using p = await startEchoes();
  using peer = await RawPeer.connect(p.server.portOf("tcp-echo"));
  await peer.send("h");
  assertEquals(text(await peer.read(1)), "H");
  await peer.send("ello, wörld\n");
  assertEquals(text(await peer.read(13)), "ELLO, WöRLD\n");
  await peer.send(ALL_BYTES, "the end");
  await peer.end();
  const rest = await peer.read(256 + 7);
  assertEquals(rest!.subarray(0, 256), ALL_BYTES.map((b) => b >= 97 && b <= 122 ? b - 32 : b));
  assertEquals(text(rest!.subarray(256)), "THE END");
  assertEquals(await peer.read(1), null);
});

Deno.test("ferryd keeps no more of a TCP echo than the peer takes", async () => {
  await using p = await startEchoes();
  const port = p.server.portOf("tcp-echo");
  using peer = await RawPeer.connect(port);
  // This is more than the socket buffers on both ends hold: the server has to stop reading, and to go on later.
  const sent = new Uint8Array(32 * 1024 * 1024).map((_, i) => i >> 10 ^ i);
  let written = false;
  const sending = peer.send(sent).then(() => written = true).then(() => peer.end());
  using other = await RawPeer.connect(port);
  for (let i = 0; i < 100; i++) {
    await other.send("meanwhile");
    assertEquals(text(await other.read(9)), "MEANWHILE");
  }
  assertEquals(written, false);
  const got = await peer.read(sent.length);
  await sending;
  upperCase(sent);
  assert(got!.every((byte, i) => byte === sent[i]));
  assertEquals(await peer.read(1), null);
});

Deno.test("ferryd disconnects a TCP peer that is silent, and one that takes nothing", async () => {
  await using p = await startEchoes("--idle-timeout", "300ms");
  const port = p.server.portOf("tcp-echo");
  using silent = await RawPeer.connect(port);
  await silent.send("hi");
  assertEquals(text(await silent.read(2)), "HI");
  assertEquals(await silent.read(1), null);
  using greedy = await RawPeer.connect(port);
  // The server closes the connection while this is still writing.
  const failure = await greedy.send(new Uint8Array(64 * 1024 * 1024)).catch((error) => error);
  assert(failure instanceof Error, "all of it was taken");
});

Deno.test("ferryd goes on with the TCP echo after peers that leave in the middle", async () => {
  await using p = await startEchoes();
  const port = p.server.portOf("tcp-echo");
  for (let i = 0; i < 20; i++) {
    using peer = await RawPeer.connect(port);
    await peer.send(new Uint8Array(300_000));
    if (i % 2 === 0) await peer.read(100);
    // The server closed with unread bytes, which resets the connection.
  }
  using peer = await RawPeer.connect(port);
  await peer.send("still there?");
  assertEquals(text(await peer.read(12)), "STILL THERE?");
});

Deno.test("ferryd --verbatim changes nothing", async () => {
  await using p = await startEchoes("--verbatim");
  using peer = await RawPeer.connect(p.server.portOf("tcp-echo"));
  await peer.send(ALL_BYTES);
  assertEquals(await peer.read(256), ALL_BYTES);
  using socket = await udp();
  assertEquals(await ask(socket, p.server.portOf("udp-echo"), ALL_BYTES), ALL_BYTES);
});

Deno.test("ferryd echoes datagrams of every length over UDP", async () => {
  await using p = await startEchoes();
  using socket = await udp();
  for (const size of [0, 1, 256, 1472, 1473, 9000, 65506, MAX_DATAGRAM_BYTES]) {
    const sent = new Uint8Array(size).map((_, i) => i);
    const reply = await ask(socket, p.server.portOf("udp-echo"), sent);
    upperCase(sent);
    assertEquals(reply, sent);
  }
});

Deno.test("ferryd echoes over IPv6", async () => {
  const v6 = ["--tcp-echo", "[::1]:0", "--udp-echo", "[::1]:0"];
  await using p = await Pair.start(v6);
  assertMatch(p.server.listening.get("udp-echo")!, /^\[::1\]:\d+$/);
  using socket = await udp("::1");
  assertEquals(text(await ask(socket, p.server.portOf("udp-echo"), "six")), "SIX");
  const conn = await Deno.connect({ hostname: "::1", port: p.server.portOf("tcp-echo") });
  await conn.write(utf8.encode("six"));
  const reply = new Uint8Array(3);
  assertEquals([await conn.read(reply), text(reply)], [3, "SIX"]);
  conn.close();
});

Deno.test("ferryd echoes datagrams to many at once, each its own", async () => {
  await using p = await startEchoes();
  const sockets = await Promise.all(Array.from({ length: 50 }, () => udp()));
  const replies = await Promise.all(sockets.map((socket, i) => {
    return ask(socket, p.server.portOf("udp-echo"), `from ${i}`);
  }));
  for (const socket of sockets) socket.close();
  assertEquals(replies.map(text), sockets.map((_, i) => `FROM ${i}`));
});

Deno.test("ferryd answers no datagram from a port below 1024, other than with --verbatim", async () => {
  let socket: DatagramSocket | undefined;
  for (let port = 1023; !socket && port > 900; port--) {
    socket = await udp("127.0.0.1", port).catch(() => undefined);
  }
  // Not every user may listen there; the guard's decisions have tests of their own.
  if (!socket) return;
  using service = socket;
  using client = await udp();
  {
    await using p = await startEchoes();
    const port = p.server.portOf("udp-echo");
    await service.send(utf8.encode("unanswered"), { hostname: "127.0.0.1", port });
    assertEquals(text(await ask(client, port, "answered")), "ANSWERED");
    const { stderr } = await p.server.stop();
    assertStringIncludes(stderr, "did not answer: 1 (well-known port)");
  }
  await using p = await startEchoes("--verbatim");
  // If the first datagram had been answered, its reply would arrive here.
  assertEquals(text(await ask(service, p.server.portOf("udp-echo"), "hello")), "hello");
});

Deno.test("ferryd does not answer another echo on its own port", async () => {
  await using p = await startEchoes();
  const port = p.server.portOf("udp-echo");
  using other = await udp("127.0.0.2", port);
  using client = await udp();
  await other.send(utf8.encode("from an echo"), { hostname: "127.0.0.1", port });
  assertEquals(text(await ask(client, port, "answered")), "ANSWERED");
  const { stderr } = await p.server.stop();
  assertStringIncludes(stderr, "did not answer: 1 (port of an echo)");
});

Deno.test("ferryd and another echo on any port do not answer each other for ever", async () => {
  await using p = await startEchoes();
  const port = p.server.portOf("udp-echo");
  using other = await udp();
  let datagram = await ask(other, port, "ping-pong");
  let rounds = 1;
  // The reply to the next datagram shows that this one was not answered, since the order is kept.
  for (; text(datagram) === "PING-PONG" && rounds < 30_000; rounds++) {
    datagram = await ask(other, port, datagram, "behind it");
    if (text(datagram) === "PING-PONG") assertEquals(text(await next(other)), "BEHIND IT");
  }
  assertEquals([text(datagram), rounds], ["BEHIND IT", 10_001]);
});

Deno.test("ferryd refuses to echo to others, unless it is told that anybody may", async () => {
  for (const kind of ["tcp-echo", "udp-echo"]) {
    for (const anonymous of [[], ["--anonymous", "read,write"]]) {
      await using dir = new TempDir();
      const args = ["--root", dir.path, "--listen", "127.0.0.1:0", `--${kind}`, "0.0.0.0:0"];
      const { code, stdout, stderr } = await outcome(
        new Deno.Command(DENO, {
          args: [...programArgs("ferryd"), ...args, ...anonymous],
          stdout: "piped",
          stderr: "piped",
        }).spawn(),
      );
      assertEquals([code, stdout], [2, ""]);
      assertEquals(
        stderr,
        "ferryd: Cannot listen on 0.0.0.0:0: others than this machine could connect: " +
          "--anonymous has to name echo among what anybody may do\n",
      );
    }
  }
  await using dir = new TempDir();
  const everywhere = ["--tcp-echo", "0.0.0.0:0", "--udp-echo", "0.0.0.0:0", "--anonymous", "echo"];
  await using server = await Ferryd.start(dir.path, everywhere);
  using socket = await udp();
  assertEquals(text(await ask(socket, server.portOf("udp-echo"), "hello")), "HELLO");
});

Deno.test("serve() listens on all addresses or on none", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const listen = "127.0.0.1:0";
  const options = { storage, listen, udpEcho: listen, tcpEcho: `127.0.0.1:${port}` };
  // A leaked listener would fail the test.
  const error = await assertRejects(() => serve(options), FerryError);
  assertEquals(error.message, `Cannot listen on 127.0.0.1:${port}: the address is in use`);
  for (const [key, value] of [["tcpEcho", "127.0.0.1"], ["udpEcho", "nonsense:x"]] as const) {
    const wrong = await assertRejects(() => serve({ storage, listen, [key]: value }), FerryError);
    assertEquals(wrong.message, `"${value}" is no address: write HOST:PORT`);
  }
  await using server = await serve({ storage, listen, tcpEcho: listen, udpEcho: listen });
  assertEquals(server.addresses.map(({ kind }) => kind), ["tcp", "tcp-echo", "udp-echo"]);
});

Deno.test("ferryd listens on the same echoes at once when it is started again", async () => {
  // An idle connection does not delay the shutdown.
  await using p = await startEchoes("--drain-timeout", "1h", "--idle-timeout", "1h");
  using peer = await RawPeer.connect(p.server.portOf("tcp-echo"));
  await peer.send("hi");
  await peer.read(2);
  const args = ["tcp-echo", "udp-echo"].flatMap((kind) => {
    return [`--${kind}`, p.server.listening.get(kind)!];
  });
  const { code } = await p.server.stop();
  assertEquals(code, 0);
  assertEquals(await peer.read(1), null);
  p.server = await Ferryd.start(p.root, args);
  using again = await RawPeer.connect(p.server.portOf("tcp-echo"));
  await again.send("hi");
  assertEquals(text(await again.read(2)), "HI");
});

Deno.test("ferryd echoes without Deno's own UDP sockets", async () => {
  await using dir = new TempDir();
  const config = JSON.parse(Deno.readTextFileSync(`${PROJECT}deno.json`));
  delete config.unstable;
  const path = dir.write("deno.json", JSON.stringify({ ...config, lock: false }));
  Deno.mkdirSync(dir.join("root"));
  const launch: Launch = (program) => [DENO, ...programArgs(program, { config: path })];
  await using server = await Ferryd.start(dir.join("root"), ["--udp-echo", "127.0.0.1:0"], {
    launch,
  });
  using socket = await udp();
  for (const size of [0, 5, MAX_DATAGRAM_BYTES]) {
    const sent = new Uint8Array(size).fill(0x7a);
    const reply = await ask(socket, server.portOf("udp-echo"), sent);
    assertEquals(reply, new Uint8Array(size).fill(0x5a));
  }
  const echo = `127.0.0.1:${server.portOf("udp-echo")}`;
  const args = ["echo", "--udp", echo, "--count", "500", "--interval", "0"];
  const { code, stdout } = await ferry(args, { launch });
  assertMatch(stdout, /500 sent, 500 received, 0% loss/);
  assertEquals(code, 0);
});
