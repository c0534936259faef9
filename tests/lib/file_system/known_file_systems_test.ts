import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { isFull, KnownFileSystems } from "../../../lib/file_system/known_file_systems.ts";
import { Mount, OtherPath, testWithMount } from "../../support/mount.ts";
import { TempDir } from "../../support/programs.ts";

const known = new KnownFileSystems(SYSTEM_CLOCK);

Deno.test("KnownFileSystems.reportsWriteErrors() is true of the directory for temporary files", async () => {
  await using dir = new TempDir();
  assertEquals(await known.reportsWriteErrors(dir.path), true);
  assertEquals(known.reportsWriteErrorsAtOnce(dir.path), true);
});

testWithMount(
  "KnownFileSystems.reportsWriteErrors() tells file systems in memory and in user space apart",
  async () => {
    await using memory = new Mount("size=1m");
    await using user = new OtherPath(memory.path);
    assertEquals(
      await Promise.all([memory, user].map(({ path }) => known.reportsWriteErrors(path))),
      [true, false],
    );
    assertEquals([memory, user].map(({ path }) => known.reportsWriteErrorsAtOnce(path)), [
      true,
      false,
    ]);
  },
  ["bindfs"],
);

testWithMount(
  "KnownFileSystems.reportsWriteErrors() notices in time that something else was mounted",
  async () => {
    await using memory = new Mount("size=1m");
    const path = `${memory.path}/a`;
    Deno.mkdirSync(path);
    let ahead = 0;
    const clock = { ...SYSTEM_CLOCK, monotonic: () => SYSTEM_CLOCK.monotonic() + ahead };
    const known = new KnownFileSystems(clock);
    assertEquals(await known.reportsWriteErrors(path), true);
    await using user = new OtherPath(memory.path, path);
    ahead = 1001;
    assertEquals(await known.reportsWriteErrors(path), false);
    assert(user);
  },
  ["bindfs"],
);

testWithMount(
  "KnownFileSystems.reportsWriteErrorsAtOnce() finds out what many questions within a moment are about",
  async () => {
    await using memory = new Mount("size=1m");
    const known = new KnownFileSystems({ ...SYSTEM_CLOCK, monotonic: () => 0 });
    const ask = () => known.reportsWriteErrorsAtOnce(memory.path);
    for (let questions = 0; questions < 32; questions++) assertEquals(ask(), undefined);
    // A module is loaded meanwhile.
    for (let turns = 0; ask() === undefined && turns < 1000; turns++) await delay(1);
    assertEquals(ask(), true);
  },
);

Deno.test("KnownFileSystems.reportsWriteErrors() of what cannot be looked at is false", async () => {
  await using dir = new TempDir();
  const expected = Deno.build.os === "linux" ? false : true;
  assertEquals(await known.reportsWriteErrors(dir.join("missing")), expected);
  assertEquals(await isFull(dir.join("missing")), false);
});

testWithMount("isFull() is true where nothing more can be written", async () => {
  await using memory = new Mount("size=64k");
  assertEquals(await isFull(memory.path), false);
  try {
    Deno.writeFileSync(`${memory.path}/filler`, new Uint8Array(128 * 1024));
  } catch (error) {
    assertEquals((error as { code?: string }).code, "ENOSPC");
  }
  assertEquals(await isFull(memory.path), true);
});
