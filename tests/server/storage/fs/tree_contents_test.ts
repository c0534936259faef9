import { assertEquals } from "@std/assert";
import type { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { TreeContents } from "../../../../server/storage/fs/tree_contents.ts";

/** What is known of a tree that an earlier client has left with that many files in its top directory. */
async function loaded(count: number): Promise<TreeContents> {
  const contents = new TreeContents({ doubtful: false });
  const readDirSync = Deno.readDirSync;
  using _restored = { [Symbol.dispose]: () => void (Deno.readDirSync = readDirSync) };
  const file = { isDirectory: false, isFile: true, isSymlink: false };
  Deno.readDirSync = () =>
    Iterator.from(Array.from({ length: count }, (_, at) => ({ name: `file-${at}`, ...file })));
  await contents.load({ path: "top" } as Directory);
  return contents;
}

/** Counts the members of sets that are looked at one after the other. */
function countLooks(): Disposable & { count: number } {
  const each = Set.prototype[Symbol.iterator];
  const looks = { count: 0, [Symbol.dispose]: () => void (Set.prototype[Symbol.iterator] = each) };
  Set.prototype[Symbol.iterator] = function* (this: Set<unknown>) {
    for (const member of each.call(this)) {
      looks.count++;
      yield member;
    }
  } as typeof each;
  return looks;
}

Deno.test("what an attempt with many files has left is forgotten one by one, without a look at the others", async () => {
  const contents = await loaded(1000);
  {
    using looks = countLooks();
    const { left } = contents;
    assertEquals([left.length, looks.count], [1000, 1000]);
    for (const name of left) contents.removed(name);
    assertEquals(looks.count, 1000);
  }
  assertEquals([contents.resumed, contents.left], [false, []]);
});
