import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ClassicClient } from "../../client/line_exec/client.ts";
import {
  encodeAnnouncement,
  type Framing,
  FRAMINGS,
  MAX_LINE_BYTES,
  readAnnouncement,
} from "../../lib/line_exec/framing.ts";
import { type ErrorCode } from "../../lib/core/errors.ts";
import { Collector } from "../support/memory_stream.ts";
import { Pair } from "../support/pair.ts";
import { allEnded } from "../support/processes.ts";
import {
  ferry,
  type Ferryd,
  outcome,
  programArgs,
  spawnFerry,
  TempDir,
} from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { md5, text, utf8 } from "../support/bytes.ts";
import { assertCode } from "../support/assertions.ts";

/** A ferryd that listens for classic exec. */
async function startPair(framing: Framing = "json", args: string[] = []): Promise<Pair> {
  const classic = ["--classic-exec", "127.0.0.1:0", "--framing", framing, "--allow-shell"];
  return await Pair.start([...classic, ...args]);
}

function connectTo(pair: Pair): Promise<RawPeer> {
  return RawPeer.connect(pair.server.portOf("classic-exec"));
}

/** Reads an answer; in raw framing to the end of the connection. */
async function answerOf(
  peer: RawPeer,
  framing: Framing,
): Promise<{ output: string; header?: Record<string, unknown> }> {
  if (framing === "raw") return { output: text(await peer.readAll()) };
  const length = new DataView((await peer.read(4))!.buffer).getInt32(0, true);
  if (framing === "length") return { output: text((await peer.read(length))!) };
  const header = JSON.parse(text((await peer.read(length))!));
  return { header, output: text((await peer.read(header.total_size))!) };
}

/** Sends a line and reads the answer. */
async function ask(peer: RawPeer, framing: Framing, line: string | Uint8Array): Promise<string> {
  await peer.send(line);
  if (framing === "raw") await peer.end();
  return (await answerOf(peer, framing)).output;
}

/** A client in Python, which can reset its connection: Deno ends one in order before it closes it. */
class ResettingClient implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(port: number) {
    const script = [
      "import socket, struct, sys",
      `s = socket.create_connection(("127.0.0.1", ${port}))`,
      's.sendall(sys.stdin.readline().encode("utf-8"))',
      "sys.stdin.readline()",
      's.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))',
      "s.close()",
    ].join("\n");
    this.#child = new Deno.Command("python3", { args: ["-c", script], stdin: "piped" }).spawn();
    this.#input = this.#child.stdin.getWriter();
  }

  async send(line: string): Promise<void> {
    await this.#input.write(utf8.encode(`${line}\n`));
  }

  async reset(): Promise<void> {
    await this.#input.close();
    assertEquals((await this.#child.status).code, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}

Deno.test("encodeAnnouncement() writes what readAnnouncement() reads", async () => {
  for (const framing of ["json", "length"] as const) {
    for (
      const [name, size] of [["ls", 0], ["文件\n", 5], ["x".repeat(70_000), 2 ** 31 - 1]] as const
    ) {
      const bytes = encodeAnnouncement(framing, { name, size, md5: md5(name) });
      let start = 0;
      const read = (count: number) => Promise.resolve(bytes.subarray(start, start += count));
      assertEquals(await readAnnouncement(framing, read), {
        size,
        md5: framing === "json" ? md5(name) : null,
      });
      assertEquals(start, bytes.length);
    }
  }
  assertEquals(encodeAnnouncement("raw", { name: "ls", size: 5, md5: "" }).length, 0);
  assertEquals(
    [...encodeAnnouncement("length", { name: "", size: 258, md5: "" })],
    [2, 1, 0, 0],
  );
});

/** A length, and a JSON header behind it. */
function headed(json: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof json === "string" ? utf8.encode(json) : json;
  const all = new Uint8Array(4 + bytes.length);
  new DataView(all.buffer).setInt32(0, bytes.length, true);
  all.set(bytes, 4);
  return all;
}

Deno.test("readAnnouncement() refuses what is none", async () => {
  const length = (value: number) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return bytes;
  };
  const table: ["json" | "length", Uint8Array, string][] = [
    ["length", length(-1), "the output's length is -1"],
    ["json", length(-1), "the header's length is -1"],
    ["json", length(1), "the header's length is 1"],
    ["json", length(65537), "it must be 2 to 65536"],
    ["json", utf8.encode("HTTP/1.1"), "it must be 2 to 65536"],
    ["json", headed("{]"), "the header is not JSON in UTF-8"],
    ["json", headed(Uint8Array.of(0x22, 0xff, 0x22)), "the header is not JSON in UTF-8"],
    ["json", headed("null"), "the header is not an object"],
    ["json", headed("[]"), "total_size is not a number of bytes"],
    ["json", headed("{}"), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":-1}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":1.5}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":"5"}'), "total_size is not a number of bytes"],
    ["json", headed('{"total_size":1e300}'), "total_size is not a number of bytes"],
  ];
  for (const [framing, bytes, words] of table) {
    let start = 0;
    const read = (count: number) => Promise.resolve(bytes.slice(start, start += count));
    await assertCode("bad_header", () => readAnnouncement(framing, read), words);
  }
});

for (const framing of FRAMINGS) {
  Deno.test(`classic exec, ${framing}: standard output, then standard error`, async () => {
    await using pair = await startPair(framing);
    const lines: [string, string][] = [
      ["echo err >&2; echo out; echo err >&2", "out\nerr\nerr\n"],
      ["true", ""],
      ["printf nothing >/dev/null", ""],
      ["exit 3", ""],
      ["echo why >&2; exit 1", "why\n"],
      ["echo 文件", "文件\n"],
      ["echo one\necho two", "one\ntwo\n"],
      ["cat; echo end", "end\n"],
      ["\n", ""],
    ];
    using peer = await connectTo(pair);
    for (const [line, output] of lines) {
      using another = await connectTo(pair);
      assertEquals(await ask(framing === "raw" ? another : peer, framing, line), output, line);
    }
    using last = await connectTo(pair);
    assertMatch(await ask(last, framing, "no-such-command"), /no-such-command: .*not found\n$/);
  });

  Deno.test(`classic exec, ${framing}: large output of both streams`, async () => {
    await using pair = await startPair(framing);
    using peer = await connectTo(pair);
    const line = "head -c 3000000 /dev/zero >&2; yes out | head -c 4000000";
    const output = await ask(peer, framing, line);
    assertEquals(output.length, 7_000_000);
    assertEquals(output, "out\n".repeat(1_000_000) + "\0".repeat(3_000_000));
  });

  Deno.test(`classic exec, ${framing}: a client that resets does not disturb the next`, async () => {
    await using pair = await startPair(framing);
    const pids = pair.dir.join("pids");
    await using resetting = new ResettingClient(pair.server.portOf("classic-exec"));
    await resetting.send(`sleep 1000 & echo $$ $! > ${pids}; wait`);
    while (!readable(pids)) await new Promise((resolve) => setTimeout(resolve, 10));
    await resetting.reset();
    await allEnded(Deno.readTextFileSync(pids).trim().split(" ").map(Number));
    using peer = await connectTo(pair);
    assertEquals(await ask(peer, framing, "echo next"), "next\n");
    peer[Symbol.dispose]();
    assertStringIncludes((await pair.server.stop()).stderr, "connection reset by the peer");
  });

  Deno.test(`ferry exec --classic, ${framing}: runs a line on ferryd`, async () => {
    await using pair = await startPair(framing);
    const address = pair.server.listening.get("classic-exec")!;
    const run = (...args: string[]) =>
      ferry(["exec", "--classic", address, "--framing", framing, ...args]);
    assertEquals(await run("echo out; echo err >&2"), {
      code: 0,
      stdout: "out\nerr\n",
      stderr: "",
    });
    assertEquals(await run("true"), { code: 0, stdout: "", stderr: "" });
    const large = await run("head -c 3000000 /dev/zero");
    assertEquals([large.code, large.stdout.length, large.stderr], [0, 3_000_000, ""]);
  });

  Deno.test(`ferry exec --classic, ${framing}: asks for lines`, async () => {
    await using pair = await startPair(framing);
    const address = pair.server.listening.get("classic-exec")!;
    const child = spawnFerry(["exec", "--classic", address, "--framing", framing], {
      stdin: "piped",
    });
    const writer = child.stdin.getWriter();
    await writer.write(utf8.encode("echo one\n\ntrue\r\necho two >&2\necho 文件"));
    await writer.close();
    assertEquals(await outcome(child), {
      code: 0,
      stdout: "one\ntwo\n文件\n",
      stderr: ">>: ".repeat(framing === "raw" ? 5 : 5),
    });
  });
}

function readable(path: string): boolean {
  try {
    return Deno.readTextFileSync(path).endsWith("\n");
  } catch {
    return false;
  }
}

Deno.test("classic exec: the header tells the size and the md5 of all of the output", async () => {
  await using pair = await startPair();
  using peer = await connectTo(pair);
  for (const [line, output] of [["echo out; echo err >&2", "out\nerr\n"], ["true", ""]] as const) {
    await peer.send(line);
    const { header } = await answerOf(peer, "json");
    assertEquals(header, { filename: line, md5: md5(output), total_size: output.length });
  }
});

/** How many files, pipes and sockets a process has open, where the system tells. */
function openIn({ pid }: Ferryd): number {
  if (Deno.build.os !== "linux") return 0;
  // The permissions of the tests do not reach so far.
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).trimEnd().split("\n").length;
}

Deno.test("classic exec: hundreds of commands on one connection leave nothing of them open", async () => {
  await using pair = await startPair();
  using peer = await connectTo(pair);
  let before = 0;
  for (let i = 0; i < 200; i++) {
    if (i === 20) before = openIn(pair.server);
    assertEquals(
      await ask(peer, "json", i % 3 === 0 ? "true" : `echo ${i}`),
      i % 3 ? `${i}\n` : "",
    );
  }
  // What the last one had may be closed behind its answer.
  assert(openIn(pair.server) <= before + 4, "commands leave something open");
});

Deno.test("classic exec: a line of 64 KiB, and one that is longer", async () => {
  await using pair = await startPair();
  const line = (size: number) => "echo end #".padEnd(size, "x");
  using peer = await connectTo(pair);
  assertEquals(await ask(peer, "json", line(MAX_LINE_BYTES)), "end\n");
  // One more than is read at once where nothing is known to come.
  for (const size of [1000, 1024, 1025]) assertEquals(await ask(peer, "json", line(size)), "end\n");
  assertStringIncludes(
    await ask(peer, "json", line(MAX_LINE_BYTES + 1)),
    `the line is longer than ${MAX_LINE_BYTES} bytes\n`,
  );
  // Nobody knows where the next line begins.
  assertEquals(await peer.read(1), null);
});

Deno.test("classic exec: a long line that comes in pieces", async () => {
  await using pair = await startPair();
  using peer = await connectTo(pair);
  const line = utf8.encode("echo end #".padEnd(20_000, "x"));
  const sending = (async () => {
    for (let start = 0; start < line.length; start += 1448) {
      await peer.send(line.subarray(start, start + 1448));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  assertEquals((await answerOf(peer, "json")).output, "end\n");
  await sending;
});

Deno.test("classic exec: what is no text is answered, and the connection goes on", async () => {
  await using pair = await startPair();
  using peer = await connectTo(pair);
  assertEquals(
    await ask(peer, "json", Uint8Array.of(0x65, 0xff)),
    'ferryd: Cannot run "": the line is not UTF-8\n',
  );
  assertStringIncludes(await ask(peer, "json", "a\0b"), "U+0000");
  assertEquals(await ask(peer, "json", "echo ok"), "ok\n");
});

Deno.test("classic exec: what is killed says so behind its output", async () => {
  await using pair = await startPair("length", [
    "--exec-timeout",
    "300ms",
    "--exec-output-limit",
    "1k",
  ]);
  using peer = await connectTo(pair);
  const [pids = "", ...rest] =
    (await ask(peer, "length", "sleep 1000 & echo $$ $!; echo err >&2; wait")).split("\n");
  assertEquals(rest, ["err", "ferryd: the command was killed: its time was up", ""]);
  await allEnded(pids.split(" ").map(Number));
  const flood = await ask(peer, "length", "yes");
  assertEquals(
    flood,
    "y\n".repeat(500) + 'ferryd: Cannot run "yes": its output is larger than 1000 bytes\n',
  );
  assertEquals(await ask(peer, "length", "echo ok"), "ok\n");
});

Deno.test("classic exec: who ends its direction still gets an answer that comes soon", async () => {
  for (const framing of FRAMINGS) {
    await using pair = await startPair(framing);
    using peer = await connectTo(pair);
    await peer.send("sleep 0.3; echo late");
    await peer.end();
    assertEquals((await answerOf(peer, framing)).output, "late\n");
    assertEquals(await peer.read(1), null);
  }
});

Deno.test("classic exec: who has left for good leaves nothing", async () => {
  await using pair = await startPair("json");
  const pids = pair.dir.join("pids");
  const peer = await connectTo(pair);
  await peer.send(`sleep 1000 & echo $$ $! > ${pids}; wait`);
  while (!readable(pids)) await new Promise((resolve) => setTimeout(resolve, 10));
  peer[Symbol.dispose]();
  await allEnded(Deno.readTextFileSync(pids).trim().split(" ").map(Number));
});

Deno.test("classic exec: a silent client is given up, but not one whose command runs", async () => {
  await using pair = await startPair("json", ["--idle-timeout", "200ms"]);
  using peer = await connectTo(pair);
  assertEquals(await ask(peer, "json", "sleep 0.7; echo end"), "end\n");
  assertEquals(await peer.read(1), null);
});

Deno.test("classic exec: a server that is told to end kills what runs, and can be started again at once", async () => {
  await using pair = await startPair("json", ["--drain-timeout", "100ms"]);
  const address = pair.server.listening.get("classic-exec")!;
  const pids = pair.dir.join("pids");
  using idle = await connectTo(pair);
  using peer = await connectTo(pair);
  await peer.send(`trap '' TERM; sleep 1000 & echo $$ $! > ${pids}; wait; wait`);
  while (!readable(pids)) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals((await pair.server.stop("SIGTERM")).code, 0);
  await allEnded(Deno.readTextFileSync(pids).trim().split(" ").map(Number));
  assertEquals(await idle.read(1), null);
  await using again = await Pair.start(["--classic-exec", address, "--allow-shell"]);
  using next = await connectTo(again);
  assertEquals(await ask(next, "json", "echo next"), "next\n");
});

Deno.test("classic exec: the log tells who ran what", async () => {
  await using pair = await startPair();
  using peer = await connectTo(pair);
  await ask(peer, "json", "echo \x1b[2J");
  peer[Symbol.dispose]();
  const { stderr } = await pair.server.stop();
  assertMatch(stderr, /"127\.0\.0\.1:\d+": .run "echo \\+u001b\[2J"/);
});

Deno.test("ferryd refuses a classic listener that is too open, or has no shell", async () => {
  await using dir = new TempDir();
  const table: [string[], string][] = [
    [["--classic-exec", "127.0.0.1:0"], "that takes --allow-shell"],
    [["--classic-exec", "127.0.0.1:0", "--allow-exec", "true"], "that takes --allow-shell"],
    [["--classic-exec", "0.0.0.0:0", "--allow-shell"], "--anonymous has to name exec"],
    [
      ["--classic-exec", "0.0.0.0:0", "--allow-shell", "--anonymous", "read"],
      "--anonymous has to name exec",
    ],
    [["--classic-exec", "127.0.0.1", "--allow-shell"], "is no address: write HOST:PORT"],
    [["--classic-exec", "127.0.0.1:0", "--framing", "xml"], "--framing takes json, length, raw"],
  ];
  for (const [args, words] of table) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...programArgs("ferryd", { runsCommands: true }),
        ...["--root", dir.path, "--listen", "127.0.0.1:0", ...args],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, stderr } = await outcome(child);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, words);
  }
  const anybody = ["--classic-exec", "0.0.0.0:0", "--allow-shell", "--anonymous", "exec"];
  await using pair = await Pair.start(anybody);
  using peer = await connectTo(pair);
  assertEquals(await ask(peer, "json", "echo ok"), "ok\n");
});

/** A server that answers the first line of each connection with segments, a moment apart, and may end then. */
class Foreign implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;
  readonly #answering: Promise<void>[] = [];
  readonly #over = Promise.withResolvers<void>();
  readonly lines: string[] = [];

  constructor(segments: Iterable<Uint8Array>, { ends = false, lines = 1 } = {}) {
    this.#serving = this.#serve([...segments], ends, lines);
  }

  get address() {
    return this.#listener.addr;
  }

  get text(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #serve(segments: Uint8Array[], ends: boolean, lines: number): Promise<void> {
    for await (const conn of this.#listener) {
      this.#answering.push(this.#answer(conn, segments, ends, lines).catch(() => {}));
    }
  }

  async #answer(
    conn: Deno.TcpConn,
    segments: Uint8Array[],
    ends: boolean,
    lines: number,
  ): Promise<void> {
    using _conn = conn;
    conn.setNoDelay(true);
    const buffer = new Uint8Array(1024);
    for (let line = 0; line < lines; line++) {
      const count = await conn.read(buffer);
      if (count === null) break;
      this.lines.push(text(buffer.subarray(0, count)));
      for (const segment of segments) {
        await conn.write(segment);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    if (!ends) await this.#over.promise;
  }

  client(framing: Framing, timeout = 10_000): ClassicClient {
    const { signal } = new AbortController();
    return new ClassicClient(this.address, { framing, timeout, connectTimeout: 10_000, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.resolve();
    this.#listener.close();
    await this.#serving.catch(() => {});
    await Promise.all(this.#answering);
  }
}

function* inBytes(...parts: (string | Uint8Array)[]): Generator<Uint8Array> {
  for (const part of parts) {
    const bytes = typeof part === "string" ? utf8.encode(part) : part;
    for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
  }
}

const json = (keys: object) => headed(JSON.stringify(keys));

Deno.test("ClassicClient.run() takes answers in any segmentation", async () => {
  const output = "hello\n";
  const cases: [Framing, Iterable<Uint8Array>, boolean, boolean][] = [
    ["json", inBytes(json({ filename: "", md5: md5(output), total_size: 6 }), output), false, true],
    ["json", inBytes(json({ md5: "xxdxxx", total_size: 6 }), output), false, false],
    ["json", inBytes(json({ total_size: 6 }), output), false, false],
    ["json", inBytes(json({ md5: null, total_size: 6, more: {} }), output), false, false],
    ["json", inBytes(json({ md5: md5(output).toUpperCase(), total_size: 6 }), output), false, true],
    ["length", inBytes(Uint8Array.of(6, 0, 0, 0), output), false, false],
    ["raw", inBytes(output), true, false],
  ];
  for (const [framing, segments, ends, verified] of cases) {
    await using server = new Foreign(segments, { ends });
    using client = server.client(framing);
    const sink = new Collector();
    const result = await client.run(utf8.encode("ls"), sink);
    assertEquals(text(sink.bytes), output);
    assertEquals(result, { size: 6, verified, whole: true });
    assertEquals(server.lines, ["ls"]);
  }
});

Deno.test("ClassicClient.run() takes line after line on one connection, or one for each in raw framing", async () => {
  for (const framing of FRAMINGS) {
    const segments = {
      json: json({ total_size: 0 }),
      length: new Uint8Array(4),
      raw: utf8.encode("x"),
    };
    await using server = new Foreign([segments[framing]], {
      ends: framing === "raw",
      lines: framing === "raw" ? 1 : 3,
    });
    using client = server.client(framing);
    for (const line of ["one", "two", "three"]) {
      const { size } = await client.run(utf8.encode(line), new Collector());
      assertEquals(size, framing === "raw" ? 1 : 0);
    }
    assertEquals(server.lines, ["one", "two", "three"]);
  }
});

Deno.test("ClassicClient.run() fails where the answer is damaged, cut or none", async () => {
  const cases: [Framing, Uint8Array[], boolean, ErrorCode, string][] = [
    [
      "json",
      [json({ md5: md5("hello"), total_size: 5 }), utf8.encode("hellp")],
      false,
      "checksum_mismatch",
      "",
    ],
    ["json", [json({ total_size: 5 }), utf8.encode("hel")], true, "closed", "behind 3 of 5 bytes"],
    [
      "length",
      [Uint8Array.of(5, 0, 0, 0), utf8.encode("hel")],
      true,
      "closed",
      "behind 3 of 5 bytes",
    ],
    ["length", [Uint8Array.of(5, 0)], true, "closed", "the server ended the connection"],
    ["json", [], true, "closed", "the server ended the connection"],
    ["json", [utf8.encode("HTTP/1.1 400 Bad Request\r\n")], false, "bad_header", ""],
    ["length", [Uint8Array.of(255, 255, 255, 255)], false, "bad_header", ""],
    ["json", [json({ total_size: 5 }), utf8.encode("hel")], false, "timeout", ""],
    ["raw", [], false, "timeout", ""],
  ];
  for (const [framing, segments, ends, code, words] of cases) {
    await using server = new Foreign(segments, { ends });
    using client = server.client(framing, 300);
    await assertCode(code, () => client.run(utf8.encode("ls"), new Collector()), words);
  }
  await using server = new Foreign([utf8.encode("all of it")]);
  using client = server.client("raw", 300);
  const sink = new Collector();
  const result = await client.run(utf8.encode("ls"), sink);
  assertEquals([text(sink.bytes), result], ["all of it", {
    size: 9,
    verified: false,
    whole: false,
  }]);
});

Deno.test("ClassicClient.run() sends no line that cannot be one", async () => {
  await using server = new Foreign([]);
  using client = server.client("json");
  await assertCode("usage", () => client.run(new Uint8Array(), new Collector()));
  await assertCode(
    "too_large",
    () => client.run(new Uint8Array(MAX_LINE_BYTES + 1), new Collector()),
  );
  assertEquals(server.lines, []);
});

Deno.test("ferry exec --classic says once that a placeholder cannot be verified", async () => {
  const answer = [json({ filename: "a.txt", md5: "xxdxxx", total_size: 2 }), utf8.encode("x\n")];
  await using server = new Foreign(answer, { lines: 3 });
  const child = spawnFerry(["exec", "--classic", server.text], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(utf8.encode("a\nb\nc\n"));
  await writer.close();
  const { code, stdout, stderr } = await outcome(child);
  assertEquals([code, stdout], [0, "x\nx\nx\n"]);
  assertEquals(stderr.split("could not be verified").length, 2, stderr);
  assert(stderr.startsWith(">>: ferry: the output could not be verified"), stderr);
});

Deno.test("ferry exec --classic shows output in another encoding, whole or cut in characters", async () => {
  // 中文 in GBK.
  const gbk = Uint8Array.of(0xd6, 0xd0, 0xce, 0xc4, 0x0a);
  await using server = new Foreign(inBytes(json({ md5: md5(gbk), total_size: 5 }), gbk));
  const run = (...args: string[]) => ferry(["exec", "--classic", server.text, ...args, "dir"]);
  assertEquals(await run("--encoding", "gbk"), { code: 0, stdout: "中文\n", stderr: "" });
  const bytes = await spawnFerry(["exec", "--classic", server.text, "dir"]).output();
  assertEquals(bytes.stdout, gbk);
  const unknown = await run("--encoding", "no-such");
  assertEquals([unknown.code, unknown.stdout], [255, ""]);
  assertStringIncludes(unknown.stderr, '--encoding: "no-such" is not known');
});

Deno.test("ferry exec --classic exits with 255 where it fails, and goes on with the next line", async () => {
  const damaged = [json({ md5: md5("hello"), total_size: 5 }), utf8.encode("hellp")];
  await using server = new Foreign(damaged);
  const once = await ferry(["exec", "--classic", server.text, "ls"]);
  assertEquals([once.code, once.stdout], [255, "hellp"]);
  assertStringIncludes(once.stderr, "the output did not arrive as it was sent");
  const child = spawnFerry(["exec", "--classic", server.text], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(utf8.encode("a\nb\n"));
  await writer.close();
  assertEquals([(await outcome(child)).code, server.lines], [255, ["ls", "a", "b"]]);
  for (const args of [["--stdin", "ls"], ["--shell", "ls"], ["ls", "-l"]]) {
    const { code, stderr } = await ferry(["exec", "--classic", server.text, ...args]);
    assertEquals(code, 255);
    assertStringIncludes(stderr, "(see ferry exec --help)");
  }
});

Deno.test("ferry exec --classic --json prints events", async () => {
  await using pair = await startPair();
  const address = pair.server.listening.get("classic-exec")!;
  const { code, stdout } = await ferry(["exec", "--json", "--classic", address, "echo hi"]);
  assertEquals(code, 0);
  const [output, { seconds, ...done }] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(output, { event: "output", op: "exec", stream: "stdout", base64: btoa("hi\n") });
  assertEquals(done, { event: "done", op: "exec", total_size: 3, verified: true, whole: true });
  assert(seconds > 0);
});

Deno.test("ferry exec --classic that is interrupted ends", async () => {
  await using server = new Foreign([]);
  const child = spawnFerry(["exec", "--classic", server.text, "ls"]);
  while (server.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGINT");
  const { code, stderr } = await outcome(child);
  assertEquals([code, stderr], [130, "ferry: interrupted\n"]);
});
