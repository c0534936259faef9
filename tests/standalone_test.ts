import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { VERSION } from "../lib/version.ts";
import { bundle } from "../standalone/bundle.ts";
import { PROGRAMS, PROJECT } from "../standalone/program.ts";
import { packWithCaxa } from "../standalone/self_extracting.ts";
import { hostTarget, targetOf } from "../standalone/target.ts";
import { Mount, testWithMount } from "./mount.ts";
import {
  DENO,
  ferry,
  Ferryd,
  type FerryOptions,
  type Launch,
  type Outcome,
  outcome,
  spawnFerry,
  TempDir,
} from "./programs.ts";
import { writeRandomFile } from "./random_file.ts";

const MIB = 1024 * 1024;

/** Runs `deno task compile`. */
async function compileTask(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  return await outcome(
    new Deno.Command(DENO, {
      args: ["run", "--quiet", "-A", `${PROJECT}standalone/main.ts`, ...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** Executables of both programs. */
interface Built {
  dir: string;
  task: Outcome;
}

const built = new Map<string, Promise<Built>>();

/** What the task makes of these options; made once for all tests. */
function build(...options: string[]): Promise<Built> {
  const key = options.join(" ");
  let building = built.get(key);
  if (!building) {
    const dir = Deno.makeTempDirSync({ prefix: "ferry-built-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    building = compileTask(["--out", dir, ...options]).then((task) => ({ dir, task }));
    built.set(key, building);
  }
  return building;
}

/** Files that unpack themselves: the way that is always open. */
async function buildSelfExtracting(): Promise<Built> {
  const made = await build();
  return made.task.stdout.includes("self-extracting") ? made : await build("--self-extracting");
}

/** An empty directory with a copy of the executables, and nothing around them. */
class Elsewhere implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly launch: Launch = (program) => [this.dir.join(`bin/${program}`)];
  /** Nothing but where to unpack: no PATH, no HOME, no cache of Deno's. */
  readonly env: Record<string, string>;

  constructor({ dir }: Built) {
    for (const name of ["bin", "tmp", "root", "cwd"]) Deno.mkdirSync(this.dir.join(name));
    for (const { name } of PROGRAMS) {
      Deno.copyFileSync(`${dir}/${name}`, this.dir.join(`bin/${name}`));
    }
    this.env = { PATH: "", HOME: "", TMPDIR: this.dir.join("tmp") };
  }

  get options(): FerryOptions {
    const { launch, env } = this;
    return { launch, env, clearEnv: true, cwd: this.dir.join("cwd") };
  }

  /** Runs `ferry`. */
  run(args: string[], options: FerryOptions = {}): Promise<Outcome> {
    return ferry(args, { ...this.options, ...options });
  }

  /** Runs `ferryd`, to its end. */
  runServer(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
    const launch: Launch = (_program, options) => this.launch("ferryd", options);
    return ferry(args, { ...this.options, launch, env: { ...this.env, ...env } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

function digestOf(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

/** Whether this machine is one that executables are made for. */
const ignore = hostTarget() === undefined;

Deno.test({
  name: "deno task compile makes both programs, says which way, and writes their checksums",
  ignore,
  fn: async () => {
    const { dir, task: { code, stdout, stderr } } = await build();
    assertEquals(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assertEquals(lines.length, 2);
    for (const [turn, { name }] of PROGRAMS.entries()) {
      const way = `compiled for ${hostTarget()!.name} by|self-extracting for ${
        hostTarget()!.name
      } around`;
      assertMatch(
        lines[turn]!,
        new RegExp(`^${dir}/${name}(\\.exe)?: (${way}) Deno ${Deno.version.deno}, [0-9.]+ MB$`),
      );
    }
    if (stdout.includes("self-extracting")) {
      // Once for both, in one line, with what can be done about it.
      assertMatch(stderr, /^compile: deno compile has no base binary .*DENORT_BIN.*\n$/);
    } else assertEquals(stderr, "");
    const sums = PROGRAMS.map(({ name }) => `${digestOf(`${dir}/${name}`)}  ${name}\n`);
    assertEquals(Deno.readTextFileSync(`${dir}/SHA256SUMS`), sums.join(""));
    assertEquals([...Deno.readDirSync(dir)].length, 3);
  },
});

Deno.test({
  name: "deno task compile makes what moves files where nothing is installed",
  ignore,
  fn: async (t) => {
    for (const executables of new Set([await build(), await buildSelfExtracting()])) {
      const [way] = /compiled|self-extracting/.exec(executables.task.stdout) ?? ["nothing"];
      await t.step(way, () => movesFiles(executables));
    }
  },
});

async function movesFiles(executables: Built): Promise<void> {
  await using there = new Elsewhere(executables);
  const version = { code: 0, stderr: "" };
  assertEquals(await there.run(["--version"]), { ...version, stdout: `ferry ${VERSION}\n` });
  assertEquals(await there.runServer(["--version"]), {
    ...version,
    stdout: `ferryd ${VERSION}\n`,
  });
  for (const help of [await there.run(["--help"]), await there.run(["put", "--help"])]) {
    assertMatch(help.stdout, /^Usage: ferry /);
    assertEquals([help.code, help.stderr], [0, ""]);
  }
  assertEquals((await there.run(["fly"])).code, 2);
  assertEquals(
    (await there.run(["ping"], {
      server: "127.0.0.1:1",
      env: { ...there.env, FERRY_RETRIES: "0" },
    })).code,
    6,
  );

  const source = there.dir.join("cwd/source.bin");
  await writeRandomFile(source, 24 * MIB);
  const echoes = ["--tcp-echo", "127.0.0.1:0", "--udp-echo", "127.0.0.1:0"];
  const commands = ["--allow-exec", "cat", "--allow-shell"];
  await using server = await Ferryd.start(
    there.dir.join("root"),
    [...echoes, ...commands],
    there.options,
  );
  const run = (...args: string[]) => there.run(args, { server: server.address });

  const cut = spawnFerry(["put", "source.bin", "--limit-rate", "6MiB", "--json"], {
    ...there.options,
    server: server.address,
  });
  await partOf(there.dir.join("root/.ferry/staging"));
  cut.kill("SIGTERM");
  const { code, stderr } = await outcome(cut);
  assertEquals([code, stderr], [
    143,
    "ferry: interrupted; the same command goes on where it stopped\n",
  ]);
  const put = await run("put", "source.bin", "--json");
  assertEquals([put.code, put.stderr], [0, ""]);
  const [done] = put.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert(done.resumed_from > 0, put.stdout);
  assertEquals(digestOf(there.dir.join("root/source.bin")), digestOf(source));

  const get = await run("get", "source.bin", "--out", "back.bin", "--progress");
  assertEquals(get.code, 0, get.stderr);
  assertEquals(digestOf(there.dir.join("cwd/back.bin")), digestOf(source));
  assertEquals((await run("get", "missing")).code, 4);
  // Part of the program is loaded for each of these when it is needed.
  there.dir.write("cwd/skip", "");
  assertEquals((await run("put", ".", "--as", "tree", "--exclude", "s*")).code, 0);
  assertEquals([...Deno.readDirSync(there.dir.join("root/tree"))].map(({ name }) => name), [
    "back.bin",
  ]);
  for (const kind of ["tcp", "udp"]) {
    const address = server.listening.get(`${kind}-echo`)!;
    const echo = await there.run(["echo", `--${kind}`, address, "hello"]);
    assertEquals([echo.code, echo.stdout], [0, "HELLO\n"], echo.stderr);
  }
  const cat = await run("exec", "--", "cat", "tree/back.bin");
  assertEquals([cat.code, cat.stderr], [0, ""]);
  const shell = await run("exec", "--shell", "echo out; echo err >&2; exit 42");
  assertEquals(shell, { code: 42, stdout: "out\n", stderr: "err\n" });
  // It has become the program, and not its parent.
  const stopped = await server.stop("SIGTERM");
  assertEquals([stopped.code, stopped.stderr.includes("internal")], [0, false]);
}

/** Waits for the record of an upload that can be gone on with. */
async function partOf(staging: string): Promise<void> {
  const isThere = () => [...Deno.readDirSync(staging)].some(({ name }) => name.endsWith(".json"));
  using watcher = Deno.watchFs(staging);
  if (isThere()) return;
  for await (const _ of watcher) if (isThere()) return;
}

/** A test of what only the script in front of a self-extracting file does. */
function testLauncher(criterion: string, run: (there: Elsewhere) => Promise<void>): void {
  Deno.test({
    name: `a self-extracting file ${criterion}`,
    ignore: ignore || Deno.build.os === "windows",
    fn: async () => {
      await using there = new Elsewhere(await buildSelfExtracting());
      await run(there);
    },
  });
}

/** What is in a directory, without what Deno keeps. */
function unpackedIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => name !== "cache")
    .sort();
}

testLauncher("unpacks once for first runs at the same time, of both programs", async (there) => {
  const env = { ...there.env, FERRY_UNPACK_DIR: there.dir.join("unpacked") };
  const runs = await Promise.all([1, 2, 3].flatMap(() => [
    there.run(["--version"], { env }),
    there.runServer(["--version"], env),
  ]));
  for (const { code, stdout, stderr } of runs) {
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^ferryd? /);
  }
  const names = unpackedIn(there.dir.join("unpacked"));
  assertEquals(names.map((name) => name.replace(/-.*/, "")), ["deno", "ferry", "ferryd"]);
  assertEquals(Deno.statSync(there.dir.join("unpacked")).mode! & 0o777, 0o700);
});

testLauncher("that was killed in its first run starts anew in the next", async (there) => {
  const unpacked = there.dir.join("unpacked");
  Deno.mkdirSync(unpacked);
  const env = { ...there.env, FERRY_UNPACK_DIR: unpacked };
  using watcher = Deno.watchFs(unpacked);
  // With all that it has started.
  const child = new Deno.Command(there.dir.join("bin/ferry"), {
    env,
    clearEnv: true,
    detached: true,
  })
    .spawn();
  for await (const event of watcher) if (event.kind === "create") break;
  Deno.kill(-child.pid, "SIGKILL");
  await child.status;
  assertEquals(await there.run(["--version"], { env }), {
    code: 0,
    stdout: `ferry ${VERSION}\n`,
    stderr: "",
  });
});

testLauncher("hands on arguments, environment and exit status as they are", async (there) => {
  const unpacked = there.dir.join("unpacked");
  const env = { ...there.env, FERRY_UNPACK_DIR: unpacked };
  await there.run(["--version"], { env });
  const deno = `${unpacked}/${unpackedIn(unpacked).find((name) => name.startsWith("deno"))}`;
  Deno.writeTextFileSync(
    deno,
    `#!/bin/sh
case $1 in run) ;; *) exit 1 ;; esac
while [ "\${1##*/}" != main.js ]; do shift; done
shift
# What a shell takes for PATH is not what it was given.
printf '<%s>' "$@" "$(/usr/bin/env | /bin/grep ^PATH=)" "\${HOME-none}" "$DENO_DIR" "$$"
exit 42
`,
  );
  const args = ["", "a b", "*", "$HOME", "new\nline", "'", "--", "-n"];
  for (
    const [name, path] of [["empty", ""], ["given", "/nowhere:/x"], ["none", undefined]] as const
  ) {
    const { PATH: _, ...rest } = env as Record<string, string>;
    const child = new Deno.Command(there.dir.join("bin/ferry"), {
      args,
      env: path === undefined ? rest : { ...rest, PATH: path },
      clearEnv: true,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const seen = [
      ...args,
      path === undefined ? "" : `PATH=${path}`,
      "",
      `${unpacked}/cache`,
      String(child.pid),
    ];
    assertEquals([name, await outcome(child)], [name, {
      code: 42,
      stdout: seen.map((text) => `<${text}>`).join(""),
      stderr: "",
    }]);
  }
});

testLauncher("that was damaged on the way says so, and runs nothing", async (there) => {
  const file = there.dir.join("bin/ferry");
  const whole = Deno.readFileSync(file);
  const flipped = whole.slice();
  flipped[whole.length / 2 | 0]! ^= 1;
  const damaged: Record<string, Uint8Array> = {
    "cut by a byte": whole.subarray(0, -1),
    "cut in the middle": whole.subarray(0, whole.length / 2),
    "cut behind the script": whole.subarray(0, 12 * 1024),
    "a flipped bit": flipped,
  };
  const sums = Deno.readTextFileSync(`${(await buildSelfExtracting()).dir}/SHA256SUMS`);
  for (const [name, bytes] of Object.entries(damaged)) {
    Deno.writeFileSync(file, bytes);
    const env = { ...there.env, FERRY_UNPACK_DIR: there.dir.join(name.replaceAll(" ", "-")) };
    const { code, stdout, stderr } = await there.run(["--version"], { env });
    assertEquals([name, code, stdout], [name, 7, ""]);
    assertEquals(stderr, "ferry: This file is damaged: it is not what SHA256SUMS says\n");
    assert(!sums.includes(digestOf(file)), "SHA256SUMS does not show it");
  }
  // In the middle of the script.
  for (const size of [100, 1500, 4000]) {
    Deno.writeFileSync(file, whole.subarray(0, size));
    const { stdout } = await there.run(["--version"]);
    assertEquals([size, stdout], [size, ""]);
  }
});

testLauncher("says where it could not be unpacked, and why", async (there) => {
  const file = there.dir.write("file", "");
  const refused = async (dir: string, why: RegExp) => {
    const { code, stdout, stderr } = await there.run(["--version"], {
      env: { ...there.env, FERRY_UNPACK_DIR: dir },
    });
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^ferry: Cannot unpack Deno \S+ and ferry \(\d+ MB\): [^\n]+\n$/);
    assertStringIncludes(stderr, `"${dir}"`);
    assertMatch(stderr, why);
  };
  await refused(file, /exists/);
  await refused(`${file}/below`, /Not a directory/);
});

testLauncher("trusts no directory of somebody else's", async (there) => {
  if (Deno.uid() !== 0) return;
  const home = there.dir.join("home");
  Deno.mkdirSync(`${home}/.cache/ferry`, { recursive: true });
  Deno.chownSync(`${home}/.cache/ferry`, 12345, 12345);
  const { code } = await there.run(["--version"], { env: { ...there.env, HOME: home } });
  assertEquals(code, 0);
  assertEquals([...Deno.readDirSync(`${home}/.cache/ferry`)], []);
  assertEquals(unpackedIn(there.dir.join("tmp")), ["ferry-0"]);
  const { stderr } = await there.run(["--version"], {
    env: { ...there.env, FERRY_UNPACK_DIR: `${home}/.cache/ferry` },
  });
  assertStringIncludes(stderr, "it is somebody else's");
});

testLauncher("takes the cache of the user before a temporary directory", async (there) => {
  const [cache, home] = [there.dir.join("cache"), there.dir.join("home")];
  const beside = Deno.build.os === "darwin" ? "Library/Caches/ferry" : ".cache/ferry";
  await there.run(["--version"], { env: { ...there.env, HOME: home } });
  assertEquals(unpackedIn(`${home}/${beside}`).length, 2);
  await there.run(["--version"], {
    env: { ...there.env, HOME: "/nonexistent", XDG_CACHE_HOME: cache },
  });
  assertEquals(unpackedIn(`${cache}/ferry`).length, 2);
  assertEquals(unpackedIn(there.dir.join("tmp")), []);
});

if (!ignore) {
  testWithMount(
    "a self-extracting file goes on to the next directory where one is full or read-only",
    async () => {
      await using there = new Elsewhere(await buildSelfExtracting());
      for (
        const [options, why] of [["size=32m", /No space left/], [
          "size=1m,ro",
          /Read-only file system/,
        ]] as const
      ) {
        await using mount = new Mount(options);
        const stuck = { ...there.env, FERRY_UNPACK_DIR: `${mount.path}/x` };
        const { code, stderr } = await there.run(["--version"], { env: stuck });
        assertEquals(code, 1);
        assertMatch(stderr, why);
        assertEquals(
          [...Deno.readDirSync(mount.path)].flatMap(() => unpackedIn(`${mount.path}/x`)),
          [],
        );
        const home = { ...there.env, HOME: mount.path };
        assertEquals((await there.run(["--version"], { env: home })).stdout, `ferry ${VERSION}\n`);
      }
    },
  );
}

Deno.test({
  name: "caxa packs a program for Windows, whose like runs here",
  ignore,
  fn: async () => {
    await using dir = new TempDir();
    for (const name of ["bundle", "tmp"]) Deno.mkdirSync(dir.join(name));
    const [program] = PROGRAMS;
    const files = await bundle(PROJECT + program!.entry, dir.join("bundle"));
    const output = dir.join(Deno.build.os === "windows" ? "ferry.exe" : "ferry");
    await packWithCaxa({
      program: program!,
      directory: dir.join("bundle"),
      files,
      target: hostTarget()!,
    }, output);
    assertEquals(targetOf(Deno.readFileSync(output).subarray(0, 4096)), hostTarget());
    const run = (...args: string[]) =>
      ferry(args, { launch: () => [output], env: { CAXA_TEMP_DIR: dir.join("tmp") } });
    assertEquals((await run("--version")).stdout, `ferry ${VERSION}\n`);
    assertEquals((await run("fly")).code, 2);
  },
});

Deno.test("deno task compile says in one line what it cannot do", async (t) => {
  await using dir = new TempDir();
  const foreign = dir.write(
    "foreign",
    Uint8Array.of(0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1, ...new Uint8Array(80)),
  );
  const out = ["--out", dir.join("out")];
  const cases: [string, string[], Record<string, string>, number, RegExp][] = [
    [
      "an unknown target",
      ["--target", "amiga-68k", ...out],
      {},
      2,
      /There is no target "amiga-68k"; there are linux-x64,/,
    ],
    ["an unknown program", ["rsync", ...out], {}, 2, /There is no "rsync"/],
    ["a dist/ that is a file", ["--out", foreign], {}, 5, /Cannot write to /],
    ["a dist/ below a file", ["--out", `${foreign}/dist`], {}, 5, /Cannot write to /],
    [
      "a base binary that is missing",
      out,
      { DENORT_BIN: dir.join("none") },
      4,
      /Cannot use DENORT_BIN .*no such file/,
    ],
    [
      "a base binary for another system",
      [...out, "-t", "linux-arm64"],
      { DENORT_BIN: foreign },
      2,
      /it is for macos-x64, and not for linux-arm64/,
    ],
    [
      "a self-extracting file for another system",
      ["ferry", "--self-extracting", "-t", "windows-arm64", ...out],
      {},
      2,
      /can only be made on windows-arm64/,
    ],
  ];
  if (!ignore) {
    cases.push([
      "a base binary that is none",
      ["ferry", ...out],
      { DENORT_BIN: DENO },
      1,
      /what came out does not run/,
    ]);
  }
  for (const [name, args, env, status, says] of cases) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await compileTask(args, env);
      assertEquals([code, stdout], [status, ""], stderr);
      assertMatch(stderr, /^compile: [^\n]+\n$/);
      assertMatch(stderr, says);
    });
  }
  try {
    assertEquals([...Deno.readDirSync(dir.join("out"))], []);
  } catch (error) {
    assert(error instanceof Deno.errors.NotFound);
  }
});

if (!ignore) {
  testWithMount("deno task compile into a dist/ that is read-only or full says so", async () => {
    for (const [options, status] of [["size=1m,ro", 3], ["size=8m", 5]] as const) {
      await using mount = new Mount(options);
      const { code, stdout, stderr } = await compileTask([
        "ferry",
        "--self-extracting",
        "--out",
        `${mount.path}`,
      ]);
      assertEquals([code, stdout], [status, ""], stderr);
      assertMatch(stderr, /^compile: Cannot [^\n]+\n$/);
      assertEquals([...Deno.readDirSync(mount.path)], []);
    }
  });
}
