import { assert, assertEquals } from "@std/assert";
import {
  type FileSystem,
  fileSystemAt,
  shortcomingsOf,
} from "../../../lib/file_system/file_system.ts";
import { Mount, OtherPath, testWithMount } from "../../support/mount.ts";
import { TempDir } from "../../support/programs.ts";

const WHOLE: FileSystem = {
  numbersFiles: true,
  honestWrites: true,
  atomicReplacement: true,
  durableNames: true,
  heldDirectories: true,
  modes: true,
  timeStep: 1,
  hardLinks: true,
  caseSensitive: true,
};

testWithMount("fileSystemAt() knows what of the kernel's keeps files here", async () => {
  await using mount = new Mount("size=1m");
  assertEquals(fileSystemAt(mount.path), WHOLE);
});

testWithMount("fileSystemAt() relies on little of a file system in user space", async () => {
  await using dir = new TempDir();
  await using bound = new OtherPath(dir.path);
  const known = fileSystemAt(bound.path);
  const missing = Object.entries(known).filter(([, keeps]) => keeps === false);
  assertEquals(missing.map(([what]) => what), [
    "numbersFiles",
    "honestWrites",
    "atomicReplacement",
    "durableNames",
    "heldDirectories",
  ]);
}, ["bindfs", "/dev/fuse"]);

Deno.test("fileSystemAt() numbers no files where nothing is", async () => {
  await using dir = new TempDir();
  const { numbersFiles, honestWrites } = fileSystemAt(dir.join("missing"));
  assertEquals(
    [numbersFiles, honestWrites],
    Deno.build.os === "linux" ? [false, false] : [true, true],
  );
});

const LACKS: readonly [Partial<FileSystem>, RegExp][] = [
  [{ durableNames: false }, /^names may be lost/],
  [{ atomicReplacement: false }, /missing for a moment$/],
  [{ timeStep: undefined }, /^modification times are not kept/],
  [{ timeStep: 2000 }, /^modification times are kept in steps of 2 s/],
  // Windows has no such bits.
  ...(Deno.build.os === "windows" ? [] : [[{ modes: false }, /^permission bits/] as const]),
  ...(Deno.build.os === "linux"
    ? [[{ heldDirectories: false }, /^directories cannot be held open/] as const]
    : []),
].map(([lack, sentence]) => [lack as Partial<FileSystem>, sentence as RegExp]);

for (const [lack, sentence] of LACKS) {
  const what = Object.entries(lack).map((pair) => pair.join(" ")).join();
  Deno.test(`shortcomingsOf() says in one sentence what is missing: ${what}`, () => {
    const [said = "", ...rest] = shortcomingsOf({ ...WHOLE, ...lack }, {
      writable: true,
      durable: true,
    });
    assertEquals(rest, []);
    assert(sentence.test(said), said);
  });
}

Deno.test("shortcomingsOf() says nothing of what is not relied on", () => {
  const none = Object.fromEntries(Object.keys(WHOLE).map((key) => [key, false])) as unknown;
  const nothing = { ...none as FileSystem, heldDirectories: true, timeStep: undefined };
  assertEquals(shortcomingsOf(nothing, { writable: false, durable: true }), []);
  const lasting = { ...WHOLE, durableNames: false };
  assertEquals(shortcomingsOf(lasting, { writable: true, durable: false }), []);
  assertEquals(shortcomingsOf(WHOLE, { writable: true, durable: true }), []);
});
