import { assertEquals, assertMatch } from "@std/assert";
import { DENO, Ferryd, ferryd, type Launch, programArgs, TempDir } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { conversation, responsesIn } from "../support/raw_http.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { isInstalled, runTool } from "../support/tools.ts";

const GET = "GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** Starts a program that may have 60 open files. */
const limited: Launch = (program, options) => {
  const command = [DENO, ...programArgs(program, options)];
  return ["sh", "-c", 'ulimit -n 60; exec "$@"', "sh", ...command];
};

/** The port of the listener for HTTP. */
function portOf({ listening }: Ferryd): number {
  return Number(listening.get("http")!.split(":").at(-1));
}

Deno.test("ferryd --http says where it listens, and serves the files of both protocols there", async () => {
  await using pair = await Pair.shared(["--http", "127.0.0.1:0"]);
  assertMatch(pair.server.listening.get("http")!, /^127\.0\.0\.1:\d+$/);
  pair.write("a", "hello");
  assertEquals((await pair.run("put", "a")).code, 0);
  const [response] = await conversation(portOf(pair.server), GET);
  assertEquals(response!.text, "hello");
});

Deno.test("ferryd --http keeps to the rule of listening, and says what is wrong with an address", async () => {
  await using dir = new TempDir();
  const table: [args: string[], reason: RegExp][] = [
    [["--http", "0.0.0.0:0"], /others than this machine could connect: say with --anonymous/],
    [["--http", "192.0.2.1:0", "--anonymous", "read"], /Cannot listen on 192\.0\.2\.1:0/],
  ];
  await Promise.all(table.map(async ([args, reason], at) => {
    const root = dir.join(`root ${at}`);
    Deno.mkdirSync(root);
    const { code, stderr } = await ferryd(["--root", root, "--listen", "0", ...args]);
    assertEquals(code === 0, false);
    assertMatch(stderr, reason);
  }));
});

Deno.test("ferryd lets running requests over HTTP finish when it is told to end", async () => {
  await using pair = await Pair.start(["--http", "127.0.0.1:0", "--drain-timeout", "20s"]);
  using peer = await RawPeer.connect(portOf(pair.server));
  await peer.send(
    "PUT /a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
  );
  await peer.read("HTTP/1.1 100 Continue\r\n\r\n".length);
  const stopping = pair.server.stop("SIGTERM");
  await peer.send("0123456789");
  const response = new TextDecoder().decode(await peer.readAll());
  assertMatch(response, /^HTTP\/1\.1 201 /);
  assertEquals((await stopping).code, 0);
  assertEquals(Deno.readTextFileSync(`${pair.root}/a`), "0123456789");
});

Deno.test("connections count for both protocols together", async () => {
  await using pair = await Pair.start(["--http", "127.0.0.1:0", "--max-connections", "1"]);
  using first = await pair.connect();
  assertEquals(await first.ask({ op: "ping" }), "ok");
  const [refused] = await conversation(portOf(pair.server), GET, { end: false });
  assertEquals(refused!.status, 503);
  assertEquals(await first.ask({ op: "ping" }), "ok");
});

Deno.test({
  name: "ferryd --http survives that it runs out of file descriptors",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    dir.write("root/a", "hello");
    await using server = await Ferryd.start(dir.join("root"), ["--http", "127.0.0.1:0"], {
      launch: limited,
    });
    const port = portOf(server);
    const peers: RawPeer[] = [];
    for (let i = 0; i < 80; i++) peers.push(await RawPeer.connect(port));
    // The last one waits in the system's queue until there is room.
    const waiting = peers.at(-1)!;
    await waiting.send(GET);
    for (const peer of peers.slice(0, -1)) peer[Symbol.dispose]();
    await waiting.end();
    assertEquals(responsesIn(await waiting.readAll()).map(({ text }) => text), ["hello"]);
    waiting[Symbol.dispose]();
  },
});

Deno.test({
  name: "curl uploads and downloads over TLS, by HTTP/1.1, with a certificate of ferryd cert",
  ignore: !isInstalled("curl"),
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    const files = ["--tls-cert", dir.join("cert.pem"), "--tls-key", dir.join("key.pem")];
    await ferryd(["cert", "--host", "127.0.0.1", ...files]);
    const options = ["--http", "127.0.0.1:0", ...files];
    await using server = await Ferryd.start(dir.join("root"), options);
    const url = `https://${server.listening.get("https")}/large`;
    const content = randomBytes(5_000_000);
    dir.write("large", content);
    const curl = async (...args: string[]) => {
      const trust = ["--cacert", dir.join("cert.pem")];
      const { code, stdout, stderr } = await runTool("curl", ["-sSf", ...trust, ...args], dir.path);
      assertEquals(code, 0, stderr);
      return stdout;
    };
    for (const version of ["--tls-max 1.2", "--tlsv1.3"]) {
      await curl(...version.split(" "), "-T", "large", url);
      const written = await curl(...version.split(" "), "-o", "copy", "-w", "%{http_version}", url);
      assertEquals(written, "1.1");
      assertEquals(Deno.readFileSync(dir.join("copy")), content);
    }
  },
});
