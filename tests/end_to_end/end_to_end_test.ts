import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  DENO,
  ferry,
  Ferryd,
  outcome,
  programArgs,
  PROJECT,
  spawnFerry,
  stagedIn,
  TempDir,
} from "../support/programs.ts";
import { frame, RawPeer } from "../support/raw_peer.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import { md5 } from "../support/bytes.ts";

function staged(root: string): string[] {
  return stagedIn(root);
}

Deno.test("ferry put and get bring a file there and back at every size that takes another path", async () => {
  await using p = await Pair.shared();
  const MiB = 1024 * 1024;
  const around = (size: number) => [size - 1, size, size + 1];
  const sizes = [0, 1, ...around(65536), ...around(MiB), 8 * MiB, 8 * MiB + 1, 20_000_003];
  const names = sizes.map(String);
  const sums = sizes.map((size, turn) => {
    const bytes = randomBytes(size, size + 1);
    p.write(names[turn]!, bytes);
    return md5(bytes);
  });
  const lines = (prefix: string) =>
    sums.map((sum, turn) => `${sum}  ${prefix}${names[turn]}\n`).join("");
  const put = await p.run("put", ...names, "--to", "d");
  assertEquals(put, { code: 0, stdout: lines("d/"), stderr: "" });
  Deno.mkdirSync(`${p.cwd}/back`);
  const get = await p.run("get", ...names.map((name) => `d/${name}`), "--out", "back/");
  assertEquals(get, { code: 0, stdout: lines("back/"), stderr: "" });
  for (const [turn, name] of names.entries()) {
    for (const path of [`${p.root}/d/${name}`, `${p.cwd}/back/${name}`]) {
      assertEquals(md5(Deno.readFileSync(path)), sums[turn], path);
    }
  }
  assertEquals(staged(p.root), []);
});

Deno.test("ferry put and get keep names of every script", async () => {
  await using p = await Pair.shared();
  const names = [
    "文件 名.txt",
    "🚢🌊.bin",
    "Ünïcödé",
    "with 'quotes' \"and\" $(dollars); *?[x]",
    "x".repeat(255),
    "é".repeat(127),
    "-starts-with-a-dash",
    "back\\slash\nand newline",
  ];
  for (const name of names) p.write(name, name);
  const put = await p.run("put", "--", ...names);
  assertEquals([put.code, put.stderr], [0, ""]);
  for (const name of names) {
    assertEquals(Deno.readTextFileSync(`${p.root}/${name}`), name);
    Deno.removeSync(`${p.cwd}/${name}`);
  }
  const get = await p.run("get", "--", ...names);
  assertEquals([get.code, get.stderr], [0, ""]);
  for (const name of names) assertEquals(Deno.readTextFileSync(`${p.cwd}/${name}`), name);
  // md5sum itself accepts these lines.
  Deno.writeTextFileSync(p.dir.join("sums"), get.stdout);
  const check = new Deno.Command("md5sum", { args: ["-c", p.dir.join("sums")], cwd: p.cwd });
  assertEquals((await check.output()).code, 0);
});

Deno.test("ferry put refuses names that lead out of the root", async (t) => {
  await using p = await Pair.shared();
  p.write("a", "x");
  for (const name of ["../x", "/etc/passwd", "a/../../b", "a//b", ".ferry/x", "a/../"]) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await p.run("put", "a", "--as", name);
      assertEquals([code, stdout], [5, ""]);
      assertStringIncludes(stderr, "ferry: Cannot put ");
      const got = await p.run("get", name, "--out", "b");
      assertEquals([got.code, got.stdout], [5, ""]);
    });
  }
  assertEquals([...Deno.readDirSync(p.root)].map(({ name }) => name), [".ferry"]);
});

Deno.test("ferry --overwrite decides about a name that is taken, in both directions", async () => {
  await using p = await Pair.shared();
  const put = async (content: string, ...args: string[]) => {
    p.write("f", content);
    return (await p.run("put", "f", ...args)).code;
  };
  const stored = () => Deno.readTextFileSync(`${p.root}/f`);
  assertEquals(await put("one"), 0);
  assertEquals(await put("one"), 0);
  assertEquals(await put("two"), 5);
  assertEquals(await put("three", "--overwrite", "never"), 5);
  assertEquals(stored(), "one");
  assertEquals(await put("two", "--overwrite", "different"), 0);
  assertEquals(stored(), "two");
  assertEquals(await put("six", "--overwrite", "always"), 0);
  assertEquals(stored(), "six");
  p.write("f", "old");
  Deno.utimeSync(`${p.cwd}/f`, 1000, 1000);
  assertEquals((await p.run("put", "f", "--overwrite", "newer")).code, 0);
  assertEquals(stored(), "six");
  Deno.utimeSync(`${p.cwd}/f`, 4e9, 4e9);
  assertEquals((await p.run("put", "f", "--overwrite", "newer")).code, 0);
  assertEquals(stored(), "old");

  const get = async (content: string, ...args: string[]) => {
    p.write("f", content);
    const { code } = await p.run("get", "f", ...args);
    return [code, Deno.readTextFileSync(`${p.cwd}/f`)];
  };
  assertEquals(await get("new"), [5, "new"]);
  assertEquals(await get("old"), [0, "old"]);
  assertEquals(await get("new", "--overwrite", "newer"), [0, "old"]);
  assertEquals(await get("new", "--overwrite", "different"), [0, "old"]);
  assertEquals(await get("new", "--overwrite", "always"), [0, "old"]);
  Deno.utimeSync(`${p.root}/f`, 1000, 1000);
  assertEquals(await get("new", "--overwrite", "newer"), [0, "new"]);
});

Deno.test("ferry put of a large file that may not be replaced sends nothing", async () => {
  await using p = await Pair.shared();
  const bytes = randomBytes(20_000_000);
  p.write("large", bytes);
  assertEquals((await p.run("put", "large")).code, 0);
  const again = await p.run("put", "large", "--json");
  const event = JSON.parse(again.stdout);
  assertEquals([again.code, event.skipped, event.bytes_sent, event.md5], [0, true, 0, md5(bytes)]);
  bytes[19_999_999]! ^= 1;
  p.write("large", bytes);
  const other = await p.run("put", "large", "--json");
  assertEquals([other.code, JSON.parse(other.stdout).code], [5, "exists"]);
});

Deno.test("ferry -p keeps time and mode, in both directions", async () => {
  await using p = await Pair.shared();
  const path = p.write("f", "x");
  Deno.utimeSync(path, 1_000_000_000, 1_000_000_000);
  Deno.chmodSync(path, 0o640);
  assertEquals((await p.run("put", "f", "-p")).code, 0);
  const there = Deno.statSync(`${p.root}/f`);
  assertEquals([there.mtime?.getTime(), there.mode! & 0o777], [1e12, 0o640]);
  assertEquals((await p.run("get", "f", "-p", "--out", "g")).code, 0);
  const back = Deno.statSync(`${p.cwd}/g`);
  assertEquals([back.mtime?.getTime(), back.mode! & 0o777], [1e12, 0o640]);
});

Deno.test("ferry ls, stat, mv, rm, mkdir and ping do what their names say", async () => {
  await using p = await Pair.shared();
  p.write("a.txt", "hello\n");
  assertEquals((await p.run("mkdir", "x/y")).code, 0);
  assertEquals((await p.run("mkdir", "x/y")).code, 0);
  assertEquals((await p.run("put", "a.txt", "--to", "/x/")).code, 0);
  const list = await p.run("ls", "-R", "--json");
  const entries = list.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(entries.map(({ filename, type }) => [filename, type]), [
    ["x", "directory"],
    ["x/a.txt", "file"],
    ["x/y", "directory"],
  ]);
  // A listing does not read files to compute md5s, and a file that was just stored may still have changed since.
  assertEquals(entries[1].md5, null);
  assertMatch((await p.run("ls", "x")).stdout, /^-rw-.* 6 .* - +x\/a\.txt\nd.* x\/y\/\n$/);
  const stat = (await p.run("stat", "x/a.txt")).stdout;
  assertMatch(stat, /^size: +6$/m);
  assertMatch(stat, /^md5: +b1946ac92492d2347c6235b4d2611184$/m);
  assertEquals((await p.run("mv", "x/a.txt", "b/c.txt")).code, 0);
  assertEquals(Deno.readTextFileSync(`${p.root}/b/c.txt`), "hello\n");
  assertEquals((await p.run("rm", "b")).code, 5);
  assertEquals((await p.run("rm", "-r", "b", "nope", "x")).code, 4);
  assertEquals([...Deno.readDirSync(p.root)].map(({ name }) => name), [".ferry"]);
  assertMatch((await p.run("ping")).stdout, /^ferryd\/\S+ answered in [\d.]+ ms\n$/);
});

Deno.test("ferry exits with the status of the code", async (t) => {
  await using p = await Pair.shared();
  Deno.mkdirSync(`${p.root}/dir`);
  p.write("f", "x");
  const cases: [string, string[], number, string][] = [
    ["no command", [], 2, "No command was given"],
    ["a command that is not known", ["fly"], 2, 'There is no command "fly"'],
    ["an option that is not known", ["put", "--fly", "f"], 2, "There is no option --fly"],
    ["no argument", ["put"], 2, "Nothing was named"],
    ["an option without its value", ["put", "f", "--as"], 2, "--as needs a value"],
    ["a value that is none", ["put", "f", "--overwrite", "maybe"], 2, "--overwrite takes never, "],
    [
      "a time without unit",
      ["put", "f", "--timeout", "5"],
      2,
      "--timeout takes a time from 1ms to 24d",
    ],
    ["an address that is none", ["put", "f", "-s", "a b"], 2, "is no address"],
    ["--as for several", ["put", "f", "f", "--as", "x"], 2, "--as gives one name"],
    ["a local file that is missing", ["put", "nope"], 4, 'Cannot put "nope": no such file'],
    ["a file that is missing", ["get", "nope"], 4, 'Cannot get "nope": no such file'],
    [
      "a file that is missing, for a directory that is",
      ["get", "nope", "--out", "no/x"],
      4,
      "no such file or directory",
    ],
    ["a local directory in the way", ["get", "f", "--out", "d"], 5, "directory"],
    [
      "a server that is not there",
      ["ping", "-s", "127.0.0.1:1", "--retries", "0"],
      6,
      "connection refused",
    ],
    [
      "a host that is not known",
      ["ping", "-s", "nowhere.invalid"],
      6,
      "Cannot connect to nowhere.invalid:9900",
    ],
  ];
  assertEquals((await p.run("put", "f")).code, 0);
  Deno.mkdirSync(`${p.cwd}/d`);
  Deno.mkdirSync(`${p.cwd}/d/f`);
  for (const [name, args, code, message] of cases) {
    await t.step(name, async () => {
      const result = await p.run(...args);
      assertEquals([result.code, result.stdout], [code, ""]);
      assertStringIncludes(result.stderr, `ferry: `);
      assertStringIncludes(result.stderr, message);
      assert(!/\n\s+at /.test(result.stderr), "no stack trace");
    });
  }
});

Deno.test("ferry and ferryd explain themselves", async (t) => {
  for (const command of ["", "put", "get", "ls", "stat", "rm", "mv", "mkdir", "ping"]) {
    await t.step(`ferry ${command} --help`, async () => {
      const { code, stdout, stderr } = await ferry([command, "--help"].filter(Boolean));
      assertEquals([code, stderr], [0, ""]);
      assertStringIncludes(stdout, `Usage: ferry ${command || "COMMAND"}`);
    });
  }
  const { version } = JSON.parse(Deno.readTextFileSync(`${PROJECT}deno.json`));
  assertEquals((await ferry(["--version"])).stdout, `ferry ${version}\n`);
});

Deno.test("ferry get is not fooled by a server that sends wrong bytes, or too few", async (t) => {
  await using dir = new TempDir();
  const ok = { status: "ok", filename: "f", size: 5, mtime: 0, mode: 0o644 };
  const replies: Record<string, { send: Uint8Array[]; code: number; says: string }> = {
    "a wrong md5 in front": {
      send: [frame({ ...ok, md5: md5("other"), total_size: 5 }), new TextEncoder().encode("hello")],
      code: 7,
      says: "the md5 of the 5 bytes that came",
    },
    "a wrong md5 behind": {
      send: [
        frame({ ...ok, md5: null, total_size: 5 }),
        new TextEncoder().encode("hello"),
        frame({ end: true, filename: "f", md5: md5("other"), size: 5 }),
      ],
      code: 7,
      says: "the md5 of the 5 bytes that came",
    },
    "a length that was lost on the way": {
      send: [frame({ ...ok, md5: null })],
      code: 7,
      says: "0 of 5 bytes came",
    },
    "a connection that ends early": {
      send: [frame({ ...ok, md5: md5("hello"), total_size: 5 }), new TextEncoder().encode("hel")],
      code: 6,
      says: "the connection ended in the middle of a body",
    },
    "no header at all": {
      send: [new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")],
      code: 8,
      says: "header",
    },
    "nothing": { send: [], code: 6, says: "the server ended the connection" },
  };
  for (const [name, { send, code, says }] of Object.entries(replies)) {
    await t.step(name, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const serving = (async () => {
        using conn = await listener.accept();
        const hello = frame({ status: "ok", version: 1 });
        const scratch = new Uint8Array(4096);
        await conn.read(scratch);
        await conn.write(hello);
        await conn.read(scratch);
        for (const bytes of send) await conn.write(bytes);
        await conn.closeWrite();
        while (await conn.read(scratch) !== null);
      })();
      const server = `127.0.0.1:${listener.addr.port}`;
      const result = await ferry(["get", "f", "--retries", "0"], { cwd: dir.path, server });
      assertEquals([result.code, result.stdout], [code, ""]);
      assertStringIncludes(result.stderr, says);
      assertEquals([...Deno.readDirSync(dir.path)], []);
      await serving;
    });
  }
});

Deno.test("ferry gives up on a server that says nothing", async () => {
  await using dir = new TempDir();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = `127.0.0.1:${listener.addr.port}`;
  const result = await ferry(["ping", "--connect-timeout", "200ms"], { cwd: dir.path, server });
  assertEquals(result.code, 6);
  assertStringIncludes(result.stderr, "the peer sent nothing for");
});

Deno.test("ferry that is interrupted leaves nothing behind and says so by its status", async () => {
  await using dir = new TempDir();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = spawnFerry(["get", "f"], {
    cwd: dir.path,
    server: `127.0.0.1:${listener.addr.port}`,
  });
  using conn = await listener.accept();
  const scratch = new Uint8Array(4096);
  await conn.read(scratch);
  await conn.write(frame({ status: "ok", version: 1 }));
  await conn.read(scratch);
  const header = { status: "ok", filename: "f", size: 9e6, mtime: 0, mode: 0o644, md5: null };
  await conn.write(frame({ ...header, total_size: 9e6 }));
  await conn.write(new Uint8Array(1000));
  using watcher = Deno.watchFs(dir.path);
  if ([...Deno.readDirSync(dir.path)].length === 0) {
    for await (const event of watcher) if (event.kind === "create") break;
  }
  child.kill("SIGINT");
  const { code, stderr } = await outcome(child);
  assertEquals(code, 130);
  assertEquals(stderr, "ferry: interrupted; the same command goes on where it stopped\n");
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("ferryd finishes what is under way when it is told to stop", async () => {
  await using p = await Pair.start(["--drain-timeout", "20s"]);
  using idle = await RawPeer.connect(p.server.port);
  assertEquals(await idle.ask({ op: "ping" }), "ok");
  using busy = await RawPeer.connect(p.server.port);
  await busy.send({ op: "put", filename: "f", md5: md5("hello"), total_size: 5 }, "he");
  // A staged file shows that the request is being processed.
  while (staged(p.root).length === 0) await idle.ask({ op: "ping" });
  const stopping = p.server.stop("SIGTERM");
  assertEquals(await idle.code(), "ended");
  await busy.send("llo");
  assertEquals(await busy.code(), "ok");
  assertEquals(await busy.code(), "ended");
  await busy.end();
  assertEquals((await stopping).code, 0);
  assertEquals(Deno.readTextFileSync(`${p.root}/f`), "hello");
});

Deno.test("ferryd stops also while it reads a huge file for its md5", async () => {
  await using p = await Pair.start(["--drain-timeout", "10ms"]);
  // Reading all of its zeros would take many minutes.
  Deno.writeTextFileSync(`${p.root}/huge`, "");
  Deno.truncateSync(`${p.root}/huge`, 2 ** 39);
  using peer = await RawPeer.connect(p.server.port);
  await peer.send({ op: "ping" });
  await peer.send({ op: "stat", filename: "huge" });
  assertEquals(await peer.code(), "ok");
  assertEquals((await p.server.stop("SIGTERM")).code, 0);
  assertEquals(await peer.code(), "ended");
});

Deno.test("ferryd clears away at its start what a killed one left behind", async () => {
  await using p = await Pair.start();
  using peer = await RawPeer.connect(p.server.port);
  await peer.send(
    { op: "put", filename: "f", md5: null, total_size: 8_000_000 },
    new Uint8Array(7_000_000),
  );
  while (staged(p.root).length === 0) await peer.send(new Uint8Array(1));
  await p.server.stop("SIGKILL");
  assertEquals(staged(p.root).length, 1);
  assertEquals([...Deno.readDirSync(p.root)].map(({ name }) => name), [".ferry"]);
  await using _again = await Ferryd.start(p.root);
  assertEquals(staged(p.root), []);
});

Deno.test("ferryd refuses to start where it would be unsafe or in the way", async (t) => {
  await using p = await Pair.start();
  const start = async (...args: string[]) => {
    try {
      await using _server = await Ferryd.start(p.root, args);
      return "started";
    } catch (error) {
      return String(error);
    }
  };
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    // Deno 2.4 has no tryLock, so it can only wait for the other process to end.
    ...("tryLockSync" in Deno.FsFile.prototype
      ? [["a root that is served already", [], "another ferryd serves it"]] as const
      : []),
    ["a root that is missing", ["--root", p.dir.join("nope")], "no such file or directory"],
    ["a root that is a file", ["--root", p.write("f", "x")], "it is not a directory"],
    ["a public address", ["--root", p.cwd, "--listen", "0.0.0.0:0"], "--anonymous"],
    ["an address in use", ["--root", p.cwd, "--listen", p.server.address], "the address is in use"],
    ["a scope that is not known", ["--root", p.cwd, "--anonymous", "fly"], '"fly" is no scope'],
    [
      "a config file with an unknown key",
      ["--config", p.write("c", "fly = 1\n")],
      'there is no option "fly"',
    ],
  ];
  for (const [name, args, message] of cases) {
    await t.step(name, async () => assertStringIncludes(await start(...args), message));
  }
});

Deno.test("ferry may not run programs", async () => {
  await using dir = new TempDir();
  const script = dir.write(
    "run.ts",
    `try { new Deno.Command("true").outputSync(); } catch (e) { console.log(e.name); }`,
  );
  const args = [...programArgs("ferry").slice(0, -1), script];
  const { stdout } = await new Deno.Command(DENO, { args }).output();
  assertEquals(new TextDecoder().decode(stdout), "NotCapable\n");
});
