import { assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { assertCode } from "../../../support/assertions.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { Instance, newBucket } from "../../../support/served_bucket.ts";

const EMPTY = new Uint8Array();

testWithEngine(CEPH, "NameLookup finds files and directories, and what is neither", async () => {
  await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
  const { bucket, lookup } = instance.served;
  for (const key of ["f", "d/s/x", "m/", "both", "both/x", "d-x"]) await bucket.put(key, EMPTY);
  const kinds = async (...names: string[]) =>
    await Promise.all(names.map(async (each) => {
      const found = await lookup.look(name(each));
      return typeof found === "object" ? "file" : found;
    }));
  assertEquals(await kinds("f", "d", "d/s", "m", "both", "both/x"), [
    "file",
    "directory",
    "directory",
    "directory",
    "file",
    "file",
  ]);
  assertEquals(await kinds("d-", "D", "f/x", "x"), [undefined, undefined, undefined, undefined]);
  await lookup.assertPlaceable(name("new/a/b"));
  for (const taken of ["d", "m", "f/x", "f/x/y", "both/y"]) {
    await assertCode("not_a_file", () => lookup.assertPlaceable(name(taken)));
  }
});

testWithEngine(
  CEPH,
  "NameLookup refuses names that the store cannot hold, and finds nothing there",
  async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
    const { bucket, lookup } = instance.served;
    const longest = `${"ä".repeat(120)}/`.repeat(4) + "x".repeat(lookup.maxNameBytes - 4 * 241);
    assertEquals(new TextEncoder().encode(`served/${longest}/`).length, 1024);
    await bucket.put(longest, EMPTY);
    assertEquals((await lookup.head(name(longest)))?.size, 0);
    assertEquals(await lookup.isDirectory(name(longest)), false);
    const longer = name(`${longest}x`);
    assertEquals(await lookup.look(longer), undefined);
    await assertCode("bad_name", () => lookup.assertParents(longer));
    await assertCode("bad_name", () => lookup.assertPlaceable(longer));
  },
);

testWithEngine(CEPH, "NameLookup looks at parent directories once in some seconds", async () => {
  const place = await newBucket(await Engine.shared(CEPH));
  await using proxy = FaultProxy.start(place.endpoint);
  await using instance = await Instance.open({ ...place, endpoint: proxy.url });
  const { lookup } = instance.served;
  const requests = async (run: () => Promise<unknown>) => {
    const before = proxy.requests.length;
    await run();
    return proxy.requests.slice(before).map(({ method }) => method).sort();
  };
  const placed = (text: string) => requests(() => lookup.assertPlaceable(name(text)));
  // One HEAD for each parent directory, and a list of what is below the name.
  assertEquals(await placed("a/b/c"), ["GET", "HEAD", "HEAD"]);
  assertEquals(await placed("a/b/d"), ["GET"]);
  assertEquals(await placed("a/e/f"), ["GET", "HEAD"]);
  lookup.published(name("a/b"));
  assertEquals(await placed("a/b/d"), ["GET", "HEAD"]);
});
