import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { Pair } from "../../../../support/pair.ts";
import { allEnded } from "../../../../support/processes.ts";
import type { RawMessage, RawPeer } from "../../../../support/raw_peer.ts";
import { frame } from "../../../../support/raw_peer.ts";
import { md5, text } from "../../../../support/bytes.ts";

/** All messages of a reply to exec, up to its closing header; an error reply is all there is. */
async function replyTo(peer: RawPeer): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  for (;;) {
    const message = await peer.receive();
    assert(message, `the connection ended behind ${messages.length} messages`);
    messages.push(message);
    if (message.header.end === true || message.header.status === "error") return messages;
  }
}

/** The closing header of a reply, and what was written to standard output. */
async function endOf(peer: RawPeer): Promise<{ closing: Record<string, unknown>; stdout: string }> {
  const messages = await replyTo(peer);
  const pieces = messages.filter(({ header }) => header.stream === "stdout");
  return {
    closing: messages.at(-1)!.header,
    stdout: pieces.map(({ body }) => text(body)).join(""),
  };
}

/** Starts a shell and a child of it, and gives their process numbers when they run. */
async function startSleeping(peer: RawPeer, header = {}): Promise<number[]> {
  await peer.send({ op: "exec", command: "sleep 1000 & echo $$ $!; wait; wait", ...header });
  assertEquals((await peer.receive())?.header.status, "ok");
  const piece = await peer.receive();
  return text(piece!.body).trim().split(" ").map(Number);
}

const SHELL = ["--allow-shell"];

Deno.test("exec: the reply is a streamed body with streams, and a closing header with the end", async () => {
  await using pair = await Pair.start([...SHELL, "--exec-timeout", "30s"]);
  using peer = await pair.connect();
  await peer.send({
    op: "exec",
    command: "echo out; sleep 0.1; echo err >&2; exit 3",
    timeout_ms: 20000,
  });
  const [opening, ...rest] = await replyTo(peer);
  assertEquals(opening!.header, { status: "ok", timeout_ms: 20000, md5: null, total_size: null });
  assertEquals(rest.map(({ header, body }) => [header, text(body)]), [
    [{ stream: "stdout", total_size: 4 }, "out\n"],
    [{ stream: "stderr", total_size: 4 }, "err\n"],
    [{
      end: true,
      md5: md5("out\nerr\n"),
      size: 8,
      exit_code: 3,
      signal: null,
      timed_out: false,
    }, ""],
  ]);
  // The server's own limit holds where the client asks for more, or for nothing.
  for (const timeout of [{ timeout_ms: 40000 }, {}]) {
    await peer.send({ op: "exec", command: "true", ...timeout });
    assertEquals((await replyTo(peer))[0]!.header.timeout_ms, 30000);
  }
});

Deno.test("exec: the checksum is of the algorithm that was asked for", async () => {
  await using pair = await Pair.start(SHELL);
  using peer = await pair.connect();
  const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  await peer.send(
    { op: "exec", command: "cat", checksum: "sha256", total_size: null },
    { total_size: 5 },
    "hello",
    { end: true, checksum: sha256("hello"), size: 5 },
  );
  const [opening, ...rest] = await replyTo(peer);
  assertEquals([opening!.header.checksum, opening!.header.md5], ["sha256", undefined]);
  assertEquals([rest.at(-1)!.header.checksum, rest.at(-1)!.header.size], [sha256("hello"), 5]);
});

Deno.test("exec: a command that writes nothing has no piece", async () => {
  await using pair = await Pair.start(SHELL);
  using peer = await pair.connect();
  await peer.send({ op: "exec", command: "true" });
  const messages = await replyTo(peer);
  assertEquals(messages.length, 2);
  assertEquals([messages[1]!.header.size, messages[1]!.header.md5], [0, md5("")]);
});

Deno.test("exec: standard input is the body of the request, in each of its forms", async (t) => {
  await using pair = await Pair.start(SHELL);
  using peer = await pair.connect();
  const exec = { op: "exec", command: "cat; echo end" };
  const closing = { end: true, md5: md5("hello"), size: 5 };
  const forms: [string, (Record<string, unknown> | string)[], string][] = [
    ["absent", [exec], ""],
    ["empty", [{ ...exec, total_size: 0 }], ""],
    ["md5 in front", [{ ...exec, total_size: 5, md5: md5("hello") }, "hello"], "hello"],
    ["md5 behind", [{ ...exec, total_size: 5, md5: null }, "hello", closing], "hello"],
    ["streamed", [
      { ...exec, total_size: null },
      { total_size: 2 },
      "he",
      { total_size: 3 },
      "llo",
      closing,
    ], "hello"],
    ["streamed and empty", [
      { ...exec, total_size: null },
      { end: true, md5: md5(""), size: 0 },
    ], ""],
  ];
  for (const [name, messages, input] of forms) {
    await t.step(name, async () => {
      await peer.send(...messages);
      const { closing, stdout } = await endOf(peer);
      assertEquals([closing.exit_code, stdout], [0, `${input}end\n`]);
    });
  }
  assertEquals(await peer.ask({ op: "ping" }), "ok");
});

Deno.test("exec: input that is not what it should be ends the command before it sees its end", async (t) => {
  await using pair = await Pair.start(SHELL);
  const exec = { op: "exec", command: "cat >/dev/null; touch marker" };
  const failed = { end: true, status: "error", code: "io", message: "it broke" };
  const table: [string, (Record<string, unknown> | string)[], string, string][] = [
    [
      "a wrong md5 in front",
      [{ ...exec, total_size: 5, md5: md5("x") }, "hello"],
      "checksum_mismatch",
      "ok",
    ],
    [
      "a wrong md5 behind",
      [{ ...exec, total_size: 5 }, "hello", { end: true, md5: md5("x"), size: 5 }],
      "checksum_mismatch",
      "ok",
    ],
    [
      "a wrong size behind",
      [{ ...exec, total_size: null }, { end: true, md5: md5(""), size: 1 }],
      "checksum_mismatch",
      "ok",
    ],
    [
      "a source that failed",
      [{ ...exec, total_size: null }, { total_size: 1 }, "x", failed],
      "io",
      "ok",
    ],
    ["an empty piece", [{ ...exec, total_size: null }, { total_size: 0 }], "bad_header", "ended"],
    ["what is no header", [{ ...exec, total_size: null }, "\0\0\0\0"], "bad_header", "ended"],
  ];
  for (const [name, messages, code, after] of table) {
    await t.step(name, async () => {
      using peer = await pair.connect();
      await peer.send(...messages, { op: "ping" });
      const { closing } = await endOf(peer);
      assertEquals([closing.end, closing.status, closing.code], [true, "error", code]);
      assertEquals(await peer.code(), after);
    });
  }
  assertEquals([...Deno.readDirSync(pair.root)].map(({ name }) => name), [".ferry"]);
});

Deno.test("exec: input that nobody reads is read over, and does not hold up the command", async () => {
  await using pair = await Pair.start(SHELL);
  using peer = await pair.connect();
  const input = new Uint8Array(4_000_000);
  await peer.send({ op: "exec", command: "exit 3", total_size: input.length, md5: md5(input) });
  const sending = peer.send(input, { op: "ping" });
  assertEquals((await endOf(peer)).closing.exit_code, 3);
  await sending;
  assertEquals(await peer.code(), "ok");
});

Deno.test("exec: requests behind it wait for their turn", async () => {
  await using pair = await Pair.start(SHELL);
  using peer = await pair.connect();
  await peer.send(
    { op: "exec", command: "sleep 0.1; echo 1 > file" },
    { op: "get", filename: "file" },
    { op: "exec", command: "cat file" },
    { op: "ping" },
  );
  assertEquals((await endOf(peer)).closing.exit_code, 0);
  assertEquals(text((await peer.receive())!.body), "1\n");
  await peer.receive();
  assertEquals((await endOf(peer)).stdout, "1\n");
  assertEquals(await peer.code(), "ok");
});

Deno.test("exec: a client that ends its direction has left, and nothing of the command is left either", async (t) => {
  await using pair = await Pair.start(SHELL);
  const streamed = { total_size: null };
  const table: [string, Record<string, unknown>, Record<string, unknown>[]][] = [
    ["without input", {}, []],
    ["in the middle of its input", streamed, []],
    ["behind its input", streamed, [{ end: true, md5: md5(""), size: 0 }]],
    ["with more requests on their way", {}, [{ op: "ping" }, { op: "ping" }]],
  ];
  for (const [name, header, more] of table) {
    await t.step(name, async () => {
      using peer = await pair.connect();
      const pids = await startSleeping(peer, header);
      await peer.send(...more);
      await peer.end();
      const { closing } = await endOf(peer);
      assertEquals([closing.status, closing.code], ["error", "closed"]);
      await allEnded(pids);
    });
    await t.step(`${name}, altogether`, async () => {
      const peer = await pair.connect();
      const pids = await startSleeping(peer, header);
      await peer.send(...more);
      peer[Symbol.dispose]();
      await allEnded(pids);
    });
  }
  await t.step("while the command writes", async () => {
    const peer = await pair.connect();
    await peer.send({ op: "exec", command: "echo $$; exec yes" });
    await peer.receive();
    const piece = await peer.receive();
    peer[Symbol.dispose]();
    await allEnded([Number(text(piece!.body).split("\n")[0])]);
  });
});

Deno.test("exec: what a command is given must be one of its forms", async () => {
  await using pair = await Pair.start([...SHELL, "--allow-exec", "true"]);
  using peer = await pair.connect();
  const table: [Record<string, unknown>, string][] = [
    [{}, "the header has to have either argv or command"],
    [{ argv: ["true"], command: "true" }, "the header has to have either argv or command"],
    [{ argv: [] }, "argv names no command"],
    [{ argv: [""] }, "argv names no command"],
    [{ argv: "true" }, "argv is not an array"],
    [{ argv: ["true", 1] }, "argv.1 is not a string"],
    [{ argv: ["true", "a\0"] }, "argv.1 has the character U+0000"],
    [{ argv: ["true", "\ud800"] }, "argv.1 is not well-formed Unicode"],
    [{ argv: null }, "argv is not an array"],
    [{ command: 1 }, "command is not a string"],
    [{ command: "\0" }, "command has the character U+0000"],
    [{ argv: ["true"], timeout_ms: 0 }, "timeout_ms is less than 1"],
    [{ argv: ["true"], timeout_ms: 1.5 }, "timeout_ms is not an integer"],
    [{ argv: ["true"], timeout_ms: 2 ** 31 }, "timeout_ms is more than 2147483647"],
    [{ argv: ["true"], timeout_ms: "1s" }, "timeout_ms is not a number"],
  ];
  for (const [keys, reason] of table) {
    await peer.send({ op: "exec", ...keys });
    const [reply] = await replyTo(peer);
    assertEquals(reply!.header.code, "bad_header");
    assertStringIncludes(String(reply!.header.message), reason);
  }
  // A body is read over first.
  await peer.send({ op: "exec", argv: ["rm"], total_size: 5, md5: md5("hello") }, "hello");
  assertEquals((await replyTo(peer))[0]!.header.code, "denied");
  assertEquals(await peer.ask({ op: "ping" }), "ok");
});

Deno.test("exec: a command that is not UTF-8, or longer than a header, ends the connection", async () => {
  await using pair = await Pair.start(SHELL);
  {
    using peer = await pair.connect();
    const json = frame({ op: "exec", command: "echo @" });
    json[json.indexOf("@".charCodeAt(0))] = 0xff;
    await peer.send(json);
    assertEquals([await peer.code(), await peer.code()], ["bad_header", "ended"]);
  }
  {
    using peer = await pair.connect();
    await peer.send({ op: "exec", command: `: ${"x".repeat(65536)}` });
    assertEquals([await peer.code(), await peer.code()], ["bad_header", "ended"]);
  }
  {
    using peer = await pair.connect();
    await peer.send({ op: "exec", command: `: ${"x".repeat(65000)}; echo ok` });
    assertEquals((await endOf(peer)).stdout, "ok\n");
  }
});

Deno.test("exec: who is silent while the command runs is not given up", async () => {
  await using pair = await Pair.start([...SHELL, "--idle-timeout", "200ms"]);
  using peer = await pair.connect();
  await peer.send({ op: "exec", command: "sleep 0.7; cat; echo end", total_size: null });
  await peer.receive();
  const opened = performance.now();
  while (performance.now() - opened < 500) await new Promise((resolve) => setTimeout(resolve, 50));
  await peer.send({ end: true, md5: md5(""), size: 0 });
  assertEquals((await endOf(peer)).stdout, "end\n");
  // Afterwards it is, as ever.
  assertEquals(await peer.code(), "ended");
});

Deno.test("exec: the log tells who asked for what", async () => {
  await using pair = await Pair.start(["--allow-exec", "true"]);
  using peer = await pair.connect();
  await peer.send({ op: "exec", argv: ["true", "a b"] });
  await replyTo(peer);
  await peer.send({ op: "exec", argv: ["rm", "-rf", "/"] });
  await replyTo(peer);
  await peer.send({ op: "exec", command: "reboot\n\x1b[2J" });
  await replyTo(peer);
  peer[Symbol.dispose]();
  const { stderr } = await pair.server.stop();
  const log = stderr.split("\n").map((line) => line.replace(/^.*server: /, ""));
  assert(
    log.some((line) => /^127\.0\.0\.1:\d+: exec "true \\"a b\\"": .*exit status 0/.test(line)),
    stderr,
  );
  assert(log.some((line) => /exec "rm -rf \/": .* "rm".*\(denied\)/.test(line)), stderr);
  assert(log.some((line) => /exec "reboot.*no lines to a shell.*denied/.test(line)), stderr);
  assert(!stderr.includes("\x1b"), "control characters reached the log");
});

Deno.test("exec: a server that is told to end kills what runs, when its time is up", async (t) => {
  const trapped = { command: "trap '' TERM; sleep 1000 & echo $$ $!; wait; wait" };
  for (
    const [name, header] of [["what ends when it is told to", {}], [
      "what does not",
      trapped,
    ]] as const
  ) {
    await t.step(name, async () => {
      await using pair = await Pair.start([...SHELL, "--drain-timeout", "100ms"]);
      using peer = await pair.connect();
      const pids = await startSleeping(peer, header);
      assertEquals((await pair.server.stop("SIGTERM")).code, 0);
      await allEnded(pids);
    });
  }
});

Deno.test("exec: a server that is told to end lets a command finish that soon ends by itself", async () => {
  await using pair = await Pair.start([...SHELL, "--drain-timeout", "20s"]);
  using peer = await pair.connect();
  await peer.send({ op: "exec", command: "echo $$; sleep 0.5; echo end", total_size: 0 });
  await peer.receive();
  await peer.receive();
  const stopped = pair.server.stop("SIGTERM");
  assertEquals((await endOf(peer)).stdout, "end\n");
  assertEquals((await stopped).code, 0);
});

Deno.test("exec: a server that is told twice to end kills what runs at once", async () => {
  await using pair = await Pair.start([...SHELL, "--drain-timeout", "60s"]);
  using peer = await pair.connect();
  const pids = await startSleeping(peer, {
    command: "trap '' TERM; sleep 1000 & echo $$ $!; wait; wait",
  });
  Deno.kill(pair.server.pid, "SIGTERM");
  // What follows within half a second would be the same keystroke.
  await new Promise((resolve) => setTimeout(resolve, 700));
  assertEquals((await pair.server.stop("SIGTERM")).code, 1);
  await allEnded(pids);
});
