import { RUNTIME } from "../../../support/runtime.ts";
import { assertEquals } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { StagedFile } from "../../../../lib/files/staged_file.ts";
import type { ByteSource } from "../../../../lib/core/bytes.ts";
import { copyContent, copyEntry, removeCopied } from "../../../../server/storage/fs/tree_copy.ts";
import { TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";

const OPTIONS = { durable: true, signal: new AbortController().signal };

/** A source of a few bytes. */
function sourceOf(text: string): ByteSource {
  let left = new TextEncoder().encode(text);
  return {
    read(into) {
      const piece = left.subarray(0, Math.min(into.length, 2));
      into.set(piece);
      left = left.subarray(piece.length);
      return Promise.resolve(piece.length || null);
    },
  };
}

Deno.test("copyContent() gives the checksum of what it wrote", async () => {
  await using dir = new TempDir();
  await using staged = StagedFile.create(dir.path, RUNTIME);
  assertEquals(await copyContent(sourceOf("content"), staged, "md5", OPTIONS), md5("content"));
  assertEquals(Deno.readTextFileSync(staged.path), "content");
});

Deno.test("copyContent() fails where the file holds something else", async () => {
  await using dir = new TempDir();
  await using staged = StagedFile.create(dir.path, RUNTIME);
  staged.sync = () => {
    Deno.writeTextFileSync(staged.path, "CONTENT");
    return Promise.resolve();
  };
  await assertCode("io", () => copyContent(sourceOf("content"), staged, "md5", OPTIONS));
});

Deno.test("copyContent() fails where the source has changed, and where it is ended", async () => {
  await using dir = new TempDir();
  await using staged = StagedFile.create(dir.path, RUNTIME);
  const changed = { ...sourceOf("x"), assertUnchanged: () => Promise.reject(new Error("changed")) };
  const message = await copyContent(changed, staged, "md5", OPTIONS).catch(({ message }) =>
    message
  );
  assertEquals(message, "changed");
  const signal = AbortSignal.abort(new Error("ended"));
  const ended = await copyContent(sourceOf("x"), staged, "md5", { ...OPTIONS, signal })
    .catch(({ message }) => message);
  assertEquals(ended, "ended");
});

Deno.test("removeCopied() removes what was copied, and nothing that has come or changed since", async () => {
  await using dir = new TempDir();
  for (const path of ["from/t/d", "from/t/e", "to"]) {
    Deno.mkdirSync(dir.join(path), { recursive: true });
  }
  for (const path of ["a", "d/b", "e/c"]) dir.write(`from/t/${path}`, path);
  const from = Directory.open(dir.join("from"));
  const to = Directory.open(dir.join("to"));
  using cleanup = new DisposableStack();
  cleanup.defer(() => from.close());
  cleanup.defer(() => to.close());
  const peek = (directory: Directory, name: string) => Deno.lstatSync(directory.at(name));
  const entry = { directory: from, name: "t", info: peek(from, "t") };
  const copied = await copyEntry(entry, name("t"), to, { ...OPTIONS, runtime: RUNTIME, peek });
  assertEquals(Deno.readTextFileSync(dir.join("to/t/d/b")), "d/b");
  dir.write("from/t/d/new", "new");
  Deno.removeSync(dir.join("from/t/e/c"));
  const removed: number[] = [];
  const { message } = await assertCode("exists", () => {
    return removeCopied(from, copied, name("t"), (file, copy) => {
      assertEquals(copy.size, file.size);
      removed.push(file.size);
    });
  });
  assertEquals(message, 'all was copied, but "t/d" stays, too: the directory is not empty');
  assertEquals(removed.sort(), [1, 3]);
  assertEquals([...Deno.readDirSync(dir.join("from/t"))].map(({ name }) => name), ["d"]);
});
