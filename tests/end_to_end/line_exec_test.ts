import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Framing, FRAMINGS, MAX_LINE_BYTES } from "../../lib/line_exec/framing.ts";
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

function argsFor(framing: Framing): string[] {
  return ["--classic-exec", "127.0.0.1:0", "--framing", framing, "--allow-shell"];
}

/** A ferryd that listens for classic exec, for one test. */
async function startPair(framing: Framing = "json", args: string[] = []): Promise<Pair> {
  return await Pair.start([...argsFor(framing), ...args]);
}

/** A ferryd that listens for classic exec, which is not stopped. */
async function sharedPair(framing: Framing = "json"): Promise<Pair> {
  return await Pair.shared(argsFor(framing));
}

function connectTo(pair: Pair): Promise<RawPeer> {
  return RawPeer.connect(pair.server.portOf("classic-exec"));
}

/** Reads an answer; with raw framing up to the end of the connection. */
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

/** A client in Python, which can reset its connection: Deno always shuts a connection down first. */
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

for (const framing of FRAMINGS) {
  Deno.test(`classic exec, ${framing}: standard output, then standard error`, async () => {
    await using pair = await sharedPair(framing);
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
    await using pair = await sharedPair(framing);
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
    await using pair = await sharedPair(framing);
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
    await using pair = await sharedPair(framing);
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
  await using pair = await sharedPair();
  using peer = await connectTo(pair);
  for (const [line, output] of [["echo out; echo err >&2", "out\nerr\n"], ["true", ""]] as const) {
    await peer.send(line);
    const { header } = await answerOf(peer, "json");
    assertEquals(header, { filename: line, md5: md5(output), total_size: output.length });
  }
});

/** How many files, pipes and sockets a process has open, where the system reports that. */
function openIn({ pid }: Ferryd): number {
  if (Deno.build.os !== "linux") return 0;
  // The tests have no permission to read /proc themselves.
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).trimEnd().split("\n").length;
}

Deno.test("classic exec: hundreds of commands on one connection leave nothing of them open", async () => {
  await using pair = await sharedPair();
  using peer = await connectTo(pair);
  let before = 0;
  for (let i = 0; i < 200; i++) {
    if (i === 20) before = openIn(pair.server);
    assertEquals(
      await ask(peer, "json", i % 3 === 0 ? "true" : `echo ${i}`),
      i % 3 ? `${i}\n` : "",
    );
  }
  // The last command's resources may still be closed after its answer.
  assert(openIn(pair.server) <= before + 4, "commands leave something open");
});

Deno.test("classic exec: a line of 64 KiB, and one that is longer", async () => {
  await using pair = await sharedPair();
  const line = (size: number) => "echo end #".padEnd(size, "x");
  using peer = await connectTo(pair);
  assertEquals(await ask(peer, "json", line(MAX_LINE_BYTES)), "end\n");
  // Sizes around that of a single read, which is 1024 bytes where the amount to come is not known.
  for (const size of [1000, 1024, 1025]) assertEquals(await ask(peer, "json", line(size)), "end\n");
  assertStringIncludes(
    await ask(peer, "json", line(MAX_LINE_BYTES + 1)),
    `the line is longer than ${MAX_LINE_BYTES} bytes\n`,
  );
  // It is not known where the next line begins.
  assertEquals(await peer.read(1), null);
});

Deno.test("classic exec: a long line that comes in pieces", async () => {
  await using pair = await sharedPair();
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
  await using pair = await sharedPair();
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
    await using pair = await sharedPair(framing);
    using peer = await connectTo(pair);
    await peer.send("sleep 0.3; echo late");
    await peer.end();
    assertEquals((await answerOf(peer, framing)).output, "late\n");
    assertEquals(await peer.read(1), null);
  }
});

Deno.test("classic exec: who has left for good leaves nothing", async () => {
  await using pair = await sharedPair();
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
  assertMatch(stderr, /127\.0\.0\.1:\d+: exec "echo \\+u001b\[2J"/);
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
