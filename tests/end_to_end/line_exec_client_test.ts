import { Pair } from "../support/pair.ts";
import { ForeignServer, inBytes, json } from "../support/line_exec_server.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ferry, outcome, spawnFerry } from "../support/programs.ts";
import { md5, utf8 } from "../support/bytes.ts";

Deno.test("ferry exec --classic says once that a placeholder cannot be verified", async () => {
  const answer = [json({ filename: "a.txt", md5: "xxdxxx", total_size: 2 }), utf8.encode("x\n")];
  await using server = new ForeignServer(answer, { lines: 3 });
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
  await using server = new ForeignServer(inBytes(json({ md5: md5(gbk), total_size: 5 }), gbk));
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
  await using server = new ForeignServer(damaged);
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
  await using pair = await Pair.start(["--classic-exec", "127.0.0.1:0", "--allow-shell"]);
  const address = pair.server.listening.get("classic-exec")!;
  const { code, stdout } = await ferry(["exec", "--json", "--classic", address, "echo hi"]);
  assertEquals(code, 0);
  const [output, { seconds, ...done }] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(output, { event: "output", op: "exec", stream: "stdout", base64: btoa("hi\n") });
  assertEquals(done, { event: "done", op: "exec", total_size: 3, verified: true, whole: true });
  assert(seconds > 0);
});

Deno.test("ferry exec --classic that is interrupted ends", async () => {
  await using server = new ForeignServer([]);
  const child = spawnFerry(["exec", "--classic", server.text, "ls"]);
  while (server.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGINT");
  const { code, stderr } = await outcome(child);
  assertEquals([code, stderr], [130, "ferry: interrupted\n"]);
});
