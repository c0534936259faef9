/**
 * What a storage owes that keeps partial uploads.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { CreateResumableOptions, Storage } from "../../../server/storage/storage.ts";
import type { Test } from "../conformance.ts";
import {
  keepPartial,
  listed,
  noise,
  partials,
  prefixOf,
  readAll,
  resume,
} from "../../support/stored_files.ts";
import { md5 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** The ids of an owner's partial uploads of a file. */
async function idsOf(storage: Storage, filename: string, owner?: string): Promise<string[]> {
  return (await storage.partialUploads!.list(owner))
    .filter(({ entry }) => entry.filename === filename).map(({ id }) => id);
}

/** What a checkpoint records about bytes that may end in the middle of a block. */
async function exactPrefixOf(bytes: Uint8Array): Promise<SavedPrefix> {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: true });
  digest.update(bytes);
  return digest.saveExactly();
}

/** Leaves a partial upload of the file `f` with its first bytes. */
async function keepPart(
  storage: Storage,
  bytes: Uint8Array,
  options: CreateResumableOptions,
): Promise<{ id: string; prefix: SavedPrefix }> {
  await using write = await storage.partialUploads!.create(name("f"), options);
  const prefix = await exactPrefixOf(bytes);
  await write.write(bytes);
  await write.checkpoint(prefix);
  write.keep();
  return { id: write.id, prefix };
}

/** Registers the tests. */
export function testPartialUploads(test: Test): void {
  test("resume() goes on after what was kept, also in another process", async (tested) => {
    const bytes = noise(300_000, 1);
    const size = bytes.length;
    await keepPartial(tested.storage, "f", bytes, 128_000);
    await tested.reopen();
    const { storage } = tested;
    const [partial] = await partials(storage);
    assertEquals({ ...partial, mtime: 0 }, {
      filename: "f",
      size,
      received: 128_000,
      mtime: 0,
      active: false,
    });
    assertEquals(await storage.partialUploads!.find(name("f"), { size: size + 1 }), []);
    assertEquals(await storage.partialUploads!.find(name("g"), { size }), []);
    {
      await using pending = (await resume(storage, "f", { size, algorithm: "md5" }))!;
      assertEquals(pending.prefix?.size, 128_000);
      assertEquals((await partials(storage))[0]?.active, true);
      assertEquals(await listed(storage), []);
      await pending.write(bytes.subarray(128_000));
      await pending.commit({ checksum: md5(bytes), replace: false });
    }
    await using file = await storage.open(name("f"), "md5");
    assertEquals(await readAll(file), bytes);
    assertEquals(await partials(storage), []);
  });

  test("a write in pieces goes on with what was recorded, if the storage takes them", async (tested) => {
    if (!tested.storage.partialUploads!.takesPieces) return;
    const bytes = noise(300_000, 4);
    const size = bytes.length;
    const piece = { from: 200_000, to: 250_000, xxh128: "0".repeat(32) };
    {
      await using write = await tested.storage.partialUploads!.create(name("f"), { size });
      const target = write.beginPieces!(size);
      assertEquals(target.pieces, []);
      await Promise.all([
        target.writeAt(bytes.subarray(piece.from, piece.to), piece.from),
        target.writeAt(bytes.subarray(0, 128_000), 0),
      ]);
      await target.checkpoint(await prefixOf(bytes.subarray(0, 128_000)), [piece]);
      write.keep();
    }
    await tested.reopen();
    const { storage } = tested;
    assertEquals((await partials(storage))[0]?.received, 128_000);
    {
      await using write = (await resume(storage, "f", { size, algorithm: "md5" }))!;
      assertEquals(write.prefix?.size, 128_000);
      const target = write.beginPieces!(size);
      assertEquals(target.pieces, [piece]);
      const into = new Uint8Array(50_000);
      assertEquals([await target.readAt(into, piece.from), into], [
        50_000,
        bytes.slice(piece.from, piece.to),
      ]);
      for (const [from, to] of [[250_000, size], [128_000, 200_000]] as const) {
        await target.writeAt(bytes.subarray(from, to), from);
      }
      await write.commit({ checksum: md5(bytes), replace: false });
    }
    await using file = await storage.open(name("f"), "md5");
    assertEquals(await readAll(file), bytes);
    assertEquals([await partials(storage), await tested.leftovers()], [[], []]);
  });

  test("resume() goes on in steps, under the same id", async ({ storage }) => {
    const bytes = noise(300_000, 8);
    const size = bytes.length;
    const created = await storage.partialUploads!.create(name("d/f"), { size });
    const { id } = created;
    assertEquals([created.prefix, await partials(storage)], [undefined, []]);
    await created.write(bytes.subarray(0, 64_000));
    await created.checkpoint(await prefixOf(bytes.subarray(0, 64_000)));
    created.keep();
    await created[Symbol.asyncDispose]();
    {
      await using second = (await storage.partialUploads!.resume(id, { algorithm: "md5" }))!;
      assertEquals([second.id, second.prefix?.size], [id, 64_000]);
      await second.write(bytes.subarray(64_000, 128_000));
      await second.checkpoint(await prefixOf(bytes.subarray(0, 128_000)));
      // What follows the last checkpoint is not kept.
      await second.write(bytes.subarray(128_000, 200_000));
      second.keep();
    }
    await using third = (await storage.partialUploads!.resume(id, { algorithm: "md5" }))!;
    assertEquals([third.id, third.prefix?.size], [id, 128_000]);
    await third.write(bytes.subarray(128_000));
    await third.commit({ checksum: md5(bytes), replace: false });
    await using file = await storage.open(name("d/f"), "md5");
    assertEquals(md5(await readAll(file)), md5(bytes));
    assertEquals(await storage.partialUploads!.resume(id, { algorithm: "md5" }), undefined);
  });

  test("resume() finds nothing where nothing was kept", async ({ storage }) => {
    const bytes = noise(128_000, 2);
    const pending = await storage.partialUploads!.create(name("f"), { size: 300_000 });
    await pending.write(bytes);
    await pending.checkpoint(await prefixOf(bytes));
    await pending[Symbol.asyncDispose]();
    const { id } = pending;
    assertEquals(await storage.partialUploads!.resume(id, { algorithm: "md5" }), undefined);
    assertEquals(await partials(storage), []);
  });

  test("resume() of what is open already gives nothing, and disturbs nobody", async ({ storage }) => {
    const bytes = noise(300_000, 3);
    await using first = await storage.partialUploads!.create(name("f"), { size: bytes.length });
    await first.write(bytes.subarray(0, 128_000));
    await first.checkpoint(await prefixOf(bytes.subarray(0, 128_000)));
    const again = () => storage.partialUploads!.resume(first.id, { algorithm: "md5" });
    assertEquals(await again(), undefined);
    first.keep();
    await first[Symbol.asyncDispose]();
    const both = await Promise.all([again(), again()]);
    const [second] = both.filter((write) => write !== undefined);
    assertEquals([second?.prefix?.size, both.includes(undefined)], [128_000, true]);
    await second!.write(bytes.subarray(128_000));
    await second!.commit({ checksum: md5(bytes), replace: false });
    await second![Symbol.asyncDispose]();
    assertEquals(await storage.checksum(name("f"), "md5"), md5(bytes));
  });

  test("resume() goes on after any number of bytes", async (tested) => {
    const bytes = noise(300_000, 10);
    const size = bytes.length;
    let { id } = await keepPart(tested.storage, bytes.subarray(0, 1), { size });
    for (const [from, to] of [[1, 65], [65, 100_063], [100_063, size]] as const) {
      await tested.reopen();
      const { storage } = tested;
      await using write = (await storage.partialUploads!.resume(id, { algorithm: "md5" }))!;
      assertEquals(write.prefix?.size, from);
      assertEquals((await write.prefix!.facts()).md5, md5(bytes.subarray(0, from)));
      await write.write(bytes.subarray(from, to));
      await write.checkpoint(await exactPrefixOf(bytes.subarray(0, to)));
      write.keep();
      ({ id } = write);
    }
    const { storage } = tested;
    await using last = (await storage.partialUploads!.resume(id, { algorithm: "md5" }))!;
    await last.commit({ checksum: md5(bytes), replace: false });
    await using file = await storage.open(name("f"), "md5");
    assertEquals(md5(await readAll(file)), md5(bytes));
  });

  test("a file of unknown size is resumed by its id, and by nothing else", async (tested) => {
    const bytes = noise(300_000, 11);
    const { id } = await keepPart(tested.storage, bytes.subarray(0, 100_001), { size: null });
    await tested.reopen();
    const { storage } = tested;
    for (const size of [0, 100_001, bytes.length]) {
      assertEquals(await storage.partialUploads!.find(name("f"), { size }), []);
    }
    const [partial] = await partials(storage);
    assertEquals([partial?.size, partial?.received], [100_001, 100_001]);
    await using write = (await storage.partialUploads!.resume(id, { algorithm: "md5" }))!;
    await write.write(bytes.subarray(100_001));
    await write.commit({ checksum: md5(bytes), replace: false });
    await using file = await storage.open(name("f"), "md5");
    assertEquals(md5(await readAll(file)), md5(bytes));
    assertEquals(await partials(storage), []);
  });

  test("look() tells the owner what is stored, also in another process", async (tested) => {
    const bytes = noise(300_000, 12);
    const size = bytes.length;
    const options = { size, owner: "a:1" };
    const { id, prefix } = await keepPart(tested.storage, bytes.subarray(0, 100_001), options);
    await tested.reopen();
    const { partialUploads } = tested.storage;
    const seen = await partialUploads!.look(id, { owner: "a:1" });
    assertEquals([seen?.id, seen?.prefix], [id, prefix]);
    assertEquals({ ...seen?.entry, mtime: 0 }, {
      filename: "f",
      size,
      received: 100_001,
      mtime: 0,
      active: false,
    });
    for (const owner of [undefined, "a:2"]) {
      assertEquals(await partialUploads!.look(id, { owner }), undefined);
    }
    assertEquals(await partialUploads!.look(`${id}0`, { owner: "a:1" }), undefined);
    {
      const resumed = { algorithm: "md5", owner: "a:1" } as const;
      await using write = (await partialUploads!.resume(id, resumed))!;
      assertEquals((await partialUploads!.look(id, { owner: "a:1" }))?.entry.active, true);
      write.keep();
    }
    await partialUploads!.discard(id, { owner: "a:1" });
    assertEquals(await partialUploads!.look(id, { owner: "a:1" }), undefined);
  });

  test("find() gives the one written last first", async ({ storage }) => {
    const bytes = noise(300_000, 9);
    const size = bytes.length;
    for (const [filename, count] of [["f", 64_000], ["g", 64_000], ["f", 128_000]] as const) {
      await keepPartial(storage, filename, bytes, count);
      // Times are told in milliseconds.
      const last = Math.max(...(await partials(storage)).map(({ mtime }) => mtime));
      while (Date.now() <= last) await new Promise((resolve) => setTimeout(resolve));
    }
    const received = (found: readonly { entry: { received: number } }[]) =>
      found.map(({ entry }) => entry.received);
    const found = await storage.partialUploads!.find(name("f"), { size });
    assertEquals(received(found), [128_000, 64_000]);
    const names = (await partials(storage)).map(({ filename }) => filename);
    assertEquals(names.sort(), ["f", "f", "g"]);
    await storage.partialUploads!.expire(-1);
  });

  test("an owner's partial uploads are that owner's alone, also in another process", async (tested) => {
    const bytes = noise(300_000, 5);
    const size = bytes.length;
    await keepPartial(tested.storage, "f", bytes, 64_000, "a:1");
    await keepPartial(tested.storage, "f", bytes, 128_000);
    await tested.reopen();
    const { storage } = tested;
    const received = async (owner?: string) =>
      (await partials(storage, owner)).map(({ received }) => received);
    assertEquals([await received("a:1"), await received(), await received("a:2")], [
      [64_000],
      [128_000],
      [],
    ]);
    const resumed = async (owner?: string) => {
      const pending = await resume(storage, "f", { size, algorithm: "md5", owner });
      const there = pending?.prefix?.size;
      pending?.keep();
      await pending?.[Symbol.asyncDispose]();
      return there;
    };
    assertEquals(await resumed("a:2"), undefined);
    assertEquals([await resumed("a:1"), await resumed()], [64_000, 128_000]);
    // Whoever knows the id of another owner's gets no further.
    const [id] = await idsOf(storage, "f", "a:1");
    for (const owner of [undefined, "a:2"]) {
      const options = { algorithm: "md5", owner } as const;
      assertEquals(await storage.partialUploads!.resume(id!, options), undefined);
      await assertCode("not_found", () => storage.partialUploads!.discard(id!, { owner }));
    }
    await storage.partialUploads!.expire(-1);
    assertEquals([await received("a:1"), await received()], [[], []]);
  });

  test("several writers of one name have a partial upload each", async ({ storage }) => {
    const bytes = noise(300_000, 6);
    const size = bytes.length;
    const begin = () => storage.partialUploads!.create(name("f"), { size });
    const [a, b] = [await begin(), await begin()];
    assert(a.id !== b.id);
    for (const write of [a, b]) {
      await write.write(bytes.subarray(0, 128_000));
      await write.checkpoint(await prefixOf(bytes.subarray(0, 128_000)));
    }
    assertEquals((await partials(storage)).map(({ active }) => active), [true, true]);
    await a.write(bytes.subarray(128_000));
    await a.commit({ checksum: md5(bytes), replace: false });
    await a[Symbol.asyncDispose]();
    assertEquals((await partials(storage)).map(({ active }) => active), [true]);
    await b[Symbol.asyncDispose]();
    assertEquals(await partials(storage), []);
  });

  test("discard() removes one that nobody writes to, and that one alone", async (tested) => {
    const { storage } = tested;
    const bytes = noise(300_000, 7);
    const kept = async () => {
      const all = await storage.partialUploads!.listAll();
      return all.map(({ owner, entry }) => owner + entry.filename).sort();
    };
    await keepPartial(storage, "f", bytes, 64_000);
    await keepPartial(storage, "f", bytes.subarray(1), 64_000);
    await keepPartial(storage, "g", bytes, 64_000);
    await keepPartial(storage, "f", bytes, 64_000, "a:1");
    const refused = new FerryError("auth_required", "not any more");
    const assertMay = () => {
      throw refused;
    };
    const [f] = await idsOf(storage, "f");
    await assertCode(
      "auth_required",
      () => storage.partialUploads!.discard(f!, { assertMay }),
    );
    assertEquals(await kept(), ["a:1f", "f", "f", "g"]);
    await storage.partialUploads!.discard(f!);
    assertEquals(await kept(), ["a:1f", "f", "g"]);
    await assertCode("not_found", () => storage.partialUploads!.discard(f!));
    {
      const [other] = await idsOf(storage, "f");
      await using pending = (await storage.partialUploads!.resume(other!, { algorithm: "md5" }))!;
      await assertCode("busy", () => storage.partialUploads!.discard(other!));
      pending.keep();
    }
    await storage.partialUploads!.discard((await idsOf(storage, "f"))[0]!);
    await storage.partialUploads!.discard((await idsOf(storage, "f", "a:1"))[0]!, {
      owner: "a:1",
    });
    assertEquals(await kept(), ["g"]);
    await tested.reopen();
    const [g] = await idsOf(tested.storage, "g");
    await tested.storage.partialUploads!.discard(g!);
    assertEquals(await partials(tested.storage), []);
  });

  test("expire() removes what is old and not open", async ({ storage }) => {
    await keepPartial(storage, "f", noise(300_000, 4), 64_000);
    await storage.partialUploads!.expire(60_000);
    assertEquals((await partials(storage)).length, 1);
    {
      const options = { size: 300_000, algorithm: "md5" } as const;
      await using pending = (await resume(storage, "f", options))!;
      await storage.partialUploads!.expire(-1);
      assertEquals((await partials(storage)).length, 1);
      pending.keep();
    }
    await storage.partialUploads!.expire(-1);
    assertEquals(await partials(storage), []);
  });
}
