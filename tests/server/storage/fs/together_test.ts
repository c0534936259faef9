import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { type Clock, SYSTEM_CLOCK } from "../../../../lib/core/clock.ts";
import { createRuntime, type Runtime } from "../../../../lib/runtime/runtime.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { stagedIn, TempDir } from "../../../support/programs.ts";
import { keepPartial, noise, partials, put, resume } from "../../../support/stored_files.ts";

const bytes = noise(300_000, 1);
const WHOLE = { size: bytes.length, algorithm: "md5" } as const;

/** A directory that is opened twice, as by two processes. */
async function withTwo(run: (one: FsStorage, other: FsStorage, root: string) => Promise<void>) {
  await using dir = new TempDir();
  const open = () => FsStorage.open(dir.path, { together: true, durability: "none" });
  {
    await using one = open();
    await using other = open();
    await run(one, other, dir.path);
  }
  assertEquals([...Deno.readDirSync(dir.join(".ferry/leases"))], []);
  assertEquals([...Deno.readDirSync(dir.join(".ferry/staging"))], []);
}

Deno.test("FsStorage.open() of a directory that is served together takes no quota, and nobody alone", () =>
  withTwo((_one, _other, root) => {
    const alone = assertThrows(() => FsStorage.open(root), FerryError);
    assertEquals(alone.code, "busy");
    const quota = assertThrows(
      () => FsStorage.open(root, { together: true, quota: 1 }),
      FerryError,
    );
    assertEquals(quota.code, "usage");
    return Promise.resolve();
  }));

Deno.test("a storage that is served together takes no pieces, since the other process does not know of them", () =>
  withTwo(async (one) => {
    assertEquals(one.partialUploads.takesPieces, false);
    await using dir = new TempDir();
    await using alone = FsStorage.open(dir.path);
    assertEquals(alone.partialUploads.takesPieces, true);
  }));

Deno.test("a partial upload of one storage is resumed, discarded and removed by another one", () =>
  withTwo(async (one, other, root) => {
    await keepPartial(one, "f", bytes, 128_000);
    {
      await using pending = await resume(other, "f", WHOLE);
      assertEquals(pending?.prefix?.size, 128_000);
      assertEquals((await partials(one, "")).map(({ active }) => active), [true]);
      await pending!.write(bytes.subarray(128_000));
      await pending!.commit({ checksum: md5(bytes), replace: false });
    }
    assertEquals(await partials(one, ""), []);

    await keepPartial(one, "g", bytes, 128_000);
    const { id } = (await other.partialUploads.list())[0]!;
    assertEquals((await other.partialUploads.look(id))?.entry.received, 128_000);
    await other.partialUploads.discard(id);
    await assertCode("not_found", () => one.partialUploads.discard(id));

    await keepPartial(one, "h", bytes, 128_000);
    await other.partialUploads.expire(-1);
    assertEquals([await partials(one, ""), await partials(other, "")], [[], []]);
    assertEquals(stagedIn(root), []);
  }));

Deno.test("the partial upload of a writer that goes on stays with it", async () => {
  await using dir = new TempDir();
  let goOn = () => Promise.resolve();
  // Whoever waits for the writer waits for its next bytes.
  const clock: Clock = {
    ...SYSTEM_CLOCK,
    setTimeout(run) {
      void goOn().then(run);
      return SYSTEM_CLOCK.setTimeout(() => {}, 0);
    },
  };
  const open = (runtime?: Runtime) => FsStorage.open(dir.path, { together: true, runtime });
  await using one = open();
  await using other = open(createRuntime({ clock }));
  await keepPartial(one, "f", bytes, 128_000);
  await using pending = (await resume(one, "f", WHOLE))!;
  goOn = () => pending.write(bytes.subarray(128_000));
  const { id } = (await other.partialUploads.list())[0]!;
  await assertCode("busy", () => other.partialUploads.discard(id));
  assertEquals(await other.partialUploads.resume(id, { algorithm: "md5" }), undefined);
  await pending.commit({ checksum: md5(bytes), replace: false });
  assertEquals(await other.partialUploads.find(name("f"), { size: bytes.length }), []);
});

Deno.test("a state of a file has one name in all storages of a directory", () =>
  withTwo(async (one, other) => {
    await put(one, "f", bytes);
    const versions: (string | undefined)[] = [];
    for (const storage of [one, other]) {
      await using file = await storage.open(name("f"), "md5");
      versions.push(file.version);
    }
    assertEquals(versions[0], versions[1]);
  }));
