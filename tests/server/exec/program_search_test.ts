import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { AllowedCommands } from "../../../server/exec/allowed_commands.ts";
import { ProgramSearch } from "../../../server/exec/program_search.ts";
import { ferry, Ferryd, ferryd, TempDir } from "../../support/programs.ts";

const USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A directory that clients write to, and one beside it that they do not. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly beside = this.dir.join("beside");

  constructor() {
    for (const directory of [this.root, this.beside, `${this.root}/bin`]) Deno.mkdirSync(directory);
  }

  /** Writes a program. */
  program(path: string, script = "echo ran"): string {
    this.dir.write(path, `#!/bin/sh\n${script}\n`);
    Deno.chmodSync(this.dir.join(path), 0o755);
    return this.dir.join(path);
  }

  /** Makes a symbolic link in the directory beside. */
  link(name: string, target: string): string {
    Deno.symlinkSync(target, `${this.beside}/${name}`);
    return `${this.beside}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Windows runs no commands. */
const ignore = Deno.build.os === "windows";

Deno.test({
  name: "ProgramSearch.path has only what is absolute and out of the clients' reach",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    const { root, beside } = f;
    Deno.mkdirSync(`${beside}/bin`);
    Deno.symlinkSync(beside, `${root}/out`);
    const table: [part: string, kept: boolean][] = [
      [`${beside}/bin`, true],
      [`${beside}/./bin/`, true],
      [`${beside}/later`, true],
      [f.link("good", "bin"), true],
      ["", false],
      [".", false],
      ["bin", false],
      ["../beside", false],
      [root, false],
      [`${root}/`, false],
      [`${root}/bin`, false],
      [`${root}/later`, false],
      [`${beside}/../root/bin`, false],
      // The link is in the root, where somebody could replace it.
      [`${root}/out/bin`, false],
      [f.link("into", "../root/bin"), false],
      [f.link("absolute", `${root}/bin`), false],
      [f.link("dangling", "../root/later"), false],
      [f.link("twice", "into"), false],
      [f.link("through", `${root}/out/bin`), false],
      [f.link("loop", "loop"), false],
    ];
    for (const [part, kept] of table) {
      const programs = ProgramSearch.over({ path: `/usr/bin:${part}:/bin`, root });
      assertEquals(programs.path, kept ? `/usr/bin:${part}:/bin` : "/usr/bin:/bin", part);
    }
    for (const path of [undefined, "", ".", ":", "::bin", root]) {
      assertEquals(ProgramSearch.over({ path, root }).path, USUAL, path);
    }
    // Without a directory that clients write to, only what is relative is left out.
    assertEquals(ProgramSearch.over({ path: `.:${root}:`, root: undefined }).path, root);
  },
});

Deno.test({
  name: "ProgramSearch.find() refuses programs that clients could replace",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    const { root, beside } = f;
    f.program("root/bin/job");
    f.program("beside/good");
    Deno.symlinkSync(beside, `${root}/out`);
    const path = `${root}/bin:${beside}`;
    const find = (name: string) => ProgramSearch.over({ path, root }).find(name);
    assertEquals(find("good"), `${beside}/good`);
    assertEquals(find(f.link("alias", "good")), `${beside}/alias`);
    f.link("linked", "../root/bin/job");
    for (
      const name of ["job", `${root}/bin/job`, "linked", `${beside}/linked`, `${root}/out/good`]
    ) {
      const error = assertThrows(() => find(name), FerryError, "the directory that is served");
      assertEquals(error.code, "usage");
    }
    assertThrows(() => find("nothing"), FerryError, "there is no such command on PATH");
  },
});

Deno.test({
  name: "ProgramSearch refuses a directory that has all programs",
  ignore,
  fn: () => {
    for (const path of [undefined, "/usr/bin:/bin"]) {
      const start = () => ProgramSearch.over({ path, root: "/" });
      assertEquals(assertThrows(start, FerryError, "serve another one").code, "usage");
    }
  },
});

Deno.test({
  name: "ProgramSearch.helper() takes none that clients could replace",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    const { root, beside } = f;
    f.program("root/bin/setsid");
    f.link("setsid", "../root/bin/setsid");
    const path = [`${root}/bin`, beside].join(":");
    assertEquals(ProgramSearch.over({ path, root }).helper("setsid"), undefined);
    Deno.removeSync(`${beside}/setsid`);
    f.program("beside/setsid");
    assertEquals(ProgramSearch.over({ path, root }).helper("setsid"), `${beside}/setsid`);
  },
});

Deno.test({
  name: "Commands.start() looks again at where a program leads",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    f.program("root/bin/job");
    const link = f.link("job", f.program("beside/good"));
    const commands = AllowedCommands.find({ cwd: f.root, allow: [link] }, { root: f.root });
    const start = () => commands.start({ op: "exec", argv: [link] }, { stdin: false });
    await start()[Symbol.asyncDispose]();
    Deno.removeSync(link);
    f.link("job", "../root/bin/job");
    assertEquals(assertThrows(start, FerryError, "that clients can write to").code, "denied");
  },
});

Deno.test({
  name: "ferryd's commands find no program, and no home, where clients can write",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    const { root, beside } = f;
    f.program("beside/job", "helper; printenv PATH HOME TMPDIR; exit 0");
    for (const path of ["root/helper", "root/bin/helper"]) f.program(path, "echo uploaded");
    const env = {
      PATH: `:.:bin:${root}/bin:${f.link("into", "../root/bin")}:${beside}:/usr/bin:/bin:`,
      HOME: root,
      TMPDIR: `${root}/bin`,
    };
    await using server = await Ferryd.start(root, ["--allow-exec", "job"], { env });
    const { code, stdout } = await ferry(["exec", "--", "job"], { server: server.address });
    assertEquals([code, stdout], [0, `${beside}:/usr/bin:/bin\n`]);
  },
});

Deno.test({
  name: "ferryd does not start where clients could replace what they may run",
  ignore,
  fn: async () => {
    await using f = new Fixture();
    const program = f.program("root/bin/job");
    const args = ["--root", f.root, "--listen", "127.0.0.1:0", "--allow-exec", program];
    const { code, stdout, stderr } = await ferryd(args, { runsCommands: true });
    assertEquals([code, stdout], [2, ""]);
    assert(stderr.startsWith(`ferryd: Cannot allow the command "${program}": `), stderr);
    assertEquals(stderr.trim().split("\n").length, 1);
  },
});
