import { assert, assertEquals } from "@std/assert";
import { type LockableFile, tryLock } from "../../../lib/files/file_lock.ts";
import { TempDir } from "../../support/programs.ts";

/** A file as Deno 2.4 has it, which cannot look at a lock without waiting for it. */
function ofOld(file: Deno.FsFile): LockableFile {
  return { lockSync: (exclusive) => file.lockSync(exclusive), statSync: () => file.statSync() };
}

for (
  const [version, as] of [["this Deno", (file: Deno.FsFile) => file], [
    "Deno 2.4",
    ofOld,
  ]] as const
) {
  Deno.test(`tryLock() gives a lock to one, and to the next when that one is closed, on ${version}`, async () => {
    await using dir = new TempDir();
    const path = dir.write("lock", "");
    const open = () => Deno.openSync(path, { write: true });
    const first = open();
    using second = open();
    assert(tryLock(as(first)));
    assertEquals(tryLock(as(second)), false);
    first.close();
    assert(tryLock(as(second)));
    using other = Deno.openSync(dir.write("other", ""), { write: true });
    assert(tryLock(as(other)));
  });
}

Deno.test("tryLock() keeps on Deno 2.4 the locks of many files, also where many were closed", async () => {
  await using dir = new TempDir();
  using kept = new DisposableStack();
  const open = (i: number) => Deno.openSync(dir.write(`${i}`, ""), { write: true });
  for (let i = 0; i < 300; i++) {
    const file = open(i);
    assert(tryLock(ofOld(file)));
    if (i % 3 === 0) kept.use(file);
    else file.close();
  }
  for (let i = 0; i < 300; i++) {
    using file = open(i);
    assertEquals(tryLock(ofOld(file)), i % 3 !== 0, `${i}`);
  }
});

Deno.test({
  name: "tryLock() keeps other processes out, on this Deno and on Deno 2.4" +
    (Deno.build.os === "linux" ? "" : " (ignored: needs flock)"),
  ignore: Deno.build.os !== "linux",
  fn: keepsOthersOut,
});

async function keepsOthersOut(): Promise<void> {
  await using dir = new TempDir();
  for (const as of [(file: Deno.FsFile) => file, ofOld]) {
    const path = dir.write("lock", "");
    using file = Deno.openSync(path, { write: true });
    assert(tryLock(as(file)));
    // `flock -n` fails where another process has the lock.
    const taken = await new Deno.Command("flock", { args: ["-n", path, "true"] }).output();
    assertEquals(taken.success, false);
  }
}
