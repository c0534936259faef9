import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ferryd } from "../support/programs.ts";
import { allEnded } from "../support/processes.ts";
import { HookedServer } from "../support/upload_hooks.ts";
import { md5, MIB } from "../support/bytes.ts";

// On Windows, ferryd runs no programs.
const ignore = Deno.build.os === "windows";

Deno.test({
  name: "--on-stored gets what was stored, by whom, in the root and with its arguments as they are",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const script = s.script('pwd >"$OUT/pwd"\nprintf "%s\\n" "$@" >"$OUT/args"\ncat >>"$OUT/told"');
    const server = await s.start([
      ...["--http", "127.0.0.1:0", "--hook-jobs", "1"],
      ...["--on-stored", `${script} 'a b' "$HOME" *`],
    ]);
    s.write("a", "hello");
    assertEquals((await s.run("put", "a", "--to", "d")).code, 0);
    assertEquals((await s.run("put", "a", "--to", "d")).code, 0);
    const url = `http://127.0.0.1:${server.portOf("http")}/web`;
    await (await fetch(url, { method: "PUT", body: "hello" })).body?.cancel();
    const told = await s.untilTold(3);
    assertEquals(
      told.map(({ version, hook, type, name, size, unchanged, attempt, token, durable }) => {
        return { version, hook, type, name, size, unchanged, attempt, token, durable };
      }),
      ([["d/a", false], ["d/a", true], ["web", false]] as const).map(([name, unchanged]) => ({
        ...{ version: 1, hook: "on-stored", type: "file", name, size: 5, unchanged },
        ...{ attempt: 1, token: null, durable: true },
      })),
    );
    for (const { time, request, peer, ...sums } of told) {
      assertEquals([sums.md5, sums.checksum], [md5("hello"), `md5:${md5("hello")}`]);
      assertEquals(new Date(time).toISOString(), time);
      assertMatch(request, /^[0-9a-f]{12}\.\d+$/);
      assertMatch(peer, /^127\.0\.0\.1:\d+$/);
    }
    assertEquals(s.read("args"), "a b\n$HOME\n*\n");
    assertEquals(s.read("pwd"), `${Deno.realPathSync(s.root)}\n`);
  },
});

Deno.test({
  name: "--on-stored runs once for a directory that is published as one",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    await s.start(["--on-stored", s.keeping()]);
    Deno.mkdirSync(`${s.cwd}/d`);
    s.write("d/a", "a");
    s.write("d/b", "bb");
    assertEquals((await s.run("put", "d", "--atomic")).code, 0);
    s.write("last", "");
    assertEquals((await s.run("put", "last")).code, 0);
    const [directory, file] = await s.untilTold(2);
    const { type, name, files, size, md5 } = directory!;
    assertEquals({ type, name, files, size, md5 }, {
      ...{ type: "directory", name: "d", files: 2, size: 3, md5: null },
    });
    assertEquals(file!.name, "last");
  },
});

Deno.test({
  name:
    "--on-stored is run after a kill for what was acknowledged, and after failures until it succeeds",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    await using first = await s.start(["--on-stored", s.script("exit 1")]);
    s.write("a", "hello");
    assertEquals((await s.run("put", "a")).code, 0);
    await first.stop("SIGKILL");
    // It fails once more here before it succeeds.
    const once =
      'if [ ! -e "$OUT/failed" ]; then touch "$OUT/failed"; echo "not yet" >&2; exit 3; fi';
    const second = await s.start(["--on-stored", s.keeping(once)]);
    const [{ name, attempt }] = await s.untilTold(1) as [Record<string, unknown>];
    assertEquals({ name, attempt }, { name: "a", attempt: 2 });
    const { stderr } = await second.stop();
    assertMatch(stderr, /--on-stored failed for a \[.*\]: it ended with exit status 3: not yet\n/);
    // What has succeeded is not run again.
    const third = await s.start(["--on-stored", s.keeping()]);
    s.write("b", "b");
    assertEquals((await s.run("put", "b")).code, 0);
    await s.untilTold(2);
    await third.stop();
    assertEquals(s.told.map(({ name }) => name), ["a", "b"]);
  },
});

Deno.test({
  name:
    "--on-stored that has failed --hook-attempts times is given up, and what it was about is kept",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const script = s.script('echo >>"$OUT/runs"; yes flood');
    const server = await s.start(["--on-stored", script, "--hook-attempts", "2"]);
    s.write("a", "hello");
    assertEquals((await s.run("put", "a")).code, 0);
    const kept = () => s.queue("failed").split("\n").slice(0, -1).map((line) => JSON.parse(line));
    await s.until(() => s.read("runs") === "\n\n");
    const { stderr } = await server.stop();
    assertMatch(
      stderr,
      /--on-stored failed for a \[.*\] for the last time: .* larger than \d+ bytes/,
    );
    assertEquals(kept().map(({ name }) => name), ["a"]);
    await s.start(["--on-stored", s.keeping()]);
    s.write("b", "b");
    assertEquals((await s.run("put", "b")).code, 0);
    assertEquals((await s.untilTold(1)).map(({ name }) => name), ["b"]);
  },
});

Deno.test({
  name: "--on-stored that hangs and forks is killed with all that it has started",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    // The shell of the script, a child and a grandchild.
    const hang = '(sleep 1000 & echo $! >>"$OUT/pids"; wait) &\necho $$ $! >>"$OUT/pids"; wait';
    const server = await s.start([
      ...["--on-stored", s.script(hang), "--hook-timeout", "1s", "--drain-timeout", "0"],
    ]);
    s.write("a", "hello");
    assertEquals((await s.run("put", "a")).code, 0);
    const pids = () => s.read("pids").split(/\s+/).filter(Boolean).map(Number);
    // On a busy machine, the first runs may be killed before they have begun.
    await s.until(() => pids().length >= 4);
    const [first] = pids();
    await allEnded([first!]);
    const { stderr } = await server.stop();
    await allEnded(pids());
    assertStringIncludes(stderr, "it took longer than 1 s");
  },
});

Deno.test({
  name: "uploads do not wait for --on-stored, and those that do not fit into its queue are counted",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const waits = 'echo >>"$OUT/begun"; until [ -e "$OUT/go" ]; do sleep 0.05; done';
    const server = await s.start([
      ...["--on-stored", s.keeping(waits), "--hook-queue-limit", "50"],
    ]);
    Deno.mkdirSync(`${s.cwd}/d`);
    for (let n = 0; n < 200; n++) s.write(`d/${n}`, `${n}`);
    assertEquals((await s.run("put", "d")).code, 0);
    // All are stored, while the first two runs have not ended.
    assertEquals([...Deno.readDirSync(`${s.root}/d`)].length, 200);
    assertEquals(s.told, []);
    await s.until(() => s.read("begun") === "\n\n");
    Deno.writeTextFileSync(`${s.out}/go`, "");
    await s.untilTold(50);
    s.write("last", "");
    assertEquals((await s.run("put", "last")).code, 0);
    const told = await s.untilTold(51);
    assertEquals(new Set(told.map(({ name }) => name)).size, 51);
    assertEquals(told.at(-1)!.name, "last");
    const { stderr } = await server.stop();
    assertStringIncludes(stderr, "50 uploads wait for the command of --on-stored");
    assertStringIncludes(stderr, "is not run for 150 uploads that came meanwhile");
  },
});

Deno.test({
  name:
    "the queue of --on-stored is made again if .ferry is removed, and outlives the process then",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    await using first = await s.start(["--on-stored", s.keeping()]);
    s.write("a", "a");
    assertEquals((await s.run("put", "a")).code, 0);
    await s.untilTold(1);
    await first.stop();
    await using second = await s.start(["--on-stored", s.script("exit 1")]);
    assertEquals((await s.run("put", "a", "--as", "b")).code, 0);
    Deno.removeSync(`${s.root}/.ferry`, { recursive: true });
    assertEquals((await s.run("put", "a", "--as", "c")).code, 0);
    const { stderr } = await second.stop("SIGKILL");
    assert(!stderr.includes("cannot be kept"), stderr);
    await s.start(["--on-stored", s.keeping()]);
    // What waited in the queue that was removed is lost.
    assertEquals((await s.untilTold(2)).map(({ name }) => name), ["a", "c"]);
  },
});

Deno.test({
  name: "--on-stored may end within the drain time, is killed after it, and run at the next start",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const hangs = 'echo $$ >"$OUT/pid"; exec sleep 1000';
    const first = await s.start(["--on-stored", s.script(hangs), "--drain-timeout", "50ms"]);
    s.write("a", "hello");
    assertEquals((await s.run("put", "a")).code, 0);
    await s.until(() => s.read("pid") !== "");
    assertEquals((await first.stop()).code, 0);
    await allEnded([Number(s.read("pid"))]);
    // The next one is in the middle of a run when it is told to end.
    const slow = 'echo >"$OUT/begun"; until [ -e "$OUT/go" ]; do sleep 0.05; done';
    const second = await s.start(["--on-stored", s.keeping(slow), "--drain-timeout", "60d"]);
    await s.until(() => s.read("begun") !== "");
    const stopped = second.stop();
    Deno.writeTextFileSync(`${s.out}/go`, "");
    assertEquals((await stopped).code, 0);
    assertEquals(s.told.map(({ name }) => name), ["a"]);
    assert(!s.queue("failed").includes("a"));
  },
});

Deno.test({
  name: "ferryd refuses commands for uploads that it cannot run, and a queue that it cannot keep",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const inRoot = `${s.root}/tool`;
    Deno.writeTextFileSync(inRoot, "#!/bin/sh\n");
    Deno.chmodSync(inRoot, 0o755);
    Deno.mkdirSync(`${s.out}/queue`);
    const on = (line: string, ...more: string[]) => ["--on-stored", line, ...more];
    const cases: [args: string[], says: string][] = [
      [on("no-such-program x"), "Cannot run the command of --on-stored: there is no such command"],
      [on("./here"), "it is neither a name nor an absolute path"],
      [on(inRoot), "leads through the directory that is served"],
      [["--before-store", inRoot], "Cannot run the command of --before-store: "],
      [on("cat 'x"), "--on-stored has a quote without an end"],
      [on("''"), "--on-stored takes a program and its arguments"],
      [["--before-store", "  "], "--before-store takes a program and its arguments"],
      [on("cat", "--hook-timeout", "0"), "--hook-timeout is more than 0"],
      [on("cat", "--hook-queue", s.root), "leads into the directory that is served"],
      [on("cat", "--hook-queue", `${s.out}/no/such`), '/no/such": no such file'],
      [on("cat", "--hook-queue", s.script("")), "keep the queue of --on-stored"],
    ];
    for (const [args, says] of cases) {
      const error = await Ferryd.start(s.root, args).then(
        async (server) => {
          await server.stop("SIGKILL");
          return "it started";
        },
        ({ message }) => String(message),
      );
      assertStringIncludes(error, says, args.join(" "));
      assert(!/^\s+at /m.test(error), error);
    }
    const queue = ["--hook-queue", `${s.out}/queue`];
    await s.start(on("cat", ...queue));
    await using other = new HookedServer();
    const error = await other.start(on("cat", ...queue)).then(() => "it started", String);
    assertStringIncludes(error, "another ferryd keeps its queue there: each needs its own");
  },
});

Deno.test({
  name: "--on-stored runs once for a file that came in pieces over several connections",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    await s.start(["--on-stored", s.keeping()]);
    s.write("large", new Uint8Array(24 * MIB));
    assertEquals((await s.run("put", "large", "--streams", "2")).code, 0);
    s.write("last", "");
    assertEquals((await s.run("put", "last")).code, 0);
    const told = await s.untilTold(2);
    assertEquals(told.map(({ name, size }) => [name, size]), [["large", 24 * MIB], ["last", 0]]);
  },
});
