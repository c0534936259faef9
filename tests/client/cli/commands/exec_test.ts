import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Pair } from "../../../support/pair.ts";
import { allEnded } from "../../../support/processes.ts";
import {
  ferry,
  outcome,
  programArgs,
  PROJECT,
  spawnFerry,
  TempDir,
} from "../../../support/programs.ts";
import { md5 } from "../../../support/bytes.ts";

const SHELL = ["--allow-shell"];

/** The numbers in the first line that a program writes; the rest of its output is thrown away. */
async function announced(child: Deno.ChildProcess): Promise<number[]> {
  const [own, rest] = child.stdout.tee();
  void new Response(rest).bytes().catch(() => {});
  const reader = own.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) text += (await reader.read()).value ?? "\n";
  await reader.cancel();
  return text.split("\n")[0]!.split(" ").map(Number);
}

Deno.test("ferry exec writes what the command writes, and ends with its status", async () => {
  await using pair = await Pair.start([...SHELL, "--allow-exec", "printf"]);
  assertEquals(await pair.run("exec", "--", "printf", "%s|", "a b", "$(x)", "--help", "-q", "--"), {
    code: 0,
    stdout: "a b|$(x)|--help|-q|--|",
    stderr: "",
  });
  assertEquals(await pair.run("exec", "--shell", "echo out; echo err >&2; exit 7"), {
    code: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
  assertEquals((await pair.run("exec", "--shell", "true")).code, 0);
  assertEquals((await pair.run("exec", "--shell", "kill -9 $$")).code, 137);
  assertEquals((await pair.run("exec", "--shell", "exit 255")).code, 255);
});

Deno.test("ferry exec takes options in front of the command only", async () => {
  await using pair = await Pair.start(["--allow-exec", "echo"]);
  const { address } = pair.server;
  for (
    const args of [["-q", "echo", "-q"], ["--quiet", `-s${address}`, "echo", "-q"], [
      "-qs",
      address,
      "echo",
      "-q",
    ], ["--server", address, "--", "echo", "-q"]]
  ) {
    assertEquals(await ferry(["exec", ...args], { server: address }), {
      code: 0,
      stdout: "-q\n",
      stderr: "",
    }, args.join(" "));
  }
  assertStringIncludes((await pair.run("exec", "--help")).stdout, "Usage: ferry exec");
  assertEquals((await pair.run("exec", "echo", "x", "--help")).stdout, "x --help\n");
});

Deno.test("ferry exec hands standard input on with --stdin, and does not without", async () => {
  await using pair = await Pair.shared(SHELL);
  const run = async (args: string[], input: string) => {
    const { address: server } = pair.server;
    const child = spawnFerry(["exec", ...args], { server, stdin: "piped" });
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
    return await outcome(child);
  };
  const input = "x".repeat(1_000_000);
  const sum = { code: 0, stdout: `${md5(input)}  -\n`, stderr: "" };
  assertEquals(await run(["--stdin", "--shell", "md5sum"], input), sum);
  assertEquals((await run(["--shell", "md5sum"], input)).stdout, `${md5("")}  -\n`);
  // It ends with the command, though its own input goes on.
  const child = spawnFerry(["exec", "--stdin", "--shell", "head -n 1"], {
    server: pair.server.address,
    stdin: "piped",
  });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("one\n"));
  assertEquals(await outcome(child), { code: 0, stdout: "one\n", stderr: "" });
  await writer.close().catch(() => {});
});

Deno.test("ferry exec writes any bytes, and any amount of them", async () => {
  await using pair = await Pair.start([...SHELL, "--exec-output-limit", "1GiB"]);
  const size = 50_000_000;
  for (const stream of ["", ">&2"]) {
    const child = spawnFerry(["exec", "--shell", `head -c ${size} /dev/zero ${stream}`], {
      server: pair.server.address,
    });
    const { code, stdout, stderr } = await child.output();
    assertEquals(code, 0);
    const [full, empty] = stream === "" ? [stdout, stderr] : [stderr, stdout];
    assertEquals([full.length, full.findLast((byte) => byte !== 0), empty.length], [
      size,
      undefined,
      0,
    ]);
  }
  const script = "printf '\\377\\000\\200 \\r\\n'";
  const { stdout } = await spawnFerry(["exec", "--shell", script], { server: pair.server.address })
    .output();
  assertEquals([...stdout], [255, 0, 128, 32, 13, 10]);
});

Deno.test("ferry exec --timeout kills the command and exits with 124", async () => {
  await using pair = await Pair.shared(SHELL);
  const script = "sleep 1000 & echo $$ $!; wait";
  const { code, stdout, stderr } = await pair.run("exec", "--timeout", "300ms", "--shell", script);
  assertEquals(code, 124);
  assertEquals(stderr, "ferry: the command was killed: its time was up\n");
  await allEnded(stdout.trim().split(" ").map(Number));
  // The same word of the environment is about silent servers.
  const { address: server } = pair.server;
  const patient = await ferry(["exec", "--shell", "sleep 0.5; exit 3"], {
    server,
    env: { FERRY_TIMEOUT: "100ms" },
  });
  assertEquals(patient.code, 3);
});

Deno.test("ferryd --exec-timeout kills the command and ferry exits with 124", async () => {
  await using pair = await Pair.start([...SHELL, "--exec-timeout", "300ms"]);
  const { code, stdout } = await pair.run("exec", "--shell", "sleep 1000 & echo $$ $!; wait");
  assertEquals(code, 124);
  await allEnded(stdout.trim().split(" ").map(Number));
});

Deno.test("ferry exec exits with 255 where ferry itself fails", async (t) => {
  await using pair = await Pair.start(["--allow-exec", "head", "--exec-output-limit", "1k"]);
  const table: [string[], string][] = [
    [["rm", "-rf", "x"], 'Cannot run "rm -rf x": the server does not allow the command "rm"'],
    [["--shell", "true"], 'Cannot run "true": the server hands no lines to a shell'],
    [["head", "-c", "1001", "/dev/zero"], "its output is larger than 1000 bytes"],
    [["head", "x".repeat(70_000)], "a command and its arguments have room in 65536 bytes only"],
    [[], "No command was named"],
    [["--shell", "true", "false"], "there is no place for"],
    [["--no-such-option", "true"], "There is no option --no-such-option"],
    [["--timeout", "soon", "true"], "--timeout takes a time"],
    [["--timeout", "0s", "true"], "--timeout is more than 0"],
    [["--encoding", "gbk", "true"], "--encoding is for --classic only"],
    [["--retries", "0", "--server", "127.0.0.1:1", "true"], "connection refused"],
  ];
  for (const [args, words] of table) {
    await t.step(args.join(" ").slice(0, 40), async () => {
      const { code, stderr } = await pair.run("exec", ...args);
      assertEquals(code, 255);
      assertStringIncludes(stderr, words);
      assertMatch(stderr, /^ferry: [^\n]*\n$/);
    });
  }
});

Deno.test("ferry exec that is interrupted ends the command", async (t) => {
  await using pair = await Pair.shared(SHELL);
  const script = "trap '' TERM INT; sleep 1000 & echo $$ $!; wait; wait";
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGKILL", 137]] as const) {
    await t.step(signal, async () => {
      const child = spawnFerry(["exec", "--shell", script], { server: pair.server.address });
      const pids = await announced(child);
      child.kill(signal);
      const stderr = await new Response(child.stderr).text();
      assertEquals((await child.status).code, code);
      assertEquals(stderr, signal === "SIGKILL" ? "" : "ferry: interrupted\n");
      await allEnded(pids);
    });
  }
});

Deno.test("ferry exec ends with its reader, and so does the command", async () => {
  await using pair = await Pair.shared(SHELL);
  const child = spawnFerry(["exec", "--shell", "echo $$; exec yes"], {
    server: pair.server.address,
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const [line] = new TextDecoder().decode(value).split("\n");
  await reader.cancel();
  assertEquals((await child.status).code, 141);
  await child.stderr.cancel();
  await allEnded([Number(line)]);
});

Deno.test("ferry exec --json prints the output and the end as events", async () => {
  await using pair = await Pair.shared(SHELL);
  const { code, stdout, stderr } = await pair.run("exec", "--json", "--shell", "echo hi; exit 3");
  assertEquals([code, stderr], [3, ""]);
  const [output, done, ...rest] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(output, { event: "output", op: "exec", stream: "stdout", base64: btoa("hi\n") });
  const { seconds, ...others } = done;
  assert(seconds > 0);
  assertEquals(others, {
    event: "done",
    op: "exec",
    exit_code: 3,
    signal: null,
    timed_out: false,
    md5: md5("hi\n"),
    total_size: 3,
  });
  assertEquals(rest, []);
  const denied = await pair.run("exec", "--json", "rm");
  const { event, op, code: reason } = JSON.parse(denied.stdout);
  assertEquals([denied.code, event, op, reason], [255, "error", "exec", "denied"]);
});

Deno.test("scripting.md and operating.md show tasks of another project that work", async () => {
  const read = (name: string) => Deno.readTextFileSync(`${PROJECT}docs/${name}`);
  const [, json] = /```json\n(\{\n {2}"tasks"[^]*?)```/.exec(read("scripting.md"))!;
  const commands = /serve:exec --root \S+ (.*)/.exec(read("operating.md"))![1]!.split(" ");
  assertEquals(commands, ["du", "tail", "wc"].flatMap((name) => ["--allow-exec", name]));
  await using pair = await Pair.start(commands);
  pair.dir.write("root/access.log", "one\ntwo\n");
  pair.write("deno.json", json!.replaceAll("../ferry/", PROJECT));
  pair.write("notes.txt", "three little words\n");
  Deno.mkdirSync(`${pair.cwd}/dist`);
  pair.write("dist/index.html", "hi\n");
  const task = async (...args: string[]) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", ...args],
      cwd: pair.cwd,
      env: { FERRY_SERVER: pair.server.address },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return await outcome(child);
  };
  assertMatch((await task("publish")).stdout, /^[0-9a-f]{32} {2}site\/index.html\n\S+\tsite\n$/);
  assertEquals(await task("logs"), { code: 0, stdout: "one\ntwo\n", stderr: "" });
  assertEquals(await task("count"), { code: 0, stdout: "3\n", stderr: "" });
  Deno.removeSync(`${pair.root}/access.log`);
  assertEquals((await task("logs")).code, 1);
});

Deno.test("ferryd that may not run commands says so when it is to", async () => {
  await using dir = new TempDir();
  const table: [string[], string][] = [
    [["--allow-exec", "true"], "without the permission to run"],
    [["--allow-shell"], "deno task serve:exec"],
  ];
  for (const [args, words] of table) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...programArgs("ferryd"), "--root", dir.path, "--listen", "127.0.0.1:0", ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, stdout, stderr } = await outcome(child);
    assertEquals([code, stdout], [3, ""]);
    assertStringIncludes(stderr, words);
  }
});

Deno.test("ferryd needs to run no more than the commands that it allows, and kill", async () => {
  await using dir = new TempDir();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-net", "--allow-read", "--allow-write"],
      ...["--allow-env", "--allow-sys=osUptime", "--allow-run=sh,kill", "server/main.ts"],
      ...["--root", dir.path, "--listen", "127.0.0.1:0", "--allow-shell"],
    ],
    cwd: new URL("../../../..", import.meta.url).pathname,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let said = "";
    while (!said.includes("ready")) said += (await lines.read()).value ?? "(it ended) ready";
    const server = /tcp (\S+)/.exec(said)?.[1] ?? "";
    const script = "trap '' TERM; sleep 1000 & echo $$ $!; wait; wait";
    const run = await ferry(["exec", "--timeout", "200ms", "--shell", script], { server });
    assertEquals(run.code, 124);
    await allEnded(run.stdout.trim().split(" ").map(Number));
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await lines.cancel();
  }
});
