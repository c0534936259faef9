import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../lib/core/version.ts";
import { bundle, ENTRY } from "../../packaging/bundle.ts";
import { PROGRAMS, PROJECT } from "../../packaging/program.ts";
import { makeSelfExtracting, packWithCaxa } from "../../packaging/self_extracting.ts";
import { hostTarget, targetOf } from "../../packaging/target.ts";
import { Elsewhere, ignore, makeStandIn, writeExecutable } from "../support/executables.ts";
import { Mount, testWithMount } from "../support/mount.ts";
import { ferry, outcome, TempDir } from "../support/programs.ts";

let packing: Promise<{ dir: string }> | undefined;

/** Two programs that say their versions as files that unpack themselves and a stand-in for Deno; made once for all tests. */
function packed(): Promise<{ dir: string }> {
  return packing ??= (async () => {
    const dir = Deno.makeTempDirSync({ prefix: "ferry-packed-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    const deno = `${dir}/deno`;
    await makeStandIn(deno);
    for (const program of PROGRAMS) {
      const directory = `${dir}/${program.name}.bundle`;
      Deno.mkdirSync(directory);
      const said = `${program.name} ${VERSION}`;
      Deno.writeTextFileSync(`${directory}/said.js`, `export default ${JSON.stringify(said)};`);
      Deno.writeTextFileSync(
        `${directory}/${ENTRY}`,
        `import said from "./said.js"; console.log(said);`,
      );
      const files = ["said.js", ENTRY];
      const contents = { program, directory, files, target: hostTarget()!, deno };
      await makeSelfExtracting(contents, `${dir}/${program.name}`);
    }
    return { dir };
  })();
}

/** A test of what only the script in front of a self-extracting file does. */
function testLauncher(criterion: string, run: (there: Elsewhere) => Promise<void>): void {
  Deno.test({
    name: `a self-extracting file ${criterion}`,
    ignore: ignore || Deno.build.os === "windows",
    fn: async () => {
      await using there = new Elsewhere(await packed());
      await run(there);
    },
  });
}

/** Makes the launcher take a directory of the test's for the last one that it tries. */
function useInPlaceOfVarTmp(there: Elsewhere, path: string): void {
  const file = there.launch("ferry", { runsCommands: false })[0];
  const bytes = Deno.readFileSync(file);
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 12 * 1024));
  const last = "/var/tmp/ferry-$(id -u)";
  const at = head.indexOf(`5) ferry_dir=${last}`);
  assert(at > 0);
  bytes.set(new TextEncoder().encode(`5) ferry_dir=${path.padEnd(last.length)}`), at);
  writeExecutable(file, bytes);
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
  Deno.mkdirSync(there.dir.join("held"));
  const env = { ...there.env, FERRY_UNPACK_DIR: unpacked };
  using watcher = Deno.watchFs(there.dir.join("held"));
  // With all that it has started.
  const child = new Deno.Command(there.dir.join("bin/ferry"), {
    env: { ...env, HELD_AT: there.dir.join("held/here") },
    clearEnv: true,
    detached: true,
  }).spawn();
  for await (const event of watcher) if (event.kind === "create") break;
  Deno.kill(-child.pid, "SIGKILL");
  await child.status;
  assertEquals(unpackedIn(unpacked).map((name) => name.replace(/\..*/, "")), ["new"]);
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
  for (const [name, bytes] of Object.entries(damaged)) {
    writeExecutable(file, bytes);
    const env = { ...there.env, FERRY_UNPACK_DIR: there.dir.join(name.replaceAll(" ", "-")) };
    const { code, stdout, stderr } = await there.run(["--version"], { env });
    assertEquals([name, code, stdout], [name, 7, ""]);
    assertEquals(stderr, "ferry: This file is damaged: it is not what SHA256SUMS says\n");
  }
  // In the middle of the script.
  for (const size of [100, 1500, 4000]) {
    writeExecutable(file, whole.subarray(0, size));
    const { stdout } = await there.run(["--version"]);
    assertEquals([size, stdout], [size, ""]);
  }
});

testLauncher("says where it could not be unpacked, and why", async (there) => {
  const file = there.dir.write("file", "");
  const open = [0o702, 0o720].map((mode) => {
    const path = there.dir.join(mode.toString(8));
    Deno.mkdirSync(path);
    Deno.chmodSync(path, mode);
    return path;
  });
  const cases: [string, RegExp][] = [
    [file, /exists/],
    [`${file}/below`, /Not a directory/],
    ...open.map((path): [string, RegExp] => [path, /others can write there/]),
  ];
  if (Deno.uid() === 0) {
    const foreign = there.dir.join("foreign");
    Deno.mkdirSync(foreign);
    Deno.chownSync(foreign, 12345, 12345);
    cases.push([foreign, /it is somebody else's/]);
  }
  for (const [dir, why] of cases) {
    const { code, stdout, stderr } = await there.run(["--version"], {
      env: { ...there.env, FERRY_UNPACK_DIR: dir },
    });
    assertEquals([dir, code, stdout], [dir, 1, ""]);
    assertMatch(stderr, /^ferry: Cannot unpack Deno \S+ and ferry \(\d+ MB\): [^\n]+\n$/);
    assertStringIncludes(stderr, `"${dir}"`);
    assertMatch(stderr, why);
  }
  for (const path of open) assertEquals([...Deno.readDirSync(path)], []);
});

testLauncher("trusts nothing that somebody else could exchange", async (there) => {
  if (Deno.uid() !== 0) return;
  const home = there.dir.join("home");
  const own = `${there.dir.join("tmp")}/ferry-0`;
  const start = async (env: Record<string, string>) => {
    assertEquals((await there.run(["--version"], { env: { ...there.env, ...env } })).code, 0);
  };
  // The home of another user, with a cache of that user or without.
  Deno.mkdirSync(home);
  Deno.chownSync(home, 12345, 12345);
  await start({ HOME: home });
  assertEquals([...Deno.readDirSync(home)], []);
  await start({ XDG_CACHE_HOME: `${home}/not/yet` });
  assertEquals([...Deno.readDirSync(home)], []);
  Deno.mkdirSync(`${home}/.cache/ferry`, { recursive: true });
  Deno.chownSync(`${home}/.cache/ferry`, 12345, 12345);
  await start({ HOME: home });
  assertEquals([...Deno.readDirSync(`${home}/.cache/ferry`)], []);
  assertEquals(unpackedIn(own).length, 2);

  // What bears the right names.
  for (const name of unpackedIn(own).map((name) => `${own}/${name}`)) {
    const planted = name.includes("deno-") ? name : `${name}/main.js`;
    Deno.writeTextFileSync(planted, "#!/bin/sh\necho planted\n");
    Deno.chownSync(planted, 12345, 12345);
    const { stdout } = await there.run(["--version"]);
    assertEquals(stdout, `ferry ${VERSION}\n`);
  }

  // A link, in a directory where everybody can make one, to one of ours.
  Deno.renameSync(own, `${own}.moved`);
  Deno.symlinkSync(`${own}.moved`, own);
  useInPlaceOfVarTmp(there, "$TMPDIR/last");
  assertEquals((await there.run(["--version"])).code, 0);
  assertEquals(unpackedIn(there.dir.join("tmp/last")).length, 2);
  // Who names it may mean it.
  Deno.removeSync(there.dir.join("tmp/last"), { recursive: true });
  await start({ FERRY_UNPACK_DIR: own });
  assertEquals([...Deno.readDirSync(there.dir.join("tmp"))].length, 2);
});

testLauncher("takes the cache of the user before a temporary directory", async (there) => {
  const [cache, home] = [there.dir.join("cache"), there.dir.join("home")];
  Deno.mkdirSync(home);
  const beside = Deno.build.os === "darwin" ? "Library/Caches/ferry" : ".cache/ferry";
  await there.run(["--version"], { env: { ...there.env, HOME: home } });
  assertEquals(unpackedIn(`${home}/${beside}`).length, 2);
  await there.run(["--version"], {
    env: { ...there.env, HOME: "/nonexistent", XDG_CACHE_HOME: cache },
  });
  assertEquals(unpackedIn(`${cache}/ferry`).length, 2);
  assertEquals(unpackedIn(there.dir.join("tmp")), []);
});

testLauncher("stands beside other versions, and clears away what nobody starts", async (there) => {
  const unpacked = there.dir.join("unpacked");
  const env = { ...there.env, FERRY_UNPACK_DIR: unpacked };
  const DAY = 24 * 60 * 60;
  const now = Math.floor(Date.now() / 1000);
  Deno.mkdirSync(unpacked, { mode: 0o700 });
  for (const [name, days] of [["deno-1.0.0-0", 2], ["deno-0.9.0-0", 40]] as const) {
    Deno.writeTextFileSync(`${unpacked}/${name}`, name);
    Deno.utimeSync(`${unpacked}/${name}`, now - days * DAY, now - days * DAY);
  }
  for (const name of ["ferry-0.0.1-0", "new.killed"]) {
    Deno.mkdirSync(`${unpacked}/${name}`);
    Deno.utimeSync(`${unpacked}/${name}`, now - 40 * DAY, now - 40 * DAY);
  }
  assertEquals((await there.run(["--version"], { env })).code, 0);
  const names = unpackedIn(unpacked);
  assertEquals(names.length, 4, names.join());
  // What may be running still finds the rest of itself.
  for (const name of ["deno-1.0.0-0", "ferry-0.0.1-0"]) assert(names.includes(name), name);
});

testLauncher("starts from odd places, where settings lie about too", async (there) => {
  const unpacked = there.dir.join(`odd "$(x)" 'b' #%20?&,;ü`);
  const env = { ...there.env, FERRY_UNPACK_DIR: unpacked };
  const version = { code: 0, stdout: `ferry ${VERSION}\n`, stderr: "" };
  assertEquals(await there.run(["--version"], { env }), version);
  for (const dir of [there.dir.path, unpacked, there.dir.join("cwd")]) {
    for (const name of ["package.json", "deno.json"]) {
      Deno.writeTextFileSync(`${dir}/${name}`, "no JSON");
    }
  }
  assertEquals(await there.run(["--version"], { env }), version);
});

if (!ignore) {
  testWithMount(
    "a self-extracting file goes on to the next directory where one is full, read-only or noexec",
    async () => {
      await using there = new Elsewhere(await packed());
      for (
        const [options, why] of [
          ["size=1m", /No space left/],
          ["size=1m,ro", /Read-only file system/],
          ["size=16m,noexec", /Deno does not run there, Permission denied/],
        ] as const
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
      deno: Deno.build.os === "windows" ? undefined : `${(await packed()).dir}/deno`,
    }, output);
    assertEquals(targetOf(Deno.readFileSync(output).subarray(0, 4096)), hostTarget());
    const run = (...args: string[]) =>
      ferry(args, { launch: () => [output], env: { CAXA_TEMP_DIR: dir.join("tmp") } });
    assertEquals((await run("--version")).stdout, `ferry ${VERSION}\n`);
    assertEquals((await run("fly")).code, 2);
  },
});
