import { assert, assertEquals } from "@std/assert";
import { type FileName, parseFileName } from "../../../../lib/core/remote_name.ts";
import { inParallel } from "../../../../server/storage/in_parallel.ts";
import { pagesOf } from "../../../../server/storage/s3/name_lookup.ts";
import { metadataOf } from "../../../../server/storage/s3/object_attributes.ts";
import { checksumOf } from "../../../../server/storage/s3/stored_file.ts";
import { move, type MoveTreeOptions } from "../../../../server/storage/s3/tree_move.ts";
import { assertCode } from "../../../support/assertions.ts";
import { MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { errorAnswer, FaultProxy, type FaultRule } from "../../../support/fault_proxy.ts";
import type { MoveArguments } from "../../../support/move_in_bucket.ts";
import { PROJECT } from "../../../support/programs.ts";
import { Instance, newBucket, TestFile } from "../../../support/served_bucket.ts";

/** Objects larger than 6 MiB are copied in parts of 5 MiB. */
const SIZES = { whole: 6 * MIB, part: 5 * MIB };

function moving(
  { served }: Instance,
  from: string,
  to: string,
  options: Partial<MoveTreeOptions> = {},
): Promise<void> {
  return move(served, parseFileName(from), parseFileName(to), { replace: false, ...options });
}

/** The keys of a bucket, without ferry's own. */
async function keysOf({ served: { bucket } }: Instance, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const objects of pagesOf(bucket, { prefix })) {
    keys.push(...objects.map(({ key }) => key));
  }
  return keys.filter((key) => !key.startsWith(".ferry/"));
}

/** Stores so many files of a directory, and returns their names in it. */
async function storeMany(
  { served: { bucket } }: Instance,
  directory: string,
  count: number,
): Promise<string[]> {
  const names = Array.from(
    { length: count },
    (_, at) => `${at % 7}/${String(at).padStart(4, "0")}`,
  );
  await inParallel(
    8,
    names,
    (name) => bucket.put(`${directory}/${name}`, new TextEncoder().encode(`content of ${name}`)),
  );
  return names.sort();
}

async function assertMoved(instance: Instance, directory: string, names: string[]): Promise<void> {
  assertEquals(await keysOf(instance), names.map((name) => `${directory}/${name}`));
  await inParallel(8, names, async (name) => {
    const bytes = await instance.content(`${directory}/${name}`);
    assertEquals(new TextDecoder().decode(bytes), `content of ${name}`);
  });
  assertEquals(await instance.leftovers(), []);
}

for (const kind of [CEPH, SWIFT]) {
  const test = (criterion: string, run: (instance: Instance) => Promise<void>) =>
    testWithEngine(kind, `move() in ${kind.name}: ${criterion}`, async () => {
      await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
      await run(instance);
    });

  test("a file that is too large for one copy is copied by parts", async (instance) => {
    const { served, served: { bucket } } = instance;
    const file = new TestFile(11 * MIB);
    const metadata = metadataOf({ mtime: 5000, mode: 0o640 });
    await bucket.put("d/a", file.bytes, { metadata });
    await moving(instance, "d/a", "e/b", { sizes: SIZES });
    assertEquals(await keysOf(instance), ["d/", "e/b"]);
    assertEquals(await instance.content("e/b"), file.bytes);
    const head = (await bucket.head("e/b"))!;
    assert(head.etag.endsWith("-3"), head.etag);
    // What only the ETag told is kept with the copy.
    assertEquals(head.metadata, metadataOf({ mtime: 5000, mode: 0o640, checksums: [file.md5] }));
    assertEquals(await checksumOf(served, head, "md5"), file.md5);
    assertEquals(await instance.leftovers(), []);
  });

  test("what was remembered of a file goes along", async (instance) => {
    const { served, served: { bucket, records } } = instance;
    const file = new TestFile(5 * MIB + 1);
    const upload = await bucket.begin("a", { "of-another": "program" });
    const parts = [
      await bucket.uploadPart(upload, 1, file.bytes.subarray(0, 5 * MIB)),
      await bucket.uploadPart(upload, 2, file.bytes.subarray(5 * MIB)),
    ];
    const etag = (await bucket.complete(upload, parts))!;
    assertEquals(await checksumOf(served, (await bucket.head("a"))!, "md5"), file.md5);
    await moving(instance, "a", "b");
    const head = (await bucket.head("b"))!;
    assertEquals(head.metadata, {
      "of-another": "program",
      ...metadataOf({ checksums: [file.md5] }),
    });
    assertEquals(await records.all("a", etag), []);
    assertEquals(await keysOf(instance), ["b"]);
  });

  test("an object of several parts, again and again", async (instance) => {
    const { bucket } = instance.served;
    const file = new TestFile(5 * MIB + 1);
    const upload = await bucket.begin("a/f");
    const parts = [
      await bucket.uploadPart(upload, 1, file.bytes.subarray(0, 5 * MIB)),
      await bucket.uploadPart(upload, 2, file.bytes.subarray(5 * MIB)),
    ];
    await bucket.complete(upload, parts);
    for (const [from, to] of [["a", "b"], ["b", "c"], ["c/f", "d/f"], ["d", "e"]] as const) {
      await moving(instance, from, to);
    }
    assertEquals(await keysOf(instance), ["c/", "e/f"]);
    assertEquals(await instance.content("e/f"), file.bytes);
    assertEquals(await instance.leftovers(), []);
  });

  test("a directory with everything in it, whatever its names are", async (instance) => {
    const { served: { bucket } } = instance;
    const names = ["a", "a-b", "a/x", "b/", "c//d", "e\n f/😀", "z"];
    for (const name of names) await bucket.put(`d/${name}`, new TextEncoder().encode(name));
    await bucket.put("d-", new Uint8Array());
    await moving(instance, "d", "up/d");
    assertEquals(await keysOf(instance), ["d-", ...names.sort().map((name) => `up/d/${name}`)]);
    assertEquals(await instance.leftovers(), []);
  });
}

testWithEngine(
  CEPH,
  "move() of a file takes no name that another one takes at the same time",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using instance = await Instance.open(place);
    const { bucket } = instance.served;
    for (let turn = 0; turn < 5; turn++) {
      const sources = ["a", "b", "c", "d"];
      for (const key of sources) await bucket.put(key, new TextEncoder().encode(key));
      const results = await Promise.all(
        sources.map((key) =>
          moving(instance, key, "to").then(() => key, ({ code }) => code as string)
        ),
      );
      const won = results.filter((result) => result.length === 1);
      assertEquals(won.length, 1, `${results}`);
      assertEquals(results.filter((result) => result === "exists").length, 3, `${results}`);
      assertEquals(new TextDecoder().decode(await instance.content("to")), won[0]);
      assertEquals(await keysOf(instance), [...sources.filter((key) => key !== won[0]), "to"]);
      await bucket.delete("to");
    }
  },
);

/** Refuses requests of a method whose path and headers have certain words, after so many of them. */
function refusing(method: string, words: RegExp, after = 0): FaultRule {
  let count = 0;
  return (request) => {
    const text = request.path + (request.headers.has("x-amz-copy-source") ? " copy" : "");
    const isMeant = request.method === method && words.test(text) && ++count > after;
    return isMeant ? { answer: errorAnswer(403, "AccessDenied") } : undefined;
  };
}

testWithEngine(
  CEPH,
  "move() of a directory that is cut says how far it came, and goes on",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using proxy = FaultProxy.start(place.endpoint);
    await using broken = await Instance.open({ ...place, endpoint: proxy.url });
    await using instance = await Instance.open(place);
    const names = await storeMany(instance, "d", 60);
    proxy.rule = refusing("PUT", / copy$/, 20);
    const { message } = await assertCode(
      "io",
      () => moving(broken, "d", "e"),
      "nothing was removed yet",
    );
    const [, copied] = /(\d+) of 60 objects were copied/.exec(message)!;
    // Some of those that were given up may have been copied as well.
    const there = (await keysOf(instance, "e/")).length;
    assert(Number(copied) > 0 && Number(copied) <= there && there <= 20, `${copied}, ${there}`);
    assertEquals((await keysOf(instance, "d/")).length, 60);
    proxy.rule = refusing("POST", /delete/);
    await assertCode("io", () => moving(broken, "d", "e"), "60 of 60 objects were copied");
    assertEquals((await keysOf(instance)).length, 120);
    proxy.rule = refusing("DELETE", /ferry.*moves/);
    await assertCode("io", () => moving(broken, "d", "e"), "60 were removed under the old name");
    // The old name is gone, and the same move succeeds once more.
    await moving(instance, "d", "e");
    await assertMoved(instance, "e", names);
    await assertCode("not_found", () => moving(instance, "d", "e"));
  },
);

testWithEngine(CEPH, "move() goes on only into what the same move has begun", async () => {
  const place = await newBucket(await Engine.shared(CEPH));
  await using proxy = FaultProxy.start(place.endpoint, refusing("PUT", / copy$/));
  await using broken = await Instance.open({ ...place, endpoint: proxy.url });
  await using instance = await Instance.open(place);
  const { bucket } = instance.served;
  const names = await storeMany(instance, "d", 5);
  await assertCode("io", () => moving(broken, "d", "e"), "0 of 5 objects");
  await bucket.put("f/x", new Uint8Array());
  await assertCode("exists", () => moving(instance, "d", "f"));
  await bucket.delete("f/x");
  // Another program has stored something else where a copy would be.
  await bucket.put(`e/${names[0]}`, new TextEncoder().encode("of another program"));
  await assertCode("exists", () => moving(instance, "d", "e"), "with other content");
  assertEquals((await keysOf(instance, "d/")).length, 5);
  await bucket.delete(`e/${names[0]}`);
  await moving(instance, "d", "e");
  await assertMoved(instance, "e", names);
});

testWithEngine(
  CEPH,
  "move() of a directory whose process is killed goes on in another one",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using instance = await Instance.open(place);
    const names = await storeMany(instance, "d", 300);
    // Before and while copies are made, and while originals are removed.
    for (
      const [prefix, isDue] of [
        ["e/", (count: number) => count >= 40],
        ["e/", (count: number) => count >= 200],
        ["d/", (count: number) => count < 300],
      ] as const
    ) {
      const work: MoveArguments = { place, from: "d", to: "e" };
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          "--quiet",
          "-A",
          `${PROJECT}tests/support/move_in_bucket.ts`,
          JSON.stringify(work),
        ],
        stdout: "null",
        stderr: "null",
      }).spawn();
      while (!isDue((await keysOf(instance, prefix)).length)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await child.status;
      const [left, copied] = [await keysOf(instance, "d/"), await keysOf(instance, "e/")];
      // Each file is under one of both names at least.
      const all = new Set([...left, ...copied].map((key) => key.slice(2)));
      assertEquals([...all].sort(), names);
    }
    // The last process may have come to its end before it was killed, or almost: then only its record is left.
    const isOver = (await keysOf(instance, "d/")).length === 0 &&
      (await instance.leftovers()).length === 0;
    if (!isOver) await moving(instance, "d", "e");
    await assertMoved(instance, "e", names);
  },
);

testWithEngine(CEPH, "move() refuses before it copies what has no room for its names", async () => {
  await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
  const { bucket, lookup } = instance.served;
  const parts = Array.from({ length: 4 }, () => "x".repeat(240)).join("/");
  await bucket.put(`d/${parts}`, new Uint8Array());
  await assertCode("bad_name", () => moving(instance, "d", "e".repeat(100)), "longer than");
  assertEquals(await keysOf(instance), [`d/${parts}`]);
  const longest = "x".repeat(lookup.maxNameBytes - 240) as FileName;
  assert(longest.length > 255);
  await assertCode(
    "bad_name",
    () =>
      move(instance.served, "d" as FileName, `${parts}/${longest}` as FileName, { replace: false }),
  );
});
