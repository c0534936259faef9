/**
 * What every storage tells of the states of files, what it remembers of their blocks, and how it takes bytes that are in
 * another of its files.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { BlockHashes, Storage } from "../../../server/storage/storage.ts";
import type { Test } from "../conformance.ts";
import { md5, MIB } from "../../support/bytes.ts";
import { noise, put, readAll } from "../../support/stored_files.ts";

/** The size of files of which hashes are remembered, in bytes. */
const SIZE = MIB + 5;

const BLOCKS: BlockHashes = {
  block: 65536,
  hashes: new Uint8Array(Array.from({ length: 24 }, (_, i) => i)),
};

/** The version of a file. */
async function versionOf(storage: Storage, filename: string): Promise<string> {
  await using file = await storage.open(name(filename), "md5");
  const { version } = file;
  assert(version !== undefined && /^[\w-]{8,128}$/.test(version), version);
  return version;
}

/** The hashes that are remembered of a file. */
async function hashesOf(storage: Storage, filename: string): Promise<BlockHashes | undefined> {
  await using file = await storage.open(name(filename), "md5");
  return await file.findHashes();
}

/** Registers the tests. */
export function testDeltas(test: Test): void {
  test("a file has another version when it has another content, and only then", async ({ storage }) => {
    const replace = { replace: true };
    await put(storage, "d/f", "one");
    const first = await versionOf(storage, "d/f");
    assertEquals(await versionOf(storage, "d/f"), first);
    await using open = await storage.open(name("d/f"), "md5");
    await put(storage, "d/f", "three", replace);
    assert(await versionOf(storage, "d/f") !== first, "it has the version of the one before");
    assertEquals(open.version, first);
  });

  test("hashes of blocks are those of the file that they were remembered of", async ({ storage }) => {
    const options = { replace: true, mtime: 1_234_567_890_123 };
    await put(storage, "f", "1".repeat(SIZE), { ...options, blocks: BLOCKS });
    const known = await hashesOf(storage, "f");
    // A storage may forget them at any time, but not mistake them.
    if (known) assertEquals(known, BLOCKS);
    await put(storage, "f", "2".repeat(SIZE), options);
    assertEquals(await hashesOf(storage, "f"), undefined);
    {
      await using file = await storage.open(name("f"), "md5");
      await file.rememberHashes(BLOCKS);
      const remembered = await file.findHashes();
      if (remembered) assertEquals(remembered, BLOCKS);
      await file.forgetHashes();
      assertEquals(await file.findHashes(), undefined);
      await file.rememberHashes(BLOCKS);
    }
    await storage.remove(name("f"), { recursive: false });
    await put(storage, "f", "3".repeat(SIZE), options);
    assertEquals(await hashesOf(storage, "f"), undefined);
  });

  test("bytes that are copied from another file are like any other bytes", async ({ storage }) => {
    const basis = noise(20 * MIB, 1);
    await put(storage, "basis", basis);
    await using file = await storage.open(name("basis"), "md5");
    const inserted = noise(1000, 2);
    const content = await new Blob([basis.subarray(0, 9 * MIB), inserted, basis.subarray(9 * MIB)])
      .bytes();
    const size = content.length;
    await using pending = await storage.create(name("new"), { size, replace: false });
    for (let at = 0; at < size; at += MIB) {
      const bytes = content.slice(at, at + MIB);
      const offset = at + MIB <= 9 * MIB ? at : at > 9 * MIB ? at - inserted.length : undefined;
      if (offset === undefined || !pending.writeCopied) await pending.write(bytes);
      else await pending.writeCopied(bytes, { file, offset });
    }
    await pending.commit({ checksum: md5(content), replace: false });
    await using read = await storage.open(name("new"), "md5");
    assertEquals(md5(await readAll(read, MIB)), md5(content));
  });
}
