import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  type Client,
  connect,
  type ErrorCode,
  type ExecPolicy,
  type ExecResult,
  FerryError,
  FsStorage,
  serve,
  type Server,
} from "../../../mod.ts";
import { MAX_HEADER_BYTES } from "../../../lib/wire/codec.ts";
import { AllowedCommands } from "../../../server/exec/allowed_commands.ts";
import type { RunningCommand } from "../../../server/exec/running_command.ts";
import { allEnded } from "../../support/processes.ts";
import { TempDir } from "../../support/programs.ts";
import { md5, text, utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** A server in this process that runs commands, and a client. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly #storage = FsStorage.open(this.dir.path, { durability: "none" });
  server!: Server;
  client!: Client;

  static async start(policy: Partial<ExecPolicy> = { shell: true }): Promise<Fixture> {
    const fixture = new Fixture();
    const exec = { cwd: fixture.dir.path, ...policy };
    fixture.server = await serve({ storage: fixture.#storage, listen: "127.0.0.1:0", exec });
    fixture.client = await connect(`127.0.0.1:${fixture.server.addresses[0]!.port}`);
    return fixture;
  }

  sh(shell: string, options = {}): Promise<ExecResult> {
    return this.client.exec({ shell }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.server.close({ drainTimeout: 0 });
    await this.#storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** All that a command writes, and how it ended. */
async function collect(command: RunningCommand) {
  const output = command.output();
  let [stdout, stderr] = ["", ""];
  for (;;) {
    const { value, done } = await output.next();
    if (done) return { stdout, stderr, ...value };
    if (value.stream === "stdout") stdout += text(value.bytes);
    else stderr += text(value.bytes);
  }
}

Deno.test("Client.exec() gives the output, apart and verified, and the exit status", async () => {
  await using f = await Fixture.start();
  const result = await f.sh("echo out; echo err >&2; echo out; exit 7");
  assertEquals([text(result.stdout), text(result.stderr)], ["out\nout\n", "err\n"]);
  assertEquals([result.exitCode, result.signal, result.timedOut, result.size], [
    7,
    null,
    false,
    12,
  ]);
  assertEquals((await f.sh("true")).md5, md5(""));
  assertEquals(
    (await f.sh("printf 'any \\377\\000 bytes'")).md5,
    md5(Uint8Array.of(
      ...utf8.encode("any "),
      255,
      0,
      ...utf8.encode(" bytes"),
    )),
  );
});

Deno.test("Client.exec() gives arguments as they are", async () => {
  await using f = await Fixture.start({ allow: ["printf"] });
  const args = [
    "two words",
    "a 'single' quote",
    'a "double" quote',
    "; touch injected",
    "$(touch injected)",
    "`touch injected`",
    "$HOME",
    "*",
    "",
    "a\nline\n",
    "\\n",
    "-n",
    "--",
    "ünï 文件 🚢",
    "x".repeat(50_000),
  ];
  const { stdout } = await f.client.exec(["printf", "%s\\0", ...args]);
  assertEquals(text(stdout).split("\0"), [...args, ""]);
  assertEquals([...Deno.readDirSync(f.dir.path)].map(({ name }) => name), [".ferry"]);
});

Deno.test("Client.exec() refuses what cannot be an argument", async () => {
  await using f = await Fixture.start({ allow: ["echo"], shell: true });
  for (const command of [["echo", "a\0b"], ["echo", "\ud800"], [], [""], { shell: "a\0b" }]) {
    await assertCode("bad_header", () => f.client.exec(command));
  }
  const long = f.client.exec(["echo", "x".repeat(MAX_HEADER_BYTES)]);
  await assertCode("too_large", () => long, `${MAX_HEADER_BYTES} bytes only`);
  // All of this leaves the connection as it was.
  assertEquals(text((await f.client.exec(["echo", "ok"])).stdout), "ok\n");
});

Deno.test("Client.exec() runs in the given directory", async () => {
  await using f = await Fixture.start();
  assertEquals(text((await f.sh("pwd -P")).stdout), `${Deno.realPathSync(f.dir.path)}\n`);
});

Deno.test("Client.exec() gives an environment that is clear but for a short list", async () => {
  Deno.env.set("FERRY_TEST_SECRET", "x");
  await using f = await Fixture.start({ allow: ["env"] });
  const { stdout } = await f.client.exec(["env"]);
  const names = text(stdout).trim().split("\n").map((line) => line.split("=")[0]!);
  assert(names.includes("PATH"));
  const known = /^(PATH|HOME|USER|LOGNAME|LANG|LC_ALL|LC_CTYPE|TZ|TMPDIR)$/;
  assertEquals(names.filter((name) => !known.test(name)), []);
});

Deno.test("Client.exec() hands output on while the command runs, and input too", async () => {
  await using f = await Fixture.start({ allow: ["cat"] });
  const heard = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  let count = 0;
  // Each line is sent when the one before has come back: what anybody held back would hang this.
  async function* stdin() {
    yield utf8.encode("one\n");
    assertEquals(await heard[0]!.promise, "one\n");
    yield utf8.encode("two\n");
    assertEquals(await heard[1]!.promise, "two\n");
  }
  const { exitCode, md5: sum } = await f.client.exec(["cat"], {
    stdin: stdin(),
    stdout: {
      write(bytes) {
        heard[count++]!.resolve(text(bytes));
        return Promise.resolve();
      },
    },
  });
  assertEquals([exitCode, sum], [0, md5("one\ntwo\n")]);
});

Deno.test("Client.exec() sends any input, and none unless it is given", async () => {
  await using f = await Fixture.start({ allow: ["cat", "true", "head"] });
  assertEquals(text((await f.client.exec(["cat"])).stdout), "");
  for (const size of [0, 1, 65536, 3_000_000]) {
    const stdin = crypto.getRandomValues(new Uint8Array(Math.min(size, 65536)));
    const all = new Uint8Array(size).map((_, i) => stdin[i % 65536]!);
    assertEquals((await f.client.exec(["cat"], { stdin: all })).md5, md5(all), `${size}`);
  }
  // What a command does not read is not sent, or read over: the connection goes on.
  const endless = async function* () {
    for (;;) yield await Promise.resolve(new Uint8Array(10_000));
  };
  assertEquals((await f.client.exec(["true"], { stdin: endless() })).exitCode, 0);
  assertEquals((await f.client.exec(["head", "-c", "5"], { stdin: endless() })).size, 5);
  const silent = async function* () {
    yield utf8.encode("hello");
    await new Promise(() => {});
  };
  assertEquals((await f.client.exec(["head", "-c", "5"], { stdin: silent() })).size, 5);
  await f.client.ping();
});

Deno.test("Client.exec() fails with what its input fails with, and the command ends", async () => {
  await using f = await Fixture.start();
  const source = Promise.withResolvers<void>();
  const failing = async function* () {
    yield utf8.encode("x");
    await source.promise;
  };
  const pids: number[] = [];
  const running = f.sh("sleep 1000 & echo $$ $!; wait", {
    stdin: failing(),
    stdout: {
      write(bytes: Uint8Array) {
        pids.push(...text(bytes).trim().split(" ").map(Number));
        source.reject(new FerryError("io", "it broke"));
        return Promise.resolve();
      },
    },
  });
  await assertCode("io", () => running, "it broke");
  await allEnded(pids);
});

Deno.test("Client.exec() fails with what a sink fails with, and the command ends", async () => {
  await using f = await Fixture.start();
  const pids: number[] = [];
  const stdout = {
    write(bytes: Uint8Array) {
      pids.push(...text(bytes).split("\n")[0]!.split(" ").map(Number));
      return Promise.reject(new FerryError("no_space", "it is full"));
    },
  };
  await assertCode(
    "no_space",
    () => f.sh("sleep 1000 & echo $$ $!; yes", { stdout }),
    "it is full",
  );
  await allEnded(pids.slice(0, 2));
  // The client makes another connection.
  assertEquals((await f.sh("exit 3")).exitCode, 3);
});

Deno.test("Client.exec() ends the command and its children when its signal gives up", async () => {
  await using f = await Fixture.start();
  const stop = new AbortController();
  const pids: number[] = [];
  const stdout = {
    write(bytes: Uint8Array) {
      pids.push(...text(bytes).trim().split(" ").map(Number));
      stop.abort(new Error("enough"));
      return Promise.resolve();
    },
  };
  const run = f.sh("sleep 1000 & echo $$ $!; wait", { stdout, signal: stop.signal });
  const error = await assertRejects(() => run, Error, "enough");
  assertEquals(error, stop.signal.reason);
  await allEnded(pids);
});

Deno.test("Client.exec() reports a signal as 128 and its number", async () => {
  await using f = await Fixture.start();
  for (const [signal, exitCode] of [["KILL", 137], ["TERM", 143], ["SEGV", 139]] as const) {
    const result = await f.sh(`kill -${signal} $$`);
    assertEquals([result.exitCode, result.signal, result.timedOut], [
      exitCode,
      `SIG${signal}`,
      false,
    ]);
  }
});

Deno.test({
  name: "Client.exec() reports the end by any signal there is, and the server goes on",
  // The numbers are those of Linux.
  ignore: Deno.build.os !== "linux",
  // Deno does not strike a process off its books whose signal it does not know.
  sanitizeResources: false,
  fn: async () => {
    await using f = await Fixture.start();
    // They are ignored, or stop a process; and the two that the C library keeps for itself.
    const others = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    const ending = Array.from({ length: 64 }, (_, at) => at + 1).filter((n) => !others.includes(n));
    for (const number of ending) {
      const { exitCode, signal } = await f.sh(`kill -${number} $$`);
      assertEquals(exitCode, 128 + number);
      const name = number === 34 ? "SIGRTMIN" : number > 34 ? `SIGRTMIN+${number - 34}` : signal;
      assertEquals(signal, name);
    }
  },
});

Deno.test("Client.exec() reports 124 when the client's time is up, and nothing is left", async () => {
  await using f = await Fixture.start();
  const result = await f.sh("trap '' TERM; sleep 1000 & echo $$ $!; wait; wait", { timeout: 100 });
  assertEquals([result.exitCode, result.timedOut], [124, true]);
  await allEnded(text(result.stdout).trim().split(" ").map(Number));
  // A command that ends by itself with that status was not killed.
  const own = await f.sh("exit 124");
  assertEquals([own.exitCode, own.timedOut], [124, false]);
});

Deno.test("Client.exec() reports 124 when the server's time is up, whatever the client asks", async () => {
  await using f = await Fixture.start({ shell: true, timeout: 100 });
  const result = await f.sh("sleep 1000", { timeout: 1_000_000 });
  assertEquals([result.exitCode, result.signal, result.timedOut], [124, "SIGTERM", true]);
});

Deno.test("Client.exec() fails where more is written than the server allows", async () => {
  await using f = await Fixture.start({ shell: true, outputLimit: 100_000 });
  for (const flood of ["yes", "yes >&2", "yes & yes >&2"]) {
    await assertCode("too_large", () => f.sh(flood), `Cannot run "${flood}": its output is larger`);
  }
  assertEquals((await f.sh("head -c 100000 /dev/zero")).size, 100_000);
  await assertCode("too_large", () => f.sh("head -c 100001 /dev/zero"));
  assertEquals((await f.sh("exit 3")).exitCode, 3);
});

Deno.test("Client.exec() waits for a command that has closed its output", async () => {
  await using f = await Fixture.start();
  const result = await f.sh("exec >&- 2>&-; sleep 0.2; echo done > marker; exit 5");
  assertEquals([result.exitCode, result.size], [5, 0]);
  assertEquals(Deno.readTextFileSync(f.dir.join("marker")), "done\n");
});

Deno.test("Client.exec() ends what a command leaves behind, whether it holds the output or not", async () => {
  await using f = await Fixture.start();
  for (const redirected of ["", ">/dev/null 2>&1"]) {
    const result = await f.sh(`(trap '' TERM; sleep 1000) ${redirected} & echo $!; exit 3`);
    assertEquals([result.exitCode, result.signal], [3, null]);
    await allEnded([Number(text(result.stdout))]);
  }
  // It may finish first what takes a moment.
  const late = await f.sh("(sleep 0.1; echo late) & echo early");
  assertEquals(text(late.stdout), "early\nlate\n");
});

Deno.test("Client.exec() does not wait for what has left the group", async () => {
  await using f = await Fixture.start();
  // Silent or not, it is a process that this test has to end.
  for (const escaped of ["sleep 1000", "sh -c 'while echo x; do sleep 0.01; done'"]) {
    const { exitCode, stderr } = await f.sh(`setsid ${escaped} & echo $! >&2; exit 3`);
    Deno.kill(Number(text(stderr)), "SIGKILL");
    assertEquals(exitCode, 3);
  }
});

Deno.test("Client.exec() runs hundreds of commands on one connection, and leaves nothing of them open", async () => {
  await using f = await Fixture.start({ allow: ["echo"] });
  for (let i = 0; i < 200; i++) {
    const { stdout, exitCode } = await f.client.exec(["echo", `${i}`]);
    assertEquals([text(stdout), exitCode], [`${i}\n`, 0]);
  }
});

Deno.test("Client.exec() of several callers at once", async () => {
  await using f = await Fixture.start({ allow: ["echo"] });
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) => f.client.exec(["echo", `${i}`])),
  );
  assertEquals(results.map(({ stdout }) => text(stdout)), results.map((_, i) => `${i}\n`));
});

Deno.test("Client.exec() is denied what was not allowed", async () => {
  await using f = await Fixture.start({ allow: ["echo"] });
  assertEquals(f.client.hello.features.includes("exec"), true);
  for (const name of ["rm", "/bin/echo", "ECHO", "echo ", "./echo", "../bin/echo", "sh"]) {
    const words = `the server does not allow the command "${name}"`;
    await assertCode("denied", () => f.client.exec([name, "x"]), words);
  }
  await assertCode(
    "denied",
    () => f.sh("echo x"),
    'Cannot run "echo x": the server hands no lines',
  );
  const endless = async function* () {
    for (;;) yield await Promise.resolve(new Uint8Array(10_000));
  };
  await assertCode("denied", () => f.client.exec(["rm"], { stdin: endless() }));
  await f.client.ping();
});

Deno.test("serve() runs no commands unless it is told to, and grants them to nobody else", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  const exec = { cwd: dir.path, allow: ["true"] };
  const table: [object, ErrorCode | undefined, string][] = [
    [{}, "denied", 'does not grant the scope "exec"'],
    [{ anonymous: ["exec"] }, "denied", "the server runs no commands"],
    [{ anonymous: ["read", "write", "delete"], exec }, "denied", 'the scope "exec"'],
    [{ exec }, undefined, ""],
    [{ anonymous: ["exec"], exec }, undefined, ""],
  ];
  for (const [options, code, words] of table) {
    await using server = await serve({ storage, listen: "127.0.0.1:0", ...options });
    await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
    assertEquals(client.hello.features.includes("exec"), "exec" in options);
    if (code === undefined) assertEquals((await client.exec(["true"])).exitCode, 0);
    else await assertCode(code, () => client.exec(["true"]), words);
  }
});

Deno.test("Commands finds names on PATH, and takes absolute paths", async () => {
  await using dir = new TempDir();
  const program = dir.write("program", "#!/bin/sh\necho mine\n");
  Deno.chmodSync(program, 0o755);
  dir.write("no-program", "#!/bin/sh\n");
  const run = async (name: string) => {
    const commands = AllowedCommands.find({ cwd: "/", allow: [name] });
    await using command = commands.start({ op: "exec", argv: [name] }, { stdin: false });
    return (await collect(command)).stdout;
  };
  assertEquals(await run(program), "mine\n");
  assertEquals(await run("echo"), "\n");
  const table: [string, string][] = [
    ["no-such-command", "there is no such command on PATH"],
    ["program", "there is no such command on PATH"],
    ["./program", "it is neither a name nor an absolute path"],
    ["bin/echo", "it is neither a name nor an absolute path"],
    [dir.join("nothing"), "there is no such program"],
    [dir.join("no-program"), "there is no such program"],
    [dir.path, "there is no such program"],
    ["", "there is no such command on PATH"],
  ];
  for (const [name, reason] of table) {
    const error = assertThrows(() => AllowedCommands.find({ cwd: "/", allow: [name] }), FerryError);
    assertEquals(error.code, "usage");
    assertEquals(error.message, `Cannot allow the command ${JSON.stringify(name)}: ${reason}`);
  }
});

Deno.test("Commands takes no time for a time", () => {
  for (const timeout of [0, -1, 0.5, NaN]) {
    const error = assertThrows(() => AllowedCommands.find({ cwd: "/", timeout }), FerryError);
    assertEquals(error.code, "usage");
  }
});

Deno.test("Commands.start() hands a line to the shell that looks like an option", async () => {
  await using f = await Fixture.start();
  const { exitCode, stderr } = await f.sh("-x");
  assertEquals(exitCode, 127);
  assertMatch(text(stderr), /-x: .*not found/);
});

Deno.test("Client.exec() takes a time that no timer has", async () => {
  await using f = await Fixture.start();
  assertEquals((await f.sh("exit 3", { timeout: 1e15 })).exitCode, 3);
  for (const timeout of [0, -1, NaN]) await assertCode("usage", () => f.sh("true", { timeout }));
});

Deno.test("Commands.start() fails where the program has gone", async () => {
  await using dir = new TempDir();
  const program = dir.write("program", "#!/bin/sh\n");
  Deno.chmodSync(program, 0o755);
  const commands = AllowedCommands.find({ cwd: "/", allow: [program] });
  Deno.removeSync(program);
  const run = () => commands.start({ op: "exec", argv: [program] }, { stdin: false });
  assertEquals(assertThrows(run, FerryError).code, "not_found");
});
