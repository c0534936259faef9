import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import { LockedWrite } from "../../../server/files/locked_write.ts";
import { UploadLocks } from "../../../server/files/upload_locks.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { MemoryStorage } from "../../../server/storage/memory/memory_storage.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { md5, MIB } from "../../support/bytes.ts";
import { FastClock } from "../../support/clock.ts";
import { TempDir } from "../../support/programs.ts";
import { keepPartial, noise, partials, prefixOf } from "../../support/stored_files.ts";

const BYTES = noise(9 * MIB, 1);
const HALF = 4 * MIB;
const TARGET = { name: name("f"), size: BYTES.length, owner: "" };

/** A new write, half of which is written and recorded. */
async function half(
  storage: Storage,
  locks: UploadLocks,
  { owner = "", onTakenOver }: { owner?: string; onTakenOver?: () => void } = {},
): Promise<LockedWrite> {
  const options = { replace: false, locks, onTakenOver };
  const write = await LockedWrite.create(storage, { ...TARGET, owner }, options);
  await write.write(BYTES.subarray(0, HALF));
  await write.checkpoint!(await prefixOf(BYTES.subarray(0, HALF)));
  return write;
}

const STORAGES: Record<string, (dir: TempDir) => Storage> = {
  FsStorage: (dir) => FsStorage.open(dir.path, { durability: "none" }),
  MemoryStorage: () => new MemoryStorage(),
};

for (const [kind, make] of Object.entries(STORAGES)) {
  const test = (what: string, run: (storage: Storage, locks: UploadLocks) => Promise<void>) =>
    Deno.test(`LockedWrite over ${kind}: ${what}`, async () => {
      await using dir = new TempDir();
      await using storage = make(dir);
      await run(storage, new UploadLocks());
    });

  test(
    "resume() takes over from a writer that fell silent, and tells it",
    async (storage, locks) => {
      const told = Promise.withResolvers<void>();
      const silent = await half(storage, locks, { onTakenOver: told.resolve });
      using _clock = new FastClock();
      const resuming = LockedWrite.resume(storage, TARGET, { algorithm: "md5", locks });
      await told.promise;
      silent.keep();
      await silent[Symbol.asyncDispose]();
      await using resumed = await resuming;
      assertEquals(resumed?.prefix?.size, HALF);
      await resumed!.write(BYTES.subarray(HALF));
      const checksum = md5(BYTES);
      assertEquals((await resumed!.commit({ checksum, replace: false })).unchanged, false);
      assertEquals(await storage.checksum(TARGET.name, "md5"), checksum);
    },
  );

  test("resume() leaves a writer alone that moves bytes", async (storage, locks) => {
    let told = false;
    await using busy = await half(storage, locks, { onTakenOver: () => told = true });
    using clock = new FastClock();
    const writes: Promise<void>[] = [];
    clock.onWait = () => void writes.push(busy.write(new Uint8Array(1)));
    const resumed = await LockedWrite.resume(storage, TARGET, { algorithm: "md5", locks });
    await Promise.all(writes);
    assertEquals([resumed, told], [undefined, false]);
  });

  test("resume() does not touch another owner's writer, be it silent", async (storage, locks) => {
    let told = false;
    await using silent = await half(storage, locks, {
      owner: "a:1",
      onTakenOver: () => told = true,
    });
    for (const owner of ["", "a:2"]) {
      const options = { algorithm: "md5", locks } as const;
      assertEquals(await LockedWrite.resume(storage, { ...TARGET, owner }, options), undefined);
    }
    await silent.write(BYTES.subarray(HALF));
    const { unchanged } = await silent.commit({ checksum: md5(BYTES), replace: false });
    assertEquals([unchanged, told], [false, false]);
  });

  test(
    "resume() takes the one that was written last of those that are free",
    async (storage, locks) => {
      await keepPartial(storage, "f", BYTES, MIB);
      await using _busy = await half(storage, locks);
      using clock = new FastClock();
      clock.onWait = () => void _busy.write(new Uint8Array(0));
      await using resumed = await LockedWrite.resume(storage, TARGET, { algorithm: "md5", locks });
      assertEquals(resumed?.prefix?.size, MIB);
    },
  );

  test("disposal releases the lock, also of what is kept", async (storage, locks) => {
    const write = await half(storage, locks);
    const { id } = (await storage.partialUploads!.list())[0]!;
    assert(locks.isHeld(id));
    write.keep();
    await write[Symbol.asyncDispose]();
    assertEquals(locks.isHeld(id), false);
    assertEquals((await partials(storage)).map(({ active }) => active), [false]);
  });
}
