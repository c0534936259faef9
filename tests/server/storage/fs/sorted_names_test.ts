import { assert, assertEquals } from "@std/assert";
import { sortNames } from "../../../../lib/core/name_order.ts";
import { type NameQueue, NameStore } from "../../../../server/storage/fs/sorted_names.ts";

/** Names in no order: those that differ only behind their first characters, and of all kinds of characters. */
function namesOf(count: number, seed = 1): string[] {
  let state = seed;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8;
  const kinds = ["file-", "Ä", "中", "😀", "\ufeff", "\uffee", "-", " "];
  return Array.from({ length: count }, (_, turn) => {
    return `${kinds[next() % kinds.length]}${next() % 1000}-${turn}`;
  });
}

async function* later(names: readonly string[]): AsyncGenerator<string, void, void> {
  for (const name of names) yield await Promise.resolve(name);
}

async function rest(queue: NameQueue, most = 64): Promise<string[]> {
  const all: string[] = [];
  for (let some; (some = await queue.take(most)).length > 0;) {
    assert(some.length <= most);
    all.push(...some);
  }
  return all;
}

for (const count of [0, 1, 1000, 30_000]) {
  Deno.test(`NameStore.read() sorts ${count} names by their UTF-8 bytes`, async () => {
    const names = namesOf(count);
    using store = new NameStore();
    using queue = await store.read(later(names));
    assert(store.memory <= 128 * 1024, `${store.memory} bytes of memory`);
    assertEquals(await rest(queue), sortNames(names));
    assertEquals(store.memory, 0);
  });
}

Deno.test("NameStore.read() merges more runs than it reads from at a time", async () => {
  const names = namesOf(50_000).map((name) => name.padEnd(255, "x"));
  using store = new NameStore();
  using queue = await store.read(names);
  assertEquals(await rest(queue), sortNames(names));
});

Deno.test("NameStore keeps the names of many directories in little memory, each in order", async () => {
  using store = new NameStore();
  const directories = Array.from({ length: 200 }, (_, turn) => namesOf(300, turn));
  const queues: NameQueue[] = [];
  for (const names of directories) {
    queues.push(await store.read(names));
    // Each directory is gone into when some of its names were taken.
    await queues.at(-1)!.take(10);
    assert(store.memory <= 128 * 1024, `${store.memory} bytes of memory`);
  }
  for (const [turn, names] of directories.entries()) {
    assertEquals(await rest(queues[turn]!), sortNames(names).slice(10));
  }
});

Deno.test("NameQueue.putBack() gives the names again that come first", async () => {
  const names = sortNames(namesOf(10_000));
  using store = new NameStore();
  using queue = await store.read(names);
  const taken = await queue.take(50);
  queue.putBack(taken.slice(20));
  await store.settle();
  assertEquals(await rest(queue), names.slice(20));
});

Deno.test("NameStore uses its file again for the names of later directories", async () => {
  using store = new NameStore();
  const names = namesOf(10_000);
  const ends = [];
  for (let turn = 0; turn < 5; turn++) {
    using queue = await store.read(names);
    ends.push(queue.end);
    await rest(queue);
  }
  assert(ends[0]! > 0, "no file is used");
  assertEquals(new Set(ends).size, 1);
});

Deno.test("NameStore.read() fails with what the names fail with", async () => {
  using store = new NameStore();
  const broken = async function* () {
    yield* later(namesOf(20_000));
    throw new Error("broken");
  };
  const failed = await store.read(broken()).then(() => "", ({ message }) => message);
  assertEquals(failed, "broken");
  using queue = await store.read(namesOf(100));
  assertEquals((await rest(queue)).length, 100);
});

Deno.test("NameStore keeps names in memory where no file can be had", {
  permissions: { read: false, write: false },
}, async () => {
  const names = namesOf(20_000);
  using store = new NameStore();
  using queue = await store.read(names);
  assertEquals(await rest(queue), sortNames(names));
});
