/**
 * Directories that may be written but not read, such as drop boxes.
 */

import { assertEquals } from "@std/assert";
import { BOUND, by, NO_BOUND } from "../support/launched_by.ts";
import { ferry, Ferryd, TempDir } from "../support/programs.ts";

/** The names in a directory that may not be listed. */
function namesIn(path: string): string[] {
  Deno.chmodSync(path, 0o700);
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  } finally {
    Deno.chmodSync(path, 0o300);
  }
}

Deno.test({
  name: "directories that may be written and not listed take what is done in them" +
    (BOUND ? "" : ` (ignored: ${NO_BOUND})`),
  ignore: BOUND === undefined,
  async fn() {
    await using dir = new TempDir();
    const launch = by(BOUND!);
    for (const path of ["root/drop", "root/sub", "tree", "here"]) {
      Deno.mkdirSync(dir.join(path), { recursive: true });
    }
    for (const path of ["one", "tree/1", "tree/2", "root/sub/served"]) dir.write(path, path);
    Deno.chmodSync(dir.join("root/drop"), 0o300);
    Deno.chmodSync(dir.join("here"), 0o300);
    using _writable = {
      [Symbol.dispose]: () => {
        for (const path of ["root/drop", "here"]) Deno.chmodSync(dir.join(path), 0o700);
      },
    };
    await using server = await Ferryd.start(dir.join("root"), [], { launch });
    const run = async (...args: string[]) => {
      const { code, stderr } = await ferry(args, {
        cwd: dir.path,
        server: server.address,
        launch,
      });
      return [code, stderr];
    };
    const table: [args: string[], stderr: string][] = [
      [["put", "one", "--to", "drop"], ""],
      [["put", "tree", "--to", "drop"], "ferry: 2 transferred (12 B), 0 unchanged\n"],
      [["mkdir", "drop/new"], ""],
      [["mv", "drop/one", "drop/two"], ""],
      [["mv", "drop/two", "sub/two"], ""],
      [["rm", "-r", "drop/tree"], ""],
      [["get", "sub/served", "--out", "here/"], ""],
      [["get", "sub", "--out", "here/sub"], "ferry: 2 transferred (18 B), 0 unchanged\n"],
    ];
    for (const [args, stderr] of table) assertEquals(await run(...args), [0, stderr], `${args}`);
    assertEquals(namesIn(dir.join("root/drop")), ["new"]);
    assertEquals(namesIn(dir.join("here")), ["served", "sub"]);
    assertEquals(await run("ls", "drop"), [
      3,
      'ferry: Cannot list "drop": permission denied by the operating system (on the server)\n',
    ]);
  },
});
