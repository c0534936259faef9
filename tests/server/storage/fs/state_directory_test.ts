import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { untilAnswered } from "../../../../server/storage/fs/state_directory.ts";
import { Clock } from "../../../support/clock.ts";
import { OtherPath, testWithMount } from "../../../support/mount.ts";
import { Pair } from "../../../support/pair.ts";
import { Ferryd, filesBelow, stagedIn, TempDir } from "../../../support/programs.ts";
import { RawPeer } from "../../../support/raw_peer.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { assertCode } from "../../../support/assertions.ts";
import { keepPartial, listed, partials, put, resume } from "../../../support/stored_files.ts";

const bytes = new Uint8Array(300_000).map((_, at) => at * 7 >> 4);
const LARGE = { size: bytes.length, algorithm: "md5" } as const;

/** A directory that was served by an earlier process. */
async function left(arrange: (staging: string, names: string[]) => void): Promise<TempDir> {
  const dir = new TempDir();
  {
    await using storage = FsStorage.open(dir.path);
    await put(storage, "a", "a");
    await keepPartial(storage, "large", bytes, 128_000);
  }
  arrange(dir.join(".ferry/staging"), stagedIn(dir.path));
  return dir;
}

const LEFT: Record<string, (staging: string, names: string[]) => void> = {
  "this one": () => {},
  "ferry 0.1, which had one staging area": (staging, names) => {
    for (const name of names) {
      Deno.renameSync(`${staging}/${name}`, `${staging}/${name.replace(/.*\//, "")}`);
    }
    for (const { name, isDirectory } of [...Deno.readDirSync(staging)]) {
      if (isDirectory) Deno.removeSync(`${staging}/${name}`);
    }
  },
  "one that was killed while it took parts over": (staging, names) => {
    // The record is there twice, and the part is where it was.
    const record = names.find((name) => name.endsWith(".json"))!;
    Deno.mkdirSync(`${staging}/other`);
    Deno.copyFileSync(`${staging}/${record}`, `${staging}/other/${record.replace(/.*\//, "")}`);
  },
};

for (const [whose, arrange] of Object.entries(LEFT)) {
  Deno.test(`FsStorage goes on with the parts of ${whose}`, async () => {
    await using dir = await left(arrange);
    {
      await using storage = FsStorage.open(dir.path);
      assertEquals((await partials(storage, "")).map(({ received }) => received), [128_000]);
      await using pending = await resume(storage, "large", LARGE);
      assertEquals(pending?.prefix?.size, 128_000);
      await pending!.write(bytes.subarray(128_000));
      await pending!.commit({ checksum: md5(bytes), replace: false });
    }
    assertEquals(Deno.readFileSync(dir.join("large")), bytes);
    assertEquals([...Deno.readDirSync(dir.join(".ferry/staging"))], []);
    assertEquals([...Deno.readDirSync(dir.join(".ferry/leases"))], []);
  });
}

Deno.test("ferryd that was killed goes on at once when it is started again", async () => {
  await using p = await Pair.start();
  await p.server.stop("SIGKILL");
  assertEquals(filesBelow(`${p.root}/.ferry/leases`).length, 1, "it has let go");
  p.server = await Ferryd.start(p.root);
  assertEquals(filesBelow(`${p.root}/.ferry/leases`).length, 1);
  assertEquals((await p.server.stop()).stderr.includes("watching"), false);
});

Deno.test("FsStorage changes nothing any more when another process has taken its directory over", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  await put(storage, "a", "a");
  await using pending = await storage.partialUploads.create(name("large"), { size: bytes.length });
  await pending.write(bytes.subarray(0, 128_000));
  await using whole = await storage.create(name("whole"), { size: 1 });
  await whole.write(new Uint8Array(1));
  // As one on another machine does that has heard nothing for the time of a lease.
  for (const own of ["staging", "leases"]) {
    for (const { name } of [...Deno.readDirSync(dir.join(`.ferry/${own}`))]) {
      Deno.removeSync(dir.join(`.ferry/${own}/${name}`), { recursive: true });
    }
  }
  Deno.mkdirSync(dir.join(".ferry/staging/another"));
  using clock = new Clock();
  clock.ahead += 60_000;
  const changes = [
    () => pending.write(bytes.subarray(128_000)),
    () => pending.checkpoint({ size: 128_000, md5: "0".repeat(32) }),
    () => whole.commit({ checksum: md5("\0"), replace: false }),
    () => storage.create(name("new"), { size: 1 }),
    () => resume(storage, "large", LARGE),
    () => storage.assertFits(name("new"), 1),
    () => storage.mkdir(name("d")),
    () => storage.move(name("a"), name("b"), { replace: false }),
    () => storage.remove(name("a"), { recursive: false }),
  ];
  for (const change of changes) {
    const { message } = await assertCode("busy", change);
    assertMatch(message, /another ferryd has taken the directory over/);
  }
  assertEquals(filesBelow(dir.path).filter((path) => !path.startsWith(".ferry/")), ["a"]);
  assertEquals([...Deno.readDirSync(dir.join(".ferry/staging"))].map(({ name }) => name), [
    "another",
  ]);
});

for (const [first, second] of [["below", "above"], ["above", "below"]] as const) {
  testWithMount(
    `ferryd by the path ${second} leaves what one by the path ${first} is writing, and goes on when that has ended`,
    async () => {
      await using dir = new TempDir();
      Deno.mkdirSync(dir.join("root"));
      await using other = new OtherPath(dir.join("root"));
      const roots = { below: dir.join("root"), above: other.path };
      const content = new Uint8Array(10 * MIB).fill(9);
      const whole = { op: "put", filename: "f", md5: md5(content), total_size: content.length };
      await using server = await Ferryd.start(roots[first]);
      using peer = await RawPeer.connect(server.port);
      await peer.send(whole, content.subarray(0, 9 * MIB));
      while (!stagedIn(roots.below).some((name) => name.endsWith(".json"))) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const waits: number[] = [];
      const onWaiting = (ms: number) => void waits.push(ms);
      const { message } = await assertCode("busy", () => {
        FsStorage.open(roots[second], { onWaiting });
      });
      assertMatch(message, /by another path, or on another machine/);
      assertEquals(waits.length, 1);
      await peer.send(content.subarray(9 * MIB));
      assertEquals(await peer.code(), "ok");
      // Another one is cut, by a kill.
      await peer.send({ ...whole, filename: "g" }, content.subarray(0, 9 * MIB));
      while (!stagedIn(roots.below).some((name) => name.endsWith(".json"))) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await server.stop("SIGKILL");
      using _clock = new Clock();
      await using storage = FsStorage.open(roots[second], { onWaiting });
      assertEquals(waits.length, 2);
      const [part] = await partials(storage, "");
      assertEquals(part?.filename, "g");
      const options = { size: content.length, algorithm: "md5" } as const;
      await using pending = await resume(storage, "g", options);
      assert(pending?.prefix, "it is not gone on with");
      await pending.write(content.subarray(pending.prefix.size));
      await pending.commit({ checksum: md5(content), replace: false });
      assertEquals(md5(Deno.readFileSync(`${roots.below}/g`)), md5(content));
      assertEquals(md5(Deno.readFileSync(`${roots.below}/f`)), md5(content));
    },
    ["bindfs", "/dev/fuse"],
  );
}

const REMOVALS: Readonly<Record<string, (dir: TempDir) => void>> = {
  "all of it": (dir) => Deno.removeSync(dir.join(".ferry"), { recursive: true }),
  "all that is in it": (dir) => {
    for (const { name } of [...Deno.readDirSync(dir.join(".ferry"))]) {
      Deno.removeSync(dir.join(`.ferry/${name}`), { recursive: true });
    }
  },
  "its staging area": (dir) => Deno.removeSync(dir.join(".ferry/staging"), { recursive: true }),
};

for (const [what, removeFrom] of Object.entries(REMOVALS)) {
  Deno.test(`FsStorage makes its directory again where somebody removes ${what}`, async () => {
    await using dir = new TempDir();
    await using storage = FsStorage.open(dir.path, { durability: "none", quota: 1_000_000 });
    await put(storage, "old", "old");
    await keepPartial(storage, "large", bytes, 128_000);
    await using begun = await storage.create(name("begun"), { size: 1 });
    await begun.write(new Uint8Array(1));
    removeFrom(dir);
    assertMatch(
      (await assertCode("busy", () => begun.commit({ checksum: md5("\0"), replace: false })))
        .message,
      /another program has removed/,
    );
    await put(storage, "new", "new");
    assertEquals(await partials(storage, ""), []);
    assertEquals(await resume(storage, "large", LARGE), undefined);
    await keepPartial(storage, "large", bytes, 128_000);
    assertEquals((await partials(storage, "")).length, 1);
    await assertCode("quota", () => storage.create(name("more"), { size: 900_000 }));
    // Another process sees that the directory is taken.
    await assertCode("busy", () => FsStorage.open(dir.path));
    await storage[Symbol.asyncDispose]();
    await using again = FsStorage.open(dir.path);
    await using pending = await resume(again, "large", LARGE);
    assertEquals(pending?.prefix?.size, 128_000);
  });
}

for (const [what, removeFrom] of Object.entries(REMOVALS)) {
  Deno.test(`FsStorage begins a staged tree where somebody has removed ${what}`, async () => {
    await using dir = new TempDir();
    await using storage = FsStorage.open(dir.path, { durability: "none" });
    await put(storage, "d", "old");
    await storage.remove(name("d"), { recursive: false });
    removeFrom(dir);
    await using tree = await storage.stagedTrees.begin(name("d"), { owner: "" });
    await tree.mkdir(name("d/e"));
    await tree.publish({ replace: false });
    assertEquals(await listed(storage), ["d", "d/e"]);
  });
}

Deno.test("FsStorage says why a staged tree cannot be made", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  const { mkdirSync } = Deno;
  Deno.mkdirSync = (path, options) => {
    if (String(path).endsWith(".tree")) throw new Deno.errors.PermissionDenied("no");
    mkdirSync(path, options);
  };
  try {
    await assertCode("denied", () => storage.stagedTrees.begin(name("d"), { owner: "" }));
  } finally {
    Deno.mkdirSync = mkdirSync;
  }
  await using _tree = await storage.stagedTrees.begin(name("d"), { owner: "" });
});

Deno.test("untilAnswered() says that it waits for a file system, and waits for its answer", async () => {
  await using dir = new TempDir();
  let waits = 0;
  await untilAnswered(dir.path, () => waits++);
  await untilAnswered(dir.join("missing"), () => waits++);
  assertEquals(waits, 0);
  const { lstat } = Deno;
  const told = Promise.withResolvers<void>();
  Deno.lstat = async (path) => {
    await told.promise;
    return await lstat(path);
  };
  try {
    await untilAnswered(dir.path, () => {
      waits++;
      told.resolve();
    });
  } finally {
    Deno.lstat = lstat;
  }
  assertEquals(waits, 1);
});

Deno.test("FsStorage notices by its lease that its directory was removed", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  await put(storage, "file", "x");
  Deno.removeSync(dir.join(".ferry"), { recursive: true });
  using clock = new Clock();
  clock.ahead += 60_000;
  await storage.mkdir(name("d"));
  assertEquals(filesBelow(dir.join(".ferry/leases")).length, 1);
  assertEquals(await storage.checksum(name("file"), "md5"), md5("x"));
  assert(filesBelow(dir.join(".ferry")).includes("index.db"), "the index is not kept any more");
});
