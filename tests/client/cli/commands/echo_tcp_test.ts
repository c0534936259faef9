import { assert, assertEquals, assertMatch } from "@std/assert";
import { Pair } from "../../../support/pair.ts";
import { ferry } from "../../../support/programs.ts";
import { counts, events, talk, upper, withTcpServer } from "../../../support/echo_runs.ts";

Deno.test("ferry echo over TCP takes replies in any pieces", async () => {
  await withTcpServer(async (conn) => {
    for (let bytes; (bytes = await upper(conn));) {
      for (const byte of bytes) await conn.write(Uint8Array.of(byte));
    }
  }, async (address) => {
    const ended = await ferry([
      ...["echo", "--tcp", address, "--count", "5"],
      ...["--interval", "0", "--size", "1000", "--json"],
    ]);
    assertEquals(counts(ended), [5, 5, 0, 0, 0, 0, 0]);
    const text = await ferry(["echo", "--tcp", address, "to pieces"]);
    assertEquals(text, { code: 0, stdout: "TO PIECES\n", stderr: "" });
  });
});

Deno.test("ferry echo over TCP sends and reads at the same time", async () => {
  await using p = await Pair.start(["--tcp-echo", "127.0.0.1:0"]);
  // More than the systems keep for a connection.
  const args = ["--tcp", p.server.listening.get("tcp-echo")!, "--size", "16MiB", "--count", "2"];
  const ended = await p.run("echo", ...args, "--interval", "0", "--timeout", "60s", "--json");
  assertEquals(counts(ended), [2, 2, 0, 0, 0, 0, 0]);
});

Deno.test("ferry echo over TCP reports that the server ends the connection", async () => {
  await withTcpServer(async (conn, which) => {
    for (let i = 0; i < (which === 0 ? 2 : 0); i++) await conn.write((await upper(conn))!);
    await upper(conn);
  }, async (address) => {
    // Two probes must not arrive as one piece, on a busy machine neither.
    const ping = ["echo", "--tcp", address, "--count", "10", "--interval", "300ms"];
    const some = await ferry(ping);
    assertMatch(some.stdout, /^seq=3: the server ended the connection$/m);
    // The end may be seen only after another one was sent.
    assertMatch(some.stdout, /^\d+ sent, 2 received, /m);
    const message = `ferry: Cannot get an echo from ${address}: the server ended the connection\n`;
    assertEquals([some.code, some.stderr], [6, message]);
    const none = await ferry(ping);
    assertEquals([none.code, none.stderr], [6, message]);
    const text = await ferry(["echo", "--tcp", address, "hello"]);
    assertEquals([text.code, text.stderr, text.stdout], [6, message, ""]);
  });
});

Deno.test("ferry echo over TCP gives up a server that does not answer", async () => {
  await withTcpServer(async (conn, which) => {
    // The first connection is taken and forgotten, the one after it is served.
    for (let bytes; (bytes = await upper(conn));) if (which > 0) await conn.write(bytes);
  }, async (address) => {
    const args = ["echo", "--tcp", address, "--timeout", "200ms"];
    const { code, stdout, stderr } = await talk(args, "first\n\nsecond\n");
    assertEquals([code, stdout], [0, "SECOND\n"]);
    const message = `ferry: Cannot get an echo from ${address}: no answer for 0.2 s\n`;
    assertEquals(stderr, `>>: ${message}>>: >>: >>: `);
  });
});

Deno.test("ferry echo over TCP does not hang where the server takes nothing", async () => {
  const ended = Promise.withResolvers<void>();
  await withTcpServer(async (conn, which) => {
    if (which === 1) await conn.write((await upper(conn))!.subarray(0, 1));
    await ended.promise;
  }, async (address) => {
    const args = ["echo", "--tcp", address, "--timeout", "300ms", "--interval", "0"];
    const ping = await ferry([...args, "--count", "5", "--size", "16MiB"]);
    assertMatch(ping.stdout, /^1 sent, 0 received, 100% loss/m);
    const text = await ferry([...args.slice(0, 5), "hello"]);
    const message = `ferry: Cannot get an echo from ${address}: no answer for 0.3 s\n`;
    assertEquals([ping.code, ping.stderr], [6, message]);
    assertEquals([text.code, text.stderr, text.stdout], [6, message, ""]);
    ended.resolve();
  });
});

Deno.test("ferry echo over TCP connects again for a next line", async () => {
  await withTcpServer(async (conn) => {
    await conn.write((await upper(conn))!);
    await upper(conn);
  }, async (address) => {
    const { code, stdout } = await talk(["echo", "--tcp", address, "-q", "--json"], "a\nb\nc\nd\n");
    assertEquals(events({ code, stdout, stderr: "" }).map(({ code }) => code), [
      "closed",
      "closed",
    ]);
    assertEquals(code, 0);
    const { stdout: answers } = await talk(["echo", "--tcp", address], "a\nb\nc\nd\n");
    assertEquals(answers, "A\nC\n");
  });
});

Deno.test("ferry echo over TCP reads the answer to a long line while it sends the line", async () => {
  await using p = await Pair.start(["--tcp-echo", "127.0.0.1:0"]);
  const line = "more than the systems keep\t".repeat(500_000);
  const args = ["echo", "--tcp", p.server.listening.get("tcp-echo")!];
  const { code, stdout } = await talk(args, `${line}\nnext\n`);
  assert(stdout === `${line.toUpperCase()}\nNEXT\n`);
  assertEquals(code, 0);
});
