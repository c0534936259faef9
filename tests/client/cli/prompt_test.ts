import { assert, assertEquals } from "@std/assert";
import { MAX_DATAGRAM_BYTES } from "../../../lib/udp/datagram.ts";
import { FaultyEcho } from "../../support/faulty_echo.ts";
import { type Outcome, outcome, spawnFerry } from "../../support/programs.ts";
import { utf8 } from "../../support/bytes.ts";

/** Runs `ferry echo` with an input in these pieces; gives what it sent, line by line. */
async function type(...pieces: Uint8Array[]): Promise<Outcome & { sent: Uint8Array[] }> {
  await using echo = await FaultyEcho.start();
  const child = spawnFerry(["echo", "--udp", echo.address], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  const ending = outcome(child);
  try {
    for (const piece of pieces) await writer.write(piece);
    await writer.close();
  } catch {
    // It has ended before the end of its input.
  }
  return { ...await ending, sent: echo.received };
}

Deno.test("promptLines() gives the bytes of each line, and of a last one that has no end", async () => {
  const all = Uint8Array.of(0, 255, 128, 13, 65, 10);
  const { code, stderr, sent } = await type(
    utf8.encode("one\ntwo\r\n\n\r\n th ree \n"),
    all,
    utf8.encode("end"),
  );
  assertEquals(code, 0);
  assertEquals(
    sent,
    ["one", "two", "", "", " th ree "].map((line) => utf8.encode(line)).concat(
      all.subarray(0, 5),
      utf8.encode("end"),
    ),
  );
  assertEquals(stderr, ">>: ".repeat(7));
});

Deno.test("promptLines() takes lines in any pieces", async () => {
  const { sent } = await type(...[..."first line\r\nsecond\n"].map((line) => utf8.encode(line)));
  assertEquals(sent, ["first line", "second"].map((line) => utf8.encode(line)));
});

Deno.test("promptLines() gives nothing for an empty input", async () => {
  const { sent, ...ended } = await type();
  assertEquals(ended, { code: 0, stdout: "", stderr: ">>: " });
  assertEquals(sent, []);
});

Deno.test("promptLines() takes a line of the greatest length, and none that is longer", async () => {
  const longest = new Uint8Array(MAX_DATAGRAM_BYTES).fill(65);
  for (const end of ["\n", "\r\n", ""]) {
    const { code, sent } = await type(longest, utf8.encode(end));
    assertEquals([code, sent.length], [0, 1]);
    assertEquals(sent[0], longest);
  }
  for (const end of ["A\n", "A", "A".repeat(5_000_000)]) {
    const { code, sent, stderr } = await type(utf8.encode("short\n"), longest, utf8.encode(end));
    assertEquals([code, sent], [5, [utf8.encode("short")]]);
    const [line] = stderr.replaceAll(">>: ", "").split("\n");
    assertEquals(line?.replace(/from \S+:/, "from HERE:"), TOO_LONG);
  }
});

Deno.test("promptLines() does not wait for the end of a line that is too long", async () => {
  await using echo = await FaultyEcho.start();
  const child = spawnFerry(["echo", "--udp", echo.address], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  const ending = outcome(child);
  const piece = new Uint8Array(65536).fill(65);
  let taken = 0;
  await (async () => {
    for (; taken < 2 ** 28; taken += piece.length) await writer.write(piece);
  })().catch(() => {});
  assert(taken < 2 ** 24, `${taken} bytes were taken`);
  assertEquals((await ending).code, 5);
});

const TOO_LONG =
  "ferry: Cannot get an echo from HERE: a line of more than 65507 bytes cannot be sent";

Deno.test("promptLines() ends at Ctrl-C while it waits", async () => {
  await using echo = await FaultyEcho.start();
  const child = spawnFerry(["echo", "--udp", echo.address], { stdin: "piped" });
  const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await stderr.read()).value, ">>: ");
  child.kill("SIGINT");
  assertEquals((await child.status).code, 130);
  let rest = "";
  for (let piece; !(piece = await stderr.read()).done;) rest += piece.value;
  assertEquals(rest, "ferry: interrupted\n");
  await child.stdout.cancel();
  await child.stdin.close().catch(() => {});
});
