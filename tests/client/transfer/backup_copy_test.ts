import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { keepCopy } from "../../../client/transfer/backup_copy.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { MIB } from "../../support/bytes.ts";
import { namesIn } from "../../support/directories.ts";
import { Mount, testWithMount } from "../../support/mount.ts";
import { TempDir } from "../../support/programs.ts";
import { randomBytes } from "../../support/random_file.ts";

testWithMount("a backup on another file system has its name when all of it is there", async () => {
  await using mount = new Mount("size=16m");
  await using dir = new TempDir();
  const [bytes, to] = [randomBytes(8 * MIB), `${mount.path}/f`];
  const from = dir.write("f", bytes);
  Deno.chmodSync(from, 0o640);
  Deno.utimeSync(from, 1000, 1000);
  let copied = false;
  const copying = keepCopy(from, to).finally(() => copied = true);
  while (!copied) {
    assert([undefined, bytes.length].includes(infoAt(to)?.size), "a part of it has the name");
    await delay(0);
  }
  await copying;
  assertEquals(Deno.readFileSync(to), bytes);
  const { mode, mtime } = Deno.statSync(to);
  assertEquals([mode! & 0o777, mtime?.getTime()], [0o640, 1_000_000]);
  await assertRejects(() => keepCopy(from, to), Deno.errors.AlreadyExists);
  assertEquals(namesIn(mount.path), ["f"]);
});

testWithMount(
  "a backup that does not fit on another file system leaves nothing there",
  async () => {
    await using mount = new Mount("size=1m");
    await using dir = new TempDir();
    const from = dir.write("f", randomBytes(2 * MIB));
    await assertRejects(() => keepCopy(from, `${mount.path}/f`), Error);
    assertEquals(namesIn(mount.path), []);
  },
);
