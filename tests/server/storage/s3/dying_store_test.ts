import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName } from "../../../../lib/core/remote_name.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { CEPH_ON_DISK } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { Instance, newBucket, TestFile } from "../../../support/served_bucket.ts";

const NAME = parseFileName("d/file");

testWithEngine(
  CEPH_ON_DISK,
  "an upload outlives the store: it goes on when the store is back, at once or later",
  async () => {
    await using engine = await Engine.start(CEPH_ON_DISK);
    const place = await newBucket(engine);
    await using instance = await Instance.open(place, { retryTime: 2000 });
    const { partialUploads } = instance.writes;
    const file = new TestFile(40 * MIB + 5);
    const { size } = file;
    await using patient = await Instance.open(place);
    const recorded = async () =>
      (await patient.writes.partialUploads.find(NAME, { size }))[0]?.entry.received ?? 0;
    {
      await using write = await partialUploads.create(NAME, { size });
      await file.writeTo(write, 24 * MIB);
      while (await recorded() < 8 * MIB) await new Promise((done) => setTimeout(done, 100));
      await engine.kill();
      const error = await file.writeTo(write)
        .then(() => write.commit({ checksum: file.md5, replace: true }))
        .catch((error) => error);
      assert(error instanceof FerryError, "it was stored without a store");
      assert(["unreachable", "closed", "timeout", "io"].includes(error.code), error.code);
    }
    await engine.restart();
    assertEquals(await instance.content(NAME), undefined);
    const [found] = await patient.writes.partialUploads.find(NAME, { size });
    {
      await using write = (await patient.writes.partialUploads.resume(found!.id, {
        algorithm: "md5",
      }))!;
      assert(write.prefix!.size >= 8 * MIB, `only ${write.prefix!.size} bytes are left`);
      await file.writeTo(write, 33 * MIB);
      // While requests are repeated, the store comes back.
      await engine.kill();
      const [, committed] = await Promise.all([
        engine.restart(),
        file.writeTo(write).then(() => write.commit({ checksum: file.md5, replace: true })),
      ]);
      assertEquals(committed.size, size);
    }
    assertEquals(md5((await patient.content(NAME))!), file.md5);
    await patient.writes.partialUploads.expire(-1);
    assertEquals(await patient.leftovers(), []);
  },
);
