import { RUNTIME } from "../../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { StagedFile } from "../../../../lib/files/staged_file.ts";
import { HOLDS_DIRECTORIES, PROJECT, TempDir } from "../../../support/programs.ts";
import { text } from "../../../support/bytes.ts";

const notHeld = HOLDS_DIRECTORIES ? "" : " (ignored: no directory can be held here)";

function testPinned(criterion: string, fn: (f: Fixture) => Promise<void> | void): void {
  Deno.test({
    name: criterion + notHeld,
    ignore: !HOLDS_DIRECTORIES,
    fn: async () => {
      await using f = new Fixture();
      assert(f.top.pinned);
      await fn(f);
    },
  });
}

/** A directory `top` with `d/file` in it, and beside it `outside/file`. */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly path = Deno.realPathSync(this.#dir.path);
  readonly top: Directory;

  constructor() {
    for (const path of ["top/d/sub", "outside/sub"]) {
      Deno.mkdirSync(`${this.path}/${path}`, { recursive: true });
    }
    Deno.writeTextFileSync(`${this.path}/top/d/file`, "inside");
    Deno.writeTextFileSync(`${this.path}/outside/file`, "outside");
    this.top = Directory.open(`${this.path}/top`);
  }

  enter(name: string, directory = this.top): Directory | undefined {
    return directory.enter(name, Deno.lstatSync(directory.at(name)));
  }

  /** Puts a link to the directory outside where `top/d` is, which is `top/away` then. */
  swap(): void {
    Deno.renameSync(`${this.path}/top/d`, `${this.path}/top/away`);
    Deno.symlinkSync(`${this.path}/outside`, `${this.path}/top/d`);
  }

  names(path: string): string[] {
    return [...Deno.readDirSync(`${this.path}/${path}`)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.top.close();
    await this.#dir[Symbol.asyncDispose]();
  }
}

testPinned("Directory.at() leads into the directory, whatever its name leads to", (f) => {
  using d = f.enter("d")!;
  f.swap();
  assertEquals(Deno.lstatSync(d.at("file")).size, "inside".length);
  Deno.mkdirSync(d.at("made"));
  Deno.renameSync(d.at("file"), d.at("renamed"));
  Deno.linkSync(d.at("renamed"), d.at("linked"));
  Deno.removeSync(d.at("sub"), { recursive: true });
  assertEquals([...Deno.readDirSync(d.path)].map(({ name }) => name).sort(), [
    "linked",
    "made",
    "renamed",
  ]);
  assertEquals(f.names("outside"), ["file", "sub"]);
});

testPinned("Directory.enter() opens what was seen, and nothing else", (f) => {
  const seen = Deno.lstatSync(f.top.at("d"));
  f.swap();
  assertEquals(f.top.enter("d", seen), undefined);
  Deno.removeSync(f.top.at("d"));
  assertEquals(f.top.enter("d", seen), undefined);
  Deno.writeTextFileSync(f.top.at("d"), "a file");
  assertEquals(f.top.enter("d", seen), undefined);
  using away = f.top.enter("away", seen);
  assertEquals(Deno.statSync(away!.path).ino, seen.ino);
});

testPinned("Directory.open() opens what was seen, and nothing else", async (f) => {
  using d = f.enter("d")!;
  const seen = Deno.lstatSync(d.at("file"));
  {
    await using file = d.open("file", seen, RUNTIME)!;
    assertEquals(new TextDecoder().decode(await file.readWhole()), "inside");
  }
  Deno.renameSync(d.at("file"), d.at("away"));
  Deno.symlinkSync("../../outside/file", d.at("file"));
  assertEquals(d.open("file", seen, RUNTIME), undefined);
  Deno.removeSync(d.at("file"));
  Deno.linkSync(`${f.path}/outside/file`, d.at("file"));
  assertEquals(d.open("file", seen, RUNTIME), undefined);
});

testPinned("Directory.open() does not wait for a named pipe that was swapped in", (f) => {
  using d = f.enter("d")!;
  const seen = Deno.lstatSync(d.at("file"));
  Deno.removeSync(d.at("file"));
  const { success } = new Deno.Command("mkfifo", { args: [`${f.path}/top/d/file`] }).outputSync();
  assert(success);
  let code = "";
  try {
    d.open("file", seen, RUNTIME);
  } catch (error) {
    code = (error as { code: string }).code;
  }
  assertEquals(code, "not_a_file");
});

testPinned(
  "Directory.createFile() creates in the directory, whatever its name leads to",
  async (f) => {
    using d = f.enter("d")!;
    const created = [d.createFile(".part")];
    f.swap();
    created.push(d.createFile(".part"));
    for (const [turn, each] of created.entries()) {
      await using staged = StagedFile.of(each, RUNTIME, { mode: 0o640 });
      await staged.write(new TextEncoder().encode("text"));
      await staged.write(new Uint8Array(100_000));
      staged.setAttributes({ mtime: 1_234_567_890_123 });
      await staged.sync();
      staged.publish(d.at(`published-${turn}`), { replace: false });
      const { size, mode, mtime } = Deno.lstatSync(`${f.path}/top/away/published-${turn}`);
      assertEquals([size, mode! & 0o777, mtime?.getTime()], [100_004, 0o640, 1_234_567_890_123]);
    }
    assertEquals(f.names("top/away"), ["file", "published-0", "published-1", "sub"]);
    assertEquals(f.names("outside"), ["file", "sub"]);
  },
);

testPinned(
  "Directory.createFile() gives a file that takes large and small pieces by turns",
  async (f) => {
    await using staged = StagedFile.of(f.top.createFile(".part"), RUNTIME, { mode: 0o640 });
    const sizes = [10, 3_000_000, 20, 100_000, 30];
    for (const [i, size] of sizes.entries()) await staged.write(new Uint8Array(size).fill(i));
    staged.publish(f.top.at("published"), { replace: false });
    const content = sizes.flatMap((size, i) => [...new Uint8Array(size).fill(i)]);
    assertEquals(Deno.readFileSync(`${f.path}/top/published`), Uint8Array.from(content));
  },
);

testPinned(
  "Directory.createFile() gives a file that is written wherever its name leads by then",
  async (f) => {
    for (const [name, away] of [["gone", undefined], ["away", "published"]] as const) {
      const { file, path } = f.top.createFile(`.${name}`);
      const at = `${f.path}/top/${path.slice(path.lastIndexOf("/") + 1)}`;
      file.writeSync(new TextEncoder().encode("text"));
      if (away) Deno.renameSync(at, `${f.path}/top/${away}`);
      else Deno.removeSync(at);
      Deno.writeTextFileSync(at, "another's");
      assertEquals(await file.write(new Uint8Array(100_000)), 100_000);
      file.close();
      assertEquals(Deno.readTextFileSync(at), "another's");
      if (away) assertEquals(Deno.statSync(`${f.path}/top/${away}`).size, 100_004);
    }
  },
);

testPinned("Directory.known() knows a directory by its whole name, as long as it has it", (f) => {
  const known = (name: string) => {
    using directory = f.top.known(name);
    return directory?.identity;
  };
  assertEquals(known("d/sub"), undefined);
  using d = f.enter("d")!;
  using sub = f.enter("sub", d)!;
  assertEquals(known("d/sub"), sub.identity);
  assertEquals(known("d"), d.identity);
  f.swap();
  assertEquals([known("d/sub"), known("d")], [undefined, undefined]);
  Deno.removeSync(f.top.at("d"));
  Deno.renameSync(f.top.at("away"), f.top.at("d"));
  assertEquals(known("d/sub"), sub.identity);
});

testPinned("Directory.sync() flushes the directory, whatever its name leads to", async (f) => {
  using d = f.enter("d")!;
  f.swap();
  await d.sync();
});

testPinned("Directory.hold() keeps it open until all are done with it", (f) => {
  const d = f.enter("d")!;
  using held = d.hold();
  d[Symbol.dispose]();
  d[Symbol.dispose]();
  f.swap();
  assertEquals(Deno.lstatSync(held.at("file")).size, "inside".length);
});

testPinned("Directory.mend() makes the way to it anew", (f) => {
  using d = f.enter("d")!;
  assertEquals(f.top.mend(), false);
  const clear = () => {
    Deno.removeSync(d.path.slice(0, d.path.lastIndexOf("/fd/")), { recursive: true });
  };
  clear();
  assertEquals(f.top.mend(), true);
  assertEquals(Deno.lstatSync(d.at("file")).size, "inside".length);
  clear();
  d.createFile(".part").file.close();
  assertEquals(f.names("top/d").filter((name) => name.endsWith(".part")).length, 1);
});

testPinned("Directory.close() leaves nothing in the directory for temporary files", (f) => {
  const link = f.top.path.slice(0, f.top.path.lastIndexOf("/"));
  assertEquals(Deno.readLinkSync(link), `/proc/${Deno.pid}/fd`);
  f.top.close();
  let gone = false;
  try {
    Deno.lstatSync(link.slice(0, -"/fd".length));
  } catch {
    gone = true;
  }
  assert(gone);
});

/** A program that uses a storage in the directory that it is given, and prints what came of it. */
const PROGRAM = `
const { FsStorage } = await import('${PROJECT}mod.ts');
await using storage = FsStorage.open(Deno.args[0]);
const bytes = new TextEncoder().encode("text");
await using pending = await storage.create("a/b", { size: 4 });
await pending.write(bytes);
const checksum = "1cb251ec0d568de6a929b520c4aed8d1";
await pending.commit({ checksum, replace: false, mtime: 1234567890123 });
await storage.move("a/b", "a/c", { replace: false });
const names = [];
for await (const { filename } of storage.list("", { recursive: true })) names.push(filename);
const left = async (name) => await storage.find(name) === undefined;
console.log(JSON.stringify([
  storage.guarded, names, await storage.checksum("a/c", "md5"), await left("out/secret"),
]));
`;

async function runProgram(
  args: readonly string[],
  temporary: string,
): Promise<{ stdout: string; stderr: string }> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "--config", `${PROJECT}deno.json`],
      ...args,
    ],
    env: { TMPDIR: temporary },
    stdin: "null",
  }).output();
  return { stdout: text(stdout), stderr: text(stderr) };
}

testPinned("FsStorage.open() removes what killed processes left to hold directories", async () => {
  await using dir = new TempDir();
  for (const name of ["root", "temporary"]) Deno.mkdirSync(dir.join(name));
  const temporary = dir.join("temporary");
  for (const name of ["ferry-fd-left", "ferry-fd-held", "ferry-fd-new", "other"]) {
    const path = `${temporary}/${name}`;
    Deno.mkdirSync(path);
    Deno.symlinkSync("/proc/self", `${path}/self`);
    if (name !== "ferry-fd-new") Deno.utimeSync(path, 0, 0);
  }
  using held = Deno.openSync(`${temporary}/ferry-fd-held`, { read: true });
  held.lockSync(true);
  const args = [
    "--allow-read",
    "--allow-write",
    dir.write("program.ts", PROGRAM),
    dir.join("root"),
  ];
  assertEquals((await runProgram(args, temporary)).stderr, "");
  const names = [...Deno.readDirSync(temporary)].map(({ name }) => name).sort();
  assertEquals(names, ["ferry-fd-held", "ferry-fd-new", "other"]);
});

/** Says how many bytes its own thread writes of 3,000,000, which only a program that may do everything sees. */
const WRITER = `
const { Directory } = await import('${PROJECT}server/storage/fs/open_directory.ts');
const written = () => {
  return Number(/wchar: (\\d+)/.exec(Deno.readTextFileSync("/proc/thread-self/io"))[1]);
};
const top = Directory.open(Deno.args[0]);
const { file } = top.createFile(".part");
const before = written();
await file.write(new Uint8Array(3_000_000));
console.log(written() - before);
top.close();
`;

testPinned(
  "Directory.createFile() gives a file that other threads write large pieces to",
  async (f) => {
    const program = `${f.path}/writer.ts`;
    Deno.writeTextFileSync(program, WRITER);
    const { stdout, stderr } = await runProgram(["--allow-all", program, `${f.path}/top`], f.path);
    assertEquals(stderr, "");
    assert(Number(stdout) < 100_000, `${stdout} bytes`);
  },
);

for (
  const [what, permissions, guarded, temporaryMode = 0o700] of [
    ["may use everything", ["--allow-read", "--allow-write"], HOLDS_DIRECTORIES],
    ["may use one directory only", ["--allow-read=DIR", "--allow-write=DIR"], false],
    ["shares temporary files", ["--allow-read", "--allow-write"], HOLDS_DIRECTORIES, 0o1777],
    [
      "has temporary files that others can replace",
      ["--allow-read", "--allow-write"],
      false,
      0o777,
    ],
  ] as const
) {
  Deno.test(`FsStorage.guarded in a program that ${what}`, async () => {
    await using dir = new TempDir();
    const root = Deno.realPathSync(dir.path) + "/root";
    Deno.mkdirSync(root);
    Deno.symlinkSync("..", `${root}/out`);
    dir.write("secret", "secret");
    const program = dir.write("program.ts", PROGRAM);
    const temporary = dir.join("temporary");
    Deno.mkdirSync(temporary);
    Deno.chmodSync(temporary, temporaryMode);
    const args = [...permissions.map((each) => each.replace("DIR", root)), program, root];
    const { stdout, stderr } = await runProgram(args, temporary);
    assertEquals([...Deno.readDirSync(temporary)], []);
    assertEquals(stderr, "");
    assertEquals(JSON.parse(stdout), [
      guarded,
      ["a", "a/c"],
      "1cb251ec0d568de6a929b520c4aed8d1",
      true,
    ]);
  });
}
