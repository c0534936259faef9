import { assert, assertEquals } from "@std/assert";
import type { Listed } from "../../../../lib/core/entry.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { type FileName, parseDirectoryName } from "../../../../lib/core/remote_name.ts";
import { claimBytes, claimMetadata } from "../../../../server/storage/s3/claim.ts";
import { inParallel } from "../../../../server/storage/in_parallel.ts";
import { listTree, type ListTreeOptions } from "../../../../server/storage/s3/tree_listing.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import fc from "../../../support/properties.ts";
import { putRawObject } from "../../../support/raw_object.ts";
import { type BucketPlace, Instance, newBucket } from "../../../support/served_bucket.ts";
import { compareByParts } from "../../../support/stored_files.ts";

/** How many objects the large list has; `FERRY_LISTED=100000` makes it large enough to show a leak. */
const MANY = Number(Deno.env.get("FERRY_LISTED") ?? 600);

/** The lines of a list as texts: names, and codes of what is omitted. */
async function lines(
  { served }: Instance,
  directory = "",
  options: Partial<ListTreeOptions> = {},
): Promise<string[]> {
  const told: string[] = [];
  const all = { recursive: true, omitted: true, ...options };
  for await (const line of listTree(served, parseDirectoryName(directory), all)) {
    told.push(textOf(line));
  }
  return told;
}

function textOf({ filename, omitted }: Listed): string {
  if (omitted === undefined) return filename;
  return `${filename} (${omitted instanceof FerryError ? omitted.code : omitted})`;
}

/** Stores objects as another program does. */
async function store({ served: { bucket } }: Instance, ...keys: string[]): Promise<void> {
  await inParallel(8, keys, (key) => bucket.put(key, new TextEncoder().encode(key)));
}

for (const kind of [CEPH, SWIFT]) {
  const test = (
    criterion: string,
    run: (instance: Instance, place: BucketPlace) => Promise<void>,
  ) =>
    testWithEngine(kind, `listTree() in ${kind.name}: ${criterion}`, async () => {
      const place = await newBucket(await Engine.shared(kind));
      await using instance = await Instance.open(place);
      await run(instance, place);
    });

  test(
    "objects of others whose keys are no names are omitted, with the reason",
    async (instance, place) => {
      const good = ["a/b", "b/x", "c/y", "d\ne\x1b[2J/f\x7f", "e f/+%2F&=#?", "😀/\uff5e"];
      const odd = ["/x", "a//b/c", "a//d", "a//", `c/${"x".repeat(256)}/y`, ".ferry-staging/x"];
      const own = [".ferry/uploads/u.0", ".ferry/checksums/x/y", ".ferry/z"];
      await store(instance, ...good, ...odd, ...own, "a/", "z/");
      for (const key of ["./x", "b/../x", "b/..", "b/./"]) {
        await putRawObject(place, `served/${key}`);
      }
      const told = await lines(instance);
      const entries = told.filter((line) => !line.endsWith(")"));
      assertEquals(entries, [
        "a",
        "a/b",
        "b",
        "b/x",
        "c",
        "c/y",
        "d\ne\x1b[2J",
        "d\ne\x1b[2J/f\x7f",
        "e f",
        "e f/+%2F&=#?",
        "z",
        "😀",
        "😀/\uff5e",
      ]);
      const omitted = told.filter((line) => line.endsWith(")"));
      assertEquals(
        omitted.sort(),
        [
          ". (bad_name)",
          ".ferry-staging (bad_name)",
          "/ (bad_name)",
          "a// (bad_name)",
          "b/. (bad_name)",
          "b/.. (bad_name)",
          "b/.. (bad_name)",
          `c/${"x".repeat(256)} (bad_name)`,
        ].sort(),
      );
      assertEquals(await lines(instance, "", { omitted: false }), entries);
      const top = ["a", "b", "c", "d\ne\x1b[2J", "e f", "z", "😀"];
      assertEquals(await lines(instance, "", { omitted: false, recursive: false }), top);
    },
  );

  test("a file wins over a directory of the same name", async (instance) => {
    await store(instance, "a", "a-b", "a/x", "a/y/z", "ab", "d/f", "d/f/");
    const expected = ["a", "a/ (not_a_file)", "a-b", "ab", "d", "d/f", "d/f/ (not_a_file)"];
    assertEquals(await lines(instance), expected);
    const top = ["a", "a/ (not_a_file)", "a-b", "ab", "d"];
    assertEquals(await lines(instance, "", { recursive: false }), top);
    await assertCode("not_a_file", () => lines(instance, "a"));
    await assertCode("not_a_file", () => lines(instance, "a/x"));
    await assertCode("not_found", () => lines(instance, "b"));
  });

  test("claims are not there, nor is a directory that holds nothing else", async (instance) => {
    await store(instance, "a", "d/f");
    for (const key of ["b", "d/g", "e/f"]) {
      await instance.served.bucket.put(key, claimBytes({}), { metadata: claimMetadata("x") });
    }
    assertEquals(await lines(instance), ["a", "d", "d/f"]);
    await assertCode("not_found", () => lines(instance, "e"));
    assertEquals(await instance.served.lookup.isDirectory("e" as FileName), false);
  });

  test("entries have the md5 of a simple ETag and the time of the store", async (instance) => {
    await store(instance, "d/f");
    const [directory, file] = await Array.fromAsync(
      listTree(instance.served, "", { recursive: true }),
    );
    assertEquals(directory, {
      filename: "d",
      type: "directory",
      size: 0,
      mtime: 0,
      mode: 0o755,
      checksum: null,
    });
    assert(file?.type === "file" && Math.abs(file.mtime - Date.now()) < 600_000);
    assertEquals({ ...file, mtime: 0 }, {
      filename: "d/f",
      type: "file",
      size: 3,
      mtime: 0,
      mode: 0o644,
      checksum: md5("d/f"),
    });
  });
}

testWithEngine(
  CEPH,
  "listTree() lists any names in order, with small pages and few held back",
  async () => {
    const part = fc.string({
      unit: fc.constantFrom("a", "b", "-", ".", " ", "0", "~", "\uff5e", "😀"),
      minLength: 1,
      maxLength: 3,
    }).filter((part) => part !== "." && part !== "..");
    const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    const engine = await Engine.shared(CEPH);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(path, { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        async (paths, pageSize, mostHeld) => {
          await using instance = await Instance.open(await newBucket(engine));
          // A file is nobody's directory here.
          const files = paths.filter((path) =>
            !paths.some((other) => other.startsWith(`${path}/`))
          );
          const directories = new Set(files.flatMap((file) => {
            const parts = file.split("/");
            return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
          }));
          await store(instance, ...files);
          const expected = [...files, ...directories].sort(compareByParts);
          assertEquals(await lines(instance, "", { pageSize, mostHeld }), expected);
          for (const directory of ["", ...directories]) {
            const within = directory === "" ? "" : `${directory}/`;
            const below = expected.filter((name) => name !== directory && name.startsWith(within));
            assertEquals(await lines(instance, directory, { pageSize, mostHeld }), below);
            const here = below.filter((name) => !name.slice(within.length).includes("/"));
            const flat = { pageSize, mostHeld, recursive: false };
            assertEquals(await lines(instance, directory, flat), here);
          }
        },
      ),
      { numRuns: 6 },
    );
  },
);

testWithEngine(CEPH, `listTree() lists ${MANY} objects in constant memory`, async () => {
  await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
  const names = Array.from(
    { length: MANY },
    (_, at) => `d/file-${String(at).padStart(7, "0")}.dat`,
  );
  await inParallel(16, names, (name) => instance.served.bucket.put(name, new Uint8Array()));
  const pageSize = Math.min(1000, Math.ceil(MANY / 20));
  let seen = 0;
  const heap: number[] = [];
  for await (
    const { filename } of listTree(instance.served, "", {
      recursive: true,
      pageSize,
      mostHeld: 2 * pageSize,
    })
  ) {
    if (filename === "d") continue;
    assertEquals(filename, names[seen++]);
    if (seen % pageSize === 0) heap.push(Deno.memoryUsage().heapUsed);
  }
  assertEquals(seen, MANY);
  // What lists have left behind and was not collected yet is little beside all names.
  const middle = Math.max(...heap.slice(2, heap.length / 2));
  const last = Math.max(...heap.slice(heap.length / 2));
  assert(last < middle + 48 * 2 ** 20, `the heap grew from ${middle} to ${last} bytes`);
});
