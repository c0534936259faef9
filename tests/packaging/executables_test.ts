import { assert, assertEquals, assertMatch } from "@std/assert";
import { VERSION } from "../../lib/core/version.ts";
import { PROGRAMS } from "../../packaging/program.ts";
import { hostTarget } from "../../packaging/target.ts";
import {
  build,
  buildSelfExtracting,
  compileTask,
  digestOf,
  Elsewhere,
  ignore,
  makeStandIn,
  NO_BASE_BINARY,
  SUFFIX,
} from "../support/executables.ts";
import { Mount, testWithMount } from "../support/mount.ts";
import { Ferryd, filesBelow, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { MIB } from "../support/bytes.ts";

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
        new RegExp(`^${dir}/${name}${SUFFIX}: (${way}) Deno ${Deno.version.deno}, [0-9.]+ MB$`),
      );
    }
    if (stdout.includes("self-extracting")) {
      // Once for both, in one line, with what can be done about it.
      assertMatch(stderr, /^compile: deno compile has no base binary .*DENORT_BIN.*\n$/);
    } else assertEquals(stderr, "");
    const files = PROGRAMS.map(({ name }) => name + SUFFIX);
    const sums = files.map((name) => `${digestOf(`${dir}/${name}`)}  ${name}\n`);
    assertEquals(Deno.readTextFileSync(`${dir}/SHA256SUMS`), sums.join(""));
    assertEquals([...Deno.readDirSync(dir)].length, 3);
    await using copy = new TempDir();
    for (const name of [...files, "SHA256SUMS"]) {
      Deno.copyFileSync(`${dir}/${name}`, copy.join(name));
    }
    Deno.truncateSync(copy.join(files[1]!), Deno.statSync(copy.join(files[1]!)).size - 1);
    const checked = await outcome(
      new Deno.Command(Deno.build.os === "darwin" ? "shasum" : "sha256sum", {
        args: [...Deno.build.os === "darwin" ? ["-a", "256"] : [], "-c", "SHA256SUMS"],
        cwd: copy.path,
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
    assertEquals([checked.code, checked.stdout], [1, `${files[0]}: OK\n${files[1]}: FAILED\n`]);
  },
});

Deno.test({
  name: "deno task compile makes what moves files where nothing is installed",
  ignore,
  fn: async (t) => {
    for (const executables of new Set([await build(), await buildSelfExtracting()])) {
      const [way] = /compiled|self-extracting/.exec(executables.task.stdout) ?? ["nothing"];
      await using there = new Elsewhere(executables);
      await t.step(`${way}: help and statuses`, () => tells(there));
      await t.step(`${way}: files, commands, echoes, signals`, () => moves(there));
      await t.step(`${way}: TLS and tokens`, () => movesSafely(there));
    }
  },
});

async function tells(there: Elsewhere): Promise<void> {
  const version = { code: 0, stderr: "" };
  assertEquals(await there.run(["--version"]), { ...version, stdout: `ferry ${VERSION}\n` });
  assertEquals(await there.runServer(["--version"]), {
    ...version,
    stdout: `ferryd ${VERSION}\n`,
  });
  const helps = [
    await there.run(["--help"]),
    await there.run(["put", "--help"]),
    await there.runServer(["--help"]),
  ];
  for (const help of helps) {
    assertMatch(help.stdout, /^Usage: ferryd? /);
    assertEquals([help.code, help.stderr], [0, ""]);
  }
  assertEquals((await there.run(["fly"])).code, 2);
  assertEquals((await there.runServer(["--fly"])).code, 2);
  const nobody = { server: "127.0.0.1:1", env: { ...there.env, FERRY_RETRIES: "0" } };
  assertEquals((await there.run(["ping"], nobody)).code, 6);
}

/** Large enough for all that is done with large files only. */
const LARGE = 72 * MIB;

async function moves(there: Elsewhere): Promise<void> {
  const { dir } = there;
  const source = dir.join("cwd/source.bin");
  await writeRandomFile(source, LARGE);
  dir.write("cwd/small", "small\n");
  const echoes = ["--tcp-echo", "127.0.0.1:0", "--udp-echo", "127.0.0.1:0"];
  const commands = ["--allow-exec", "cat", "--allow-shell"];
  const several = ["--threads", "2", ...Deno.build.os === "linux" ? ["--together"] : []];
  await using server = await Ferryd.start(
    dir.join("root"),
    [...echoes, ...commands, ...several],
    there.options,
  );
  const options = { ...there.options, server: server.address };
  const run = (...args: string[]) => there.run(args, options);
  const interrupt = async (args: string[], parts: string) => {
    const cut = spawnFerry([...args, "--limit-rate", "12MiB"], options);
    await recordIn(parts);
    cut.kill("SIGTERM");
    const { code, stderr } = await outcome(cut);
    const says = "ferry: interrupted; the same command goes on where it stopped\n";
    assertEquals([code, stderr], [143, says]);
  };
  const goOn = async (args: string[]) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    assertEquals([code, stderr], [0, ""]);
    const [done] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert(done.resumed_from > 0, stdout);
  };

  await interrupt(["put", "source.bin"], dir.join("root/.ferry/staging"));
  await goOn(["put", "source.bin"]);
  assertEquals(digestOf(dir.join("root/source.bin")), digestOf(source));
  const get = ["get", "source.bin", "--out", "back.bin"];
  await interrupt(get, dir.join("cwd"));
  await goOn(get);
  assertEquals(digestOf(dir.join("cwd/back.bin")), digestOf(source));
  // Neither of them goes on with anything.
  assertEquals((await run("put", "source.bin", "--as", "whole.bin", "--progress")).code, 0);
  assertEquals((await run("get", "whole.bin")).code, 0);
  assertEquals(digestOf(dir.join("cwd/whole.bin")), digestOf(source));
  assertEquals((await run("get", "missing")).code, 4);

  // Part of the program is loaded for each of these when it is needed.
  const tree = await run("put", ".", "--as", "tree", "--exclude", "*.bin", "--checksum", "xxh128");
  assertEquals([tree.code, tree.stdout.slice(32)], [0, "  tree/small\n"], tree.stderr);
  for (const kind of ["tcp", "udp"]) {
    const address = server.listening.get(`${kind}-echo`)!;
    const echo = await there.run(["echo", `--${kind}`, address, "hello"]);
    assertEquals([echo.code, echo.stdout], [0, "HELLO\n"], echo.stderr);
  }
  const cat = await run("exec", "--", "cat", "tree/small");
  assertEquals(cat, { code: 0, stdout: "small\n", stderr: "" });
  const shell = await run("exec", "--shell", "echo out; echo err >&2; exit 42");
  assertEquals(shell, { code: 42, stdout: "out\n", stderr: "err\n" });
  // It has become the program, and not its parent.
  const stopped = await server.stop("SIGTERM");
  assertEquals([stopped.code, stopped.stderr.includes("internal")], [0, false]);
}

async function movesSafely(there: Elsewhere): Promise<void> {
  const { dir } = there;
  const make = async (...args: string[]) => {
    const { code, stdout, stderr } = await there.runServer(args);
    assertEquals(code, 0, stderr);
    return stdout.trim();
  };
  const pin = await make("cert", "--host", "127.0.0.1");
  const scopes = ["--name", "ci", "--scope", "read,write"];
  const token = await make("token", "new", "--token-file", "tokens", ...scopes);
  Deno.writeTextFileSync(dir.join("cwd/ci.token"), `${token}\n`, { mode: 0o600 });
  dir.write("cwd/secret", "secret\n");
  const [cert, key, tokens] = ["ferryd-cert.pem", "ferryd-key.pem", "tokens"]
    .map((name) => dir.join(`cwd/${name}`));
  await using server = await Ferryd.start(
    dir.join("root"),
    ["--token-file", tokens!, "--tls-cert", cert!, "--tls-key", key!],
    there.options,
  );
  const run = (...args: string[]) => there.run(args, { server: server.address });
  const shown = ["--token-file", "ci.token"];
  const put = await run("put", "secret", "--pin", pin, ...shown);
  assertEquals([put.code, put.stderr], [0, ""]);
  const get = await run("get", "secret", "--out", "-", "--ca", "ferryd-cert.pem", ...shown);
  assertEquals(get, { code: 0, stdout: "secret\n", stderr: "" });
  // Without a token, and without anything that this server is trusted by.
  assertEquals((await run("ls", "--pin", pin)).code, 3);
  assertEquals((await run("ls", "--tls", ...shown)).code, 3);
  assertEquals((await server.stop()).code, 0);
}

/** Waits for the record of a transfer that can be gone on with. */
async function recordIn(directory: string): Promise<void> {
  const isThere = () => filesBelow(directory).some((name) => name.endsWith(".json"));
  using watcher = Deno.watchFs(directory);
  if (isThere()) return;
  for await (const _ of watcher) if (isThere()) return;
}

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
      { DENORT_BIN: NO_BASE_BINARY },
      1,
      /what came out does not run/,
    ]);
  }
  for (const [name, args, env, status, says] of cases) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await compileTask(args, { env });
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
  testWithMount("deno task compile into a dist/ where it cannot be says so", async () => {
    const cases: [string, number, RegExp][] = [
      ["size=1m,ro", 3, /Cannot write to ".*Read-only|read-only|permission denied/],
      ["size=1m", 5, /[Nn]o space left/],
      // Nothing but what it is to unpack.
      ["size=4m", 1, /does not run: .*No space left/],
      ["size=16m,noexec", 3, /does not run: permission denied/],
    ];
    await using dir = new TempDir();
    const deno = dir.join("deno");
    await makeStandIn(deno);
    for (const [options, status, says] of cases) {
      await using mount = new Mount(options);
      const { code, stdout, stderr } = await compileTask([
        "ferry",
        "--self-extracting",
        "--out",
        `${mount.path}`,
      ], { deno });
      assertEquals([code, stdout], [status, ""], stderr);
      assertMatch(stderr, /^compile: Cannot [^\n]+\n$/);
      assertMatch(stderr, says);
      assertEquals([...Deno.readDirSync(mount.path)], []);
    }
  });

  testWithMount("deno task compile needs no temporary directory", async () => {
    await using dir = new TempDir();
    await using mount = new Mount("size=64k,ro");
    const deno = dir.join("deno");
    await makeStandIn(deno);
    const args = ["ferry", "--self-extracting", "--out", dir.join("out")];
    const { code, stderr } = await compileTask(args, { deno, env: { TMPDIR: mount.path } });
    assertEquals([code, stderr], [0, ""]);
  });
}
