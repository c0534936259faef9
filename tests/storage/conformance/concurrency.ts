/**
 * What every storage owes where several write and read at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Abilities, Test } from "../conformance.ts";
import { md5 } from "../../support/bytes.ts";
import { begin, bytesOf, noise, put, readAll, textOf } from "../../support/stored_files.ts";

/** Registers the tests. */
export function testConcurrency(test: Test, { keepsOpenFiles }: Abilities): void {
  const turns = Array.from({ length: 12 }, (_, turn) => turn);

  test("commit() of one name by many at once with replace: the last call wins", async ({ storage }) => {
    const contents = turns.map((turn) => noise(1000 + turn, turn));
    const pending = await Promise.all(contents.map((bytes) => begin(storage, "same", bytes)));
    const committed = await Promise.all(
      pending.map((write, turn) => write.commit({ checksum: md5(contents[turn]!), replace: true })),
    );
    assertEquals(
      committed,
      contents.map((bytes) => ({ checksum: md5(bytes), size: bytes.length, unchanged: false })),
    );
    await using file = await storage.open(name("same"), "md5");
    assertEquals(md5(await readAll(file)), md5(contents.at(-1)!));
    assertEquals(await storage.checksum(name("same"), "md5"), md5(contents.at(-1)!));
    for (const write of pending) await write[Symbol.asyncDispose]();
  });

  test("commit() of one name by many at once without replace: the first call wins", async ({ storage }) => {
    const texts = turns.map((turn) => turn % 3 === 0 ? "first" : `other ${turn}`);
    const pending = await Promise.all(texts.map((text) => begin(storage, "same", text)));
    const outcomes = await Promise.all(
      pending.map(async (write, turn) => {
        try {
          const { unchanged } = await write.commit({ checksum: md5(texts[turn]!), replace: false });
          return unchanged ? "unchanged" : "stored";
        } catch (error) {
          return (error as FerryError).code;
        }
      }),
    );
    const expected = turns.map((turn) => turn % 3 === 0 ? "unchanged" : "exists");
    assertEquals(outcomes, ["stored", ...expected.slice(1)]);
    assertEquals(await textOf(storage, "same"), "first");
    for (const write of pending) await write[Symbol.asyncDispose]();
  });

  test("commit() of many names at once, of which some fail", async ({ storage }) => {
    await put(storage, "n/3/file", "in the way");
    const outcomes = await Promise.allSettled(
      turns.map((turn) => put(storage, `n/${turn}/file`, `content ${turn}`)),
    );
    assertEquals(
      outcomes.map(({ status }) => status),
      turns.map((turn) => turn === 3 ? "rejected" : "fulfilled"),
    );
    for (const turn of turns) {
      const expected = turn === 3 ? "in the way" : `content ${turn}`;
      assertEquals(await textOf(storage, `n/${turn}/file`), expected);
    }
  });

  test("commit() never shows a reader a part or a mixture", async ({ storage }) => {
    const contents = turns.map((turn) => noise(150_000 + turn * 1000, turn));
    const whole = new Set(contents.map(md5));
    await put(storage, "read", contents[0]!);
    let over = false;
    let reads = 0;
    const reading = (async () => {
      do {
        await using file = await storage.open(name("read"), "md5");
        try {
          const bytes = await readAll(file, 70_000);
          assert(whole.has(md5(bytes)), `${bytes.length} bytes that nobody wrote`);
          assertEquals(bytes.length, file.entry.size);
          reads++;
        } catch (error) {
          if (keepsOpenFiles || !(error instanceof FerryError && error.code === "busy")) {
            throw error;
          }
        }
        await new Promise((done) => setTimeout(done));
      } while (!over || reads === 0);
    })();
    for (const bytes of contents) await put(storage, "read", bytes, { replace: true });
    over = true;
    await reading;
  });

  test("write() of two pending writes of one name do not mix", async ({ storage }) => {
    await using a = await storage.create(name("x"), { size: 4 });
    await using b = await storage.create(name("x"), { size: 4 });
    await a.write(bytesOf("aa"));
    await b.write(bytesOf("bb"));
    await a.write(bytesOf("AA"));
    await b.write(bytesOf("BB"));
    await b.commit({ checksum: md5("bbBB"), replace: false });
    assertEquals(await textOf(storage, "x"), "bbBB");
    await a.commit({ checksum: md5("aaAA"), replace: true });
    assertEquals(await textOf(storage, "x"), "aaAA");
  });
}
