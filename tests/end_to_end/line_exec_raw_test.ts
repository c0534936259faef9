import { assertEquals } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { runPython } from "../support/python.ts";

/**
 * A client that sends the line from its standard input, prints what a single recv(1024) returns of the answer, and
 * resets the connection, which kills the command if it is still running. With `end`, it half-closes the connection
 * after the line.
 */
function client(port: number, { end = false } = {}): string {
  return [
    "import os, socket, struct, sys",
    `s = socket.create_connection(("127.0.0.1", ${port}))`,
    "s.sendall(sys.stdin.buffer.read())",
    ...(end ? ["s.shutdown(socket.SHUT_WR)"] : []),
    "sys.stdout.buffer.write(s.recv(1024))",
    's.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))',
    "s.close()",
  ].join("\n");
}

/** The arguments of a `ferryd` that answers in raw framing. */
const RAW = ["--classic-exec", "127.0.0.1:0", "--framing", "raw", "--allow-shell"];

/** A line, and what a single recv(1024) returns of its answer. */
type Case = { line: string; answer: string; end?: boolean };

const CASES: Readonly<Record<string, Case>> = {
  "standard output": { line: "echo out", answer: "out\n" },
  "standard error": { line: "echo err >&2", answer: "err\n" },
  "both, in whatever order they were written": {
    line: "echo err >&2; echo out",
    answer: "out\nerr\n",
  },
  "what is written in pieces, a moment apart": {
    line: "echo one; sleep 0.1; echo err >&2; sleep 0.1; echo two; sleep 0.1",
    answer: "one\ntwo\nerr\n",
  },
  "nothing": { line: "true", answer: "", end: true },
  "exactly 1024 bytes": { line: "printf %01024d 0", answer: "0".repeat(1024) },
  "exactly 1024 bytes in two pieces": {
    line: "printf %01023d 0; sleep 0.1; echo",
    answer: `${"0".repeat(1023)}\n`,
  },
  "exactly 1024 bytes of both streams": {
    line: "printf %0500d 0; sleep 0.1; printf %0524d 0 >&2",
    answer: "0".repeat(1024),
  },
  "1025 bytes": { line: "printf %01025d 0", answer: "0".repeat(1024) },
  "1025 bytes of both streams": {
    line: "printf %01024d 0; echo >&2",
    answer: "0".repeat(1024),
  },
  "a line that is refused": {
    line: "a\0b",
    answer: 'ferryd: Cannot run "": the line has the character U+0000\n',
  },
};

Deno.test("classic exec, raw: a short answer arrives in a single recv(1024)", async (t) => {
  await using pair = await Pair.start(RAW);
  const port = pair.server.portOf("classic-exec");
  for (const [title, { line, answer, end = false }] of Object.entries(CASES)) {
    await t.step(title, async () => {
      const { code, stdout, stderr } = await runPython(client(port, { end }), line);
      assertEquals([code, stdout, stderr], [0, answer, ""]);
    });
  }
});

Deno.test("classic exec, raw: what a command prints that does not end is not held back for long", async () => {
  await using pair = await Pair.start(RAW);
  const port = pair.server.portOf("classic-exec");
  const { code, stdout } = await runPython(client(port), "echo first; exec sleep 1000");
  assertEquals([code, stdout], [0, "first\n"]);
  // A long answer is not delayed until the end of the command either.
  const large = await runPython(client(port), "printf %01025d 0; exec sleep 1000");
  assertEquals([large.code, large.stdout.length], [0, 1024]);
});
