/**
 * Files whose reported size is not that of their content: those of /proc and /sys, and files that change while they are
 * read.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { run, testWithMount } from "../support/mount.ts";
import { Pair } from "../support/pair.ts";
import { type Outcome } from "../support/programs.ts";
import { connect } from "../../mod.ts";
import { md5, MIB } from "../support/bytes.ts";

/** A file with a reported size of 0, and one of 4096 with less content. */
const FILES = { zero: "/proc/version", page: "/sys/devices/system/cpu/possible" };

/** Kernel files mounted in a temporary directory: Deno recognises such files only by their usual paths. */
class KernelFiles implements AsyncDisposable {
  readonly #paths: string[] = [];

  constructor(directory: string) {
    Deno.mkdirSync(directory, { recursive: true });
    for (const [name, source] of Object.entries(FILES)) {
      const path = `${directory}/${name}`;
      Deno.writeTextFileSync(path, "");
      const { success, stderr } = run("mount", "--bind", source, path);
      assert(success, stderr);
      this.#paths.push(path);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#paths) run("umount", path);
    return Promise.resolve();
  }
}

/** The content of the first one. Deno itself may read /proc only with all permissions. */
function zero(): string {
  const { stdout } = new Deno.Command("cat", { args: [FILES.zero] }).outputSync();
  return new TextDecoder().decode(stdout);
}

/** The events of a run with `--json`. */
function events({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

const ENDS_EARLY =
  /it ends after \d+ bytes, though its size is said to be 4096 \(on this machine\)/;

testWithMount(
  "ferry put reads a file of size 0 to its end, and stores none of it in part",
  async () => {
    await using p = await Pair.start();
    await using _files = new KernelFiles(`${p.cwd}/tree`);
    Deno.writeTextFileSync(`${p.cwd}/tree/empty`, "");
    Deno.writeTextFileSync(`${p.cwd}/tree/x`, "x");
    const content = zero();

    const dry = await p.run("put", "tree/zero", "--as", "one", "--dry-run");
    assertEquals([dry.code, dry.stdout], [0, "would put one\n"]);
    const one = await p.run("put", "tree/zero", "--as", "one");
    assertEquals([one.code, one.stdout], [0, `${md5(content)}  one\n`]);
    assertEquals(Deno.readTextFileSync(`${p.root}/one`), content);
    // A second upload: no file is taken for another one because of its size.
    const again = await p.run("put", "tree/zero", "--as", "one", "--json");
    assertEquals([again.code, events(again)[0]!.skipped], [0, true]);
    assertEquals(
      (await p.run("put", "tree/zero", "--as", "one", "-n")).stdout,
      "would leave one as it is\n",
    );

    const page = await p.run("put", "tree/page");
    assertEquals(page.code, 1);
    assert(ENDS_EARLY.test(page.stderr), page.stderr);

    for (const [moved, unchanged] of [[3, 0], [0, 3]]) {
      const all = await p.run("put", "tree", "--json");
      const told = events(all);
      const { files, skipped, failed } = told.at(-1)!;
      assertEquals([all.code, files, skipped, failed], [1, moved, unchanged, 1], all.stdout);
      const [error] = told.filter(({ event }) => event === "error");
      assert(ENDS_EARLY.test(String(error!.message)), all.stdout);
      assertStringIncludes(String(error!.message), '"tree/page"');
    }
    assertEquals(Deno.readTextFileSync(`${p.root}/tree/zero`), content);
    assertEquals([...Deno.readDirSync(`${p.root}/tree`)].map(({ name }) => name).sort(), [
      "empty",
      "x",
      "zero",
    ]);
    // A file that was stored empty before does not count as identical.
    Deno.writeTextFileSync(`${p.root}/tree/zero`, "");
    const { mtime } = Deno.statSync(`${p.cwd}/tree/zero`);
    Deno.utimeSync(`${p.root}/tree/zero`, mtime!, mtime!);
    assertEquals((await p.run("put", "tree", "--overwrite", "different")).code, 1);
    assertEquals(Deno.readTextFileSync(`${p.root}/tree/zero`), content);
  },
);

testWithMount(
  "ferryd serves no file whose size is not what it says, and tells no checksum of it",
  async () => {
    await using p = await Pair.start();
    await using _files = new KernelFiles(`${p.root}/tree`);
    Deno.writeTextFileSync(`${p.root}/tree/empty`, "");
    const words = {
      zero: "there is more in it than its size says, which is 0",
      page: "though its size is said to be 4096",
    };
    for (const [name, reason] of Object.entries(words)) {
      for (const command of [["get"], ["stat"], ["get", "-n"], ["get", "--checksum", "xxh128"]]) {
        const { code, stdout, stderr } = await p.run(...command, `tree/${name}`);
        assertEquals([code, stdout], [1, ""], `${command} ${name}`);
        assertStringIncludes(stderr, reason);
        assertStringIncludes(stderr, `"tree/${name}"`);
        assertStringIncludes(stderr, "(on the server)");
      }
      p.write("file", zero());
      const { code, stderr } = await p.run("put", "file", "--as", `tree/${name}`);
      assertEquals(code, 5, stderr);
    }
    const listed = await p.run("ls", "tree", "--json");
    assertEquals(events(listed).map(({ filename, md5 }) => [filename, md5]), [
      ["tree/empty", null],
      ["tree/page", null],
      ["tree/zero", null],
    ]);
    const all = await p.run("get", "tree", "--json");
    const { files, failed } = events(all).at(-1)!;
    assertEquals([all.code, files, failed], [1, 1, 2], all.stdout);
    assertEquals([...Deno.readDirSync(`${p.cwd}/tree`)].map(({ name }) => name), ["empty"]);
  },
);

for (
  const [what, change] of [
    ["grows", (path: string) => Deno.writeTextFileSync(path, "more\n", { append: true })],
    ["shrinks", (path: string) => Deno.truncateSync(path, 5 * MIB)],
  ] as const
) {
  Deno.test(`a file that ${what} while it is sent fails by name, up and down, and comes in no part`, async () => {
    await using p = await Pair.start();
    await using client = await connect(p.server.address, { retries: 0 });
    const content = new Uint8Array(20 * MIB).fill(7);
    const local = p.write("log", content);
    let changed = false;
    const once = (path: string) => {
      if (!changed) change(path);
      changed = true;
    };
    const put = client.put(local, { onProgress: () => once(local) });
    const up = await put.catch((error) => error);
    assertEquals([up.code, changed], ["io", true]);
    assertStringIncludes(up.message, "log");
    assertEquals([...Deno.readDirSync(p.root)].filter(({ name }) => name !== ".ferry"), []);

    Deno.writeFileSync(`${p.root}/log`, content);
    changed = false;
    const out = p.dir.join("cwd/got");
    const get = client.get("log", { out, onProgress: () => once(`${p.root}/log`) });
    const down = await get.catch((error) => error);
    assert(["io", "closed"].includes(down.code), down.message);
    assertEquals([changed, [...Deno.readDirSync(p.cwd)].some(({ name }) => name === "got")], [
      true,
      false,
    ]);
  });
}
