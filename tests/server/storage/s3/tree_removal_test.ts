import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName } from "../../../../lib/core/remote_name.ts";
import { inParallel } from "../../../../server/storage/in_parallel.ts";
import { remove } from "../../../../server/storage/s3/tree_removal.ts";
import type { RemoveOptions } from "../../../../server/storage/storage.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { errorAnswer, FaultProxy } from "../../../support/fault_proxy.ts";
import { Instance, newBucket } from "../../../support/served_bucket.ts";

function removing(
  { served }: Instance,
  name: string,
  options: Partial<RemoveOptions> = {},
): Promise<void> {
  return remove(served, parseFileName(name), { recursive: false, ...options });
}

async function keysOf({ served: { bucket } }: Instance): Promise<string[]> {
  return (await bucket.list()).objects.map(({ key }) => key);
}

async function store({ served: { bucket } }: Instance, ...keys: string[]): Promise<void> {
  await inParallel(8, keys, (key) => bucket.put(key, new TextEncoder().encode(key)));
}

for (const kind of [CEPH, SWIFT]) {
  const test = (criterion: string, run: (instance: Instance) => Promise<void>) =>
    testWithEngine(kind, `remove() in ${kind.name}: ${criterion}`, async () => {
      await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
      await run(instance);
    });

  test("a directory stays when its last entry goes, and no other one appears", async (instance) => {
    await store(instance, "d/s/only", "d/two-a", "d/two", "e/x", "top");
    await removing(instance, "d/s/only");
    assertEquals(await keysOf(instance), ["d/s/", "d/two", "d/two-a", "e/x", "top"]);
    await removing(instance, "d/two");
    await removing(instance, "top");
    assertEquals(await keysOf(instance), ["d/s/", "d/two-a", "e/x"]);
    await removing(instance, "d/s", { recursive: true });
    await removing(instance, "d/two-a");
    await removing(instance, "e/x");
    assertEquals(await keysOf(instance), ["d/", "e/"]);
    await removing(instance, "d", { recursive: true });
    assertEquals(await keysOf(instance), ["e/"]);
  });

  test("a directory goes with all names that are in it, and what was remembered", async (instance) => {
    const { bucket, records } = instance.served;
    const names = ["/", "//x", "a\x01b", "a\nb", "+&<>\"'%2F", "😀", "\uff5e", "x/y/", "x/y/z"];
    await store(instance, "d-", "d0", ...names.map((name) => `d/${name}`));
    const upload = await bucket.begin("d/parts");
    const part = await bucket.uploadPart(upload, 1, new Uint8Array(5));
    const etag = (await bucket.complete(upload, [part]))!;
    await records.remember("d/parts", etag, [md5("x")]);
    await removing(instance, "d", { recursive: true });
    assertEquals(await keysOf(instance), ["d-", "d0"]);
    await assertCode("not_found", () => removing(instance, "d", { recursive: true }));
  });
}

testWithEngine(CEPH, "remove() of a file leaves a directory of the same name", async () => {
  await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
  await store(instance, "d/a", "d/a/x");
  await removing(instance, "d/a", { recursive: true });
  assertEquals(await keysOf(instance), ["d/a/x"]);
  await assertCode("not_a_file", () => removing(instance, "d/a"));
  await removing(instance, "d/a", { recursive: true });
  assertEquals(await keysOf(instance), ["d/"]);
});

testWithEngine(
  CEPH,
  "remove() of a directory stops when it is told to, and can be repeated",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using proxy = FaultProxy.start(place.endpoint);
    await using instance = await Instance.open({ ...place, endpoint: proxy.url });
    const keys = Array.from({ length: 1300 }, (_, at) => `d/${String(at).padStart(4, "0")}`);
    await store(instance, ...keys);
    const stopped = new AbortController();
    const end = new FerryError("auth_required", "the token was revoked");
    proxy.rule = ({ method, path }) => {
      // The second page is not reached.
      if (method === "GET" && path.includes("continuation-token")) stopped.abort(end);
      return undefined;
    };
    const options = { recursive: true, signal: stopped.signal };
    await assertCode("auth_required", () => removing(instance, "d", options));
    proxy.rule = () => undefined;
    assertEquals((await keysOf(instance)).length, 300);
    // A store that fails for some batches keeps no others from being deleted.
    await removing(instance, "d", { recursive: true });
    assertEquals(await keysOf(instance), []);
  },
);

testWithEngine(CEPH, "remove() says what stays, and deletes the rest", async () => {
  const place = await newBucket(await Engine.shared(CEPH));
  await using proxy = FaultProxy.start(place.endpoint);
  await using instance = await Instance.open({ ...place, endpoint: proxy.url });
  await store(instance, "d/a", "d/b", "d/c");
  proxy.rule = ({ method, path }) => {
    if (method !== "POST" || !path.includes("delete")) return undefined;
    const error = (key: string) =>
      `<Error><Key>served/d/${key}</Key><Code>AccessDenied</Code><Message>kept</Message></Error>`;
    const body = `<?xml version="1.0"?><DeleteResult>${error("b")}${error("c")}</DeleteResult>`;
    return { answer: { status: 200, body } };
  };
  const { message } = await assertCode(
    ["io", "denied"],
    () => removing(instance, "d", { recursive: true }),
  );
  assert(message.includes('"d/b" stays') && message.includes("1 more stay"), message);
  proxy.rule = ({ method }) =>
    method === "POST" ? { answer: errorAnswer(403, "AccessDenied") } : undefined;
  await assertCode(["io", "denied"], () => removing(instance, "d", { recursive: true }));
  assertEquals((await keysOf(instance)).length, 3);
});
