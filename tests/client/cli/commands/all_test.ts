import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ferry, ferryd } from "../../../support/programs.ts";
import { Pair } from "../../../support/pair.ts";

/** What stands below the root, directories with a slash. */
function names(root: string, prefix = ""): string[] {
  return [...Deno.readDirSync(root)].filter(({ name }) => name !== ".ferry").flatMap(
    ({ name, isDirectory }) =>
      isDirectory
        ? [`${prefix}${name}/`, ...names(`${root}/${name}`, `${prefix}${name}/`)]
        : [prefix + name],
  ).sort();
}

async function filled(...files: string[]): Promise<Pair> {
  const p = await Pair.start();
  for (const name of files) {
    const at = name.lastIndexOf("/");
    if (at >= 0) Deno.mkdirSync(`${p.root}/${name.slice(0, at)}`, { recursive: true });
    if (!name.endsWith("/")) Deno.writeTextFileSync(`${p.root}/${name}`, name);
  }
  return p;
}

/** The names at the ends of the lines of a list. */
function listed(stdout: string): string[] {
  return stdout.split("\n").filter(Boolean).map((line) => line.split(" ").at(-1)!);
}

Deno.test("ferry ls shows files, directories and what matches a pattern, with local times", async () => {
  await using p = await filled("a.txt", "b.txt", "d/x.txt", "d/e/y", "[z]");
  const ls = async (...args: string[]) => {
    const { code, stdout, stderr } = await p.run("ls", ...args);
    assertEquals([code, stderr], [0, ""]);
    return listed(stdout);
  };
  for (const root of [[], ["."], ["/"], ["./"]]) {
    assertEquals(await ls(...root), ["[z]", "a.txt", "b.txt", "d/"]);
  }
  assertEquals(await ls("d/"), ["d/e/", "d/x.txt"]);
  assertEquals(await ls("a.txt", "./d/x.txt"), ["a.txt", "d/x.txt"]);
  assertEquals(await ls("*.txt"), ["a.txt", "b.txt"]);
  assertEquals(await ls("d*"), ["d/e/", "d/x.txt"]);
  assertEquals(await ls("[z]"), ["[z]"]);
  const missing = await p.run("ls", "nope", "a.txt", "*.jpg");
  assertEquals([missing.code, listed(missing.stdout)], [4, ["a.txt"]]);
  assertStringIncludes(missing.stderr, 'Cannot list "nope"');
  assertStringIncludes(missing.stderr, 'Cannot list "*.jpg": nothing on the server matches it');

  Deno.truncateSync(`${p.root}/a.txt`, 3 * 1024 * 1024);
  Deno.utimeSync(`${p.root}/a.txt`, 1_700_000_000, 1_700_000_000);
  const shown = await ferry(["ls", "-lh", "a.txt"], {
    server: p.server.address,
    env: { TZ: "Asia/Kolkata" },
  });
  assertMatch(shown.stdout, / 3 MiB 2023-11-15 03:43:20 \+0530 /);
});

Deno.test("ferry rm and stat take patterns, and names as people write them", async () => {
  await using p = await filled("a.txt", "b.txt", "c", "d/x");
  const stat = await p.run("stat", "*.txt", "./d/");
  assertEquals(stat.stdout.match(/^filename: .*$/gm), [
    "filename: a.txt",
    "filename: b.txt",
    "filename: d",
  ]);
  assertEquals((await p.run("rm", "*.txt", "d/", "-r")).code, 0);
  assertEquals(names(p.root), ["c"]);
  for (
    const [action, ...args] of [
      ["remove", "rm", "-r", "."],
      ["remove", "rm", "/"],
      ["move", "mv", "./", "x"],
      ["make the directory", "mkdir", "/"],
    ]
  ) {
    const { code, stderr } = await p.run(...args);
    const reason = "it is the directory that is served itself";
    assertEquals([code, stderr], [5, `ferry: Cannot ${action} ".": ${reason}\n`], args.join(" "));
  }
  assertEquals((await p.run("rm", "*.txt")).code, 4);
  assertEquals((await p.run("mkdir", "./e/f/")).code, 0);
  assertEquals(names(p.root), ["c", "e/", "e/f/"]);
});

Deno.test("ferry mv moves into directories as mv does", async () => {
  await using p = await filled("a", "b", "c", "d/", "t/x");
  const mv = async (...args: string[]) => {
    const { code, stderr } = await p.run("mv", ...args);
    assertEquals([code, stderr], [0, ""]);
    return names(p.root);
  };
  assertEquals(await mv("a", "d"), ["b", "c", "d/", "d/a", "t/", "t/x"]);
  assertEquals(await mv("t", "d"), ["b", "c", "d/", "d/a", "d/t/", "d/t/x"]);
  assertEquals(await mv("b", "new/"), ["c", "d/", "d/a", "d/t/", "d/t/x", "new/", "new/b"]);
  assertEquals(await mv("d/a", "new/b", "."), ["a", "b", "c", "d/", "d/t/", "d/t/x", "new/"]);
  assertEquals(await mv("[ab]", "new"), ["c", "d/", "d/t/", "d/t/x", "new/", "new/a", "new/b"]);
  const clash = await p.run("mv", "new/a", "d/a", "x/");
  assertEquals(clash.code, 2);
  assertStringIncludes(clash.stderr, '"new/a" and "d/a" would both become "x/a"');
  const taken = await p.run("mv", "new/a", "new/b");
  assertEquals(taken.code, 5);
  assertStringIncludes(taken.stderr, "--overwrite says when a name that is taken is replaced");
});

Deno.test("ferry has the names that other programs have for its commands", async () => {
  await using p = await Pair.start();
  p.write("f", "hello\n");
  assertEquals((await p.run("upload", "-r", "f")).code, 0);
  assertEquals((await p.run("download", "f", "--out", "g")).code, 0);
  assertEquals(Deno.readTextFileSync(`${p.cwd}/g`), "hello\n");
  assertEquals(await p.run("cat", "f", "./f"), { code: 0, stdout: "hello\n", stderr: "" });
  for (
    const [args, start] of [
      [["help"], "Usage: ferry COMMAND"],
      [["help", "put"], "Usage: ferry put "],
      [["help", "cat"], "Usage: ferry cat "],
      [["ls", "--help"], "Usage: ferry ls "],
      [["version"], "ferry "],
      [["-V"], "ferry "],
    ] as const
  ) {
    const { code, stdout } = await ferry([...args]);
    assert(code === 0 && stdout.startsWith(start), stdout);
  }
});

Deno.test("ferryd has help, a version and a hint where a command is mistyped", async () => {
  const run = (...args: string[]) => ferryd(args);
  assertMatch((await run("help")).stdout, /^Usage: ferryd \[--root DIR/);
  assertMatch((await run("help", "token", "new")).stdout, /^Usage: ferryd token new /);
  for (const form of ["-V", "version"]) assertMatch((await run(form)).stdout, /^ferryd \d/);
  const mistyped = await run("certt");
  assertEquals([mistyped.code, mistyped.stdout], [2, ""]);
  assertStringIncludes(mistyped.stderr, 'There is no command "certt". Did you mean "cert"?');
});

Deno.test("both programs know what was meant by a mistyped help", async () => {
  for (const { code, stderr } of [await ferry(["helo"]), await ferryd(["hepl"])]) {
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'Did you mean "help"?');
  }
});

Deno.test("ferry tells at once what no retry helps against, and repeats only transfers", async (t) => {
  using http = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answering = (async () => {
    for await (const conn of http) {
      await conn.read(new Uint8Array(4096));
      await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
      conn.close();
    }
  })();
  const web = `127.0.0.1:${http.addr.port}`;
  const cases: [args: string[], code: number, says: string][] = [
    [["get", "f", "-s", web], 8, "the other side seems to speak HTTP"],
    [["get", "f", "-s", "nowhere.invalid"], 6, "no address is known for that host"],
    [["ping", "-s", "127.0.0.1:1"], 6, "connection refused"],
    [["ls", "-s", "127.0.0.1:1"], 6, "connection refused"],
    [["rm", "f", "-s", "127.0.0.1:1"], 6, "connection refused"],
    [["get", "f", "-n", "-s", "127.0.0.1:1"], 6, "connection refused"],
  ];
  for (const [args, code, says] of cases) {
    await t.step(args.join(" "), async () => {
      const result = await ferry([...args, "--json"]);
      const events = result.stdout.trim().split("\n").map((line) => JSON.parse(line));
      assertEquals([result.code, events.length, events[0].event], [code, 1, "error"]);
      assertStringIncludes(events[0].message, says);
    });
  }
  await t.step("a download is repeated", async () => {
    const { stdout } = await ferry(["get", "f", "-s", "127.0.0.1:1", "--retries", "1", "--json"]);
    assertEquals(JSON.parse(stdout.split("\n")[0]!).event, "retry");
  });
  http.close();
  await answering.catch(() => {});
});
