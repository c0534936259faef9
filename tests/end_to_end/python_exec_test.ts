import { assertEquals, assertMatch } from "@std/assert";
import { FRAMINGS } from "../../lib/line_exec/framing.ts";
import { Pair } from "../support/pair.ts";
import { ferry, outcome, spawnFerry } from "../support/programs.ts";
import { PythonListener, talkPython } from "../support/python.ts";

for (const framing of FRAMINGS) {
  const script = `classic_exec_${framing}`;

  Deno.test(`ferryd runs commands for ${script}_client.py`, async () => {
    await using p = await Pair.start([
      ...["--classic-exec", "127.0.0.1:0", "--framing", framing, "--allow-shell"],
    ]);
    const address = p.server.listening.get("classic-exec")!;
    const input = "echo one\necho 文件\necho err >&2\nno-such-command\n";
    const { code, stdout, stderr } = await talkPython(`${script}_client.py`, address, input);
    assertEquals([code, stderr], [0, ""]);
    const head = framing === "json" ? "\\['filename', 'md5', 'total_size'\\]\n" : "";
    assertMatch(
      stdout,
      new RegExp(
        ["one", "文件", "err", ".*no-such-command: .*not found"]
          .map((output) => `>>: ${head}${output}\n\n`).join("") + ">>: $",
      ),
    );
    if (framing === "raw") return;
    // A command without output is answered too, and a long output is read in pieces.
    const more = await talkPython(`${script}_client.py`, address, "true\nseq 10000\necho last\n");
    assertEquals([more.code, more.stdout.includes("\n9999\n10000\n")], [0, true]);
    assertMatch(more.stdout, /last\n\n>>: $/);
  });

  Deno.test(`ferry exec --classic asks ${script}_server.py`, async () => {
    await using server = await PythonListener.start(`${script}_server.py`);
    const args = ["exec", "--classic", server.address, "--framing", framing];
    const run = async (line: string) => await ferry([...args, line]);
    const unverified = framing === "json"
      ? "ferry: the output could not be verified: the md5 that the server tells is none\n"
      : "";
    assertEquals(await run("echo out; echo err >&2"), {
      code: 0,
      stdout: "out\nerr\n",
      stderr: unverified,
    });
    assertEquals(await run("true"), { code: 0, stdout: "", stderr: "" });
    assertMatch((await run("no-such-command")).stdout, /no-such-command: .*not found\n$/);
    const large = await run("seq 100000");
    assertEquals(large.stdout.length, 588895);
    const child = spawnFerry(args, { stdin: "piped" });
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("echo one\ntrue\necho two\n"));
    await writer.close();
    const { code, stdout } = await outcome(child);
    assertEquals([code, stdout], [0, "one\ntwo\n"]);
  });
}
