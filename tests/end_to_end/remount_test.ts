/**
 * A server whose directory is unmounted and mounted again, by a file system that then has other inode numbers.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FerryError } from "../../lib/core/errors.ts";
import { isRemovedName, parseFileName as name } from "../../lib/core/remote_name.ts";
import { basename, dirname } from "../../lib/core/paths.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import type { FsStorageOptions } from "../../server/storage/fs/served_root.ts";
import { Clock } from "../support/clock.ts";
import { Mounts, testWithMount } from "../support/mount.ts";
import { ferry, Ferryd, filesBelow, stagedIn, TempDir } from "../support/programs.ts";
import { OPERATIONS } from "../support/storage_operations.ts";
import { assertCode } from "../support/assertions.ts";
import { md5 } from "../support/bytes.ts";
import { begin, keepPartial, partials, put, resume, textOf } from "../support/stored_files.ts";

const LARGE = new Uint8Array(9_000_000).fill(7);
const KEPT = 5_000_000;
const FUSE = ["bindfs", "/dev/fuse", "pkill"];

/** How the directory is mounted, and the commands that it needs. */
const KINDS = {
  bindfs: FUSE,
  sshfs: ["sshfs", "/usr/lib/openssh/sftp-server", "/dev/fuse", "pkill"],
  overlay: [],
} as const;

/** A root that shows the files of another directory, which contains `file` and `d/file`. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly mounts = new Mounts();
  readonly root = this.dir.join("root");
  readonly store = this.dir.join("store");
  readonly told: string[] = [];
  readonly #kind: keyof typeof KINDS;
  readonly storage: FsStorage;

  constructor(kind: keyof typeof KINDS = "bindfs", options: FsStorageOptions = {}) {
    this.#kind = kind;
    this.mount();
    Deno.mkdirSync(`${this.root}/d`);
    for (const path of ["root/file", "root/d/file"]) this.dir.write(path, path);
    const onRoot = (state: string) => void this.told.push(state);
    this.storage = FsStorage.open(this.root, { links: true, ...options, onRoot });
  }

  mount(from = this.store): void {
    this.mounts[this.#kind](from, this.root);
  }

  unmount(): void {
    this.mounts.unmount(this.root);
  }

  /** Kills the program that serves the root, and unmounts it. */
  kill(): void {
    this.mounts.kill(this.root);
  }

  /** Mounts another directory in its place, which contains a file. */
  other(path: string, text: string): void {
    const other = this.dir.join("other");
    Deno.mkdirSync(dirname(`${other}/${path}`), { recursive: true });
    Deno.writeTextFileSync(`${other}/${path}`, text);
    this.mount(other);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.mounts[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Opens a partial upload, and sends the rest. */
async function goOn(storage: FsStorage): Promise<void> {
  const options = { size: LARGE.length, algorithm: "md5" } as const;
  await using pending = await resume(storage, "large", options);
  assertEquals(pending?.prefix?.size, KEPT);
  await pending!.write(LARGE.subarray(KEPT));
  await pending!.commit({ checksum: md5(LARGE), replace: false });
}

for (const [kind, needs] of Object.entries(KINDS)) {
  for (const how of kind === "overlay" ? ["unmount"] as const : ["unmount", "kill"] as const) {
    for (const seen of [true, false]) {
      testWithMount(
        `FsStorage goes on by a new mount of ${kind} (${how}${seen ? "" : ", not noticed"})`,
        async () => {
          await using f = new Fixture(kind as keyof typeof KINDS);
          await put(f.storage, "known", "x");
          await keepPartial(f.storage, "large", LARGE, KEPT);
          for (let round = 0; round < 2; round++) {
            f[how]();
            if (seen) await assertCode("io", () => f.storage.stat(name("known")));
            f.mount();
            assertEquals(await textOf(f.storage, "known"), "x");
            assertEquals((await partials(f.storage)).map(({ received }) => received), [KEPT]);
            await put(f.storage, `d/${round}`, "new");
            await f.storage.move(name(`d/${round}`), name(`${round}`), { replace: false });
            assertEquals(Deno.readTextFileSync(`${f.root}/${round}`), "new");
          }
          await goOn(f.storage);
          assertEquals(Deno.readFileSync(`${f.store}/large`), LARGE);
          assertEquals(f.told, ["lost", "back", "lost", "back"]);
          await f.storage[Symbol.asyncDispose]();
          const own = filesBelow(f.store).filter((path) => path.startsWith(".ferry/"));
          const left = own.filter((path) => /leases|staging/.test(path));
          // A file that was just open may remain until the file system has been told that it is closed.
          assertEquals(left.filter((path) => !isRemovedName(basename(path))), []);
        },
        needs,
      );
    }
  }
}

testWithMount(
  "FsStorage takes no directory for a file system of its own where the program of all has ended",
  async () => {
    await using f = new Fixture();
    f.unmount();
    // Cached attributes make the root seem to exist after its program has ended.
    f.mounts.at(f.root, "bindfs", "-o", "attr_timeout=3600,entry_timeout=0", f.store);
    assertEquals(await textOf(f.storage, "d/file"), "root/d/file");
    Deno.statSync(f.root);
    f.mounts.end(f.root);
    await assertCode("io", () => f.storage.stat(name("d")));
    f.unmount();
    f.mount();
    assertEquals(await textOf(f.storage, "d/file"), "root/d/file");
  },
  FUSE,
);

for (const how of ["unmount", "kill"] as const) {
  testWithMount(
    `FsStorage acknowledges nothing that began by an earlier mount (${how})`,
    async () => {
      await using f = new Fixture("bindfs", { quota: 20_000_000 });
      await keepPartial(f.storage, "large", LARGE, KEPT);
      const begun = await begin(f.storage, "begun", "x");
      await using written = await f.storage.create(name("written"), { size: 2 });
      const options = { size: LARGE.length, algorithm: "md5" } as const;
      const resumed = (await resume(f.storage, "large", options))!;
      const entries = f.storage.list("", { recursive: true });
      await entries.next();
      f[how]();
      f.mount();
      await put(f.storage, "later", "x");
      for (
        const go of [
          () => begun.commit({ checksum: md5("x"), replace: false }),
          () => written.write(new Uint8Array(1)),
          () => resumed.write(LARGE.subarray(KEPT)),
          () => resumed.checkpoint({ size: KEPT, md5: "0".repeat(32) }),
        ]
      ) {
        const { message } = await assertCode("busy", go);
        assertStringIncludes(message, "mounted anew");
      }
      resumed.keep();
      await begun[Symbol.asyncDispose]();
      await resumed[Symbol.asyncDispose]();
      // A listing that the old mount still returns contains no files of ferry.
      const names: string[] = [];
      try {
        for await (const { filename } of entries) names.push(filename);
      } catch (error) {
        assert(error instanceof FerryError && ["busy", "io"].includes(error.code), `${error}`);
      }
      assertEquals(names.filter((name) => name.startsWith(".ferry")), []);
      assertEquals(await f.storage.find(name("begun")), undefined);
      assertEquals(await f.storage.find(name("written")), undefined);
      await goOn(f.storage);
      // Everything is counted once in the quota.
      await assertCode("quota", () => f.storage.assertFits(name("n"), 11_500_000));
      await f.storage.assertFits(name("n"), 10_900_000);
    },
    FUSE,
  );
}

testWithMount(
  "FsStorage goes on after a mount that was gone for longer than a lease lasts",
  async () => {
    await using f = new Fixture();
    f.kill();
    f.mount();
    using clock = new Clock();
    clock.ahead += 60_000;
    await put(f.storage, "new", "x");
    assertEquals(await textOf(f.storage, "new"), "x");
  },
  FUSE,
);

testWithMount("FsStorage tells no checksum that it knew by an earlier mount", async () => {
  await using f = new Fixture();
  const time = new Date("2020-01-02T03:04:05Z");
  for (const [text, at] of [["one", 1], ["two", 2]] as const) {
    await put(f.storage, "same", text, { replace: true, mtime: time.getTime() });
    assertEquals(await f.storage.checksum(name("same"), "md5"), md5(text));
    f.unmount();
    Deno.writeTextFileSync(`${f.store}/same`, `${at}..`);
    Deno.utimeSync(`${f.store}/same`, time, time);
    f.mount();
    assertEquals((await f.storage.stat(name("same"))).checksum, null);
    assertEquals(await f.storage.checksum(name("same"), "md5"), md5(`${at}..`));
  }
}, FUSE);

testWithMount(
  "FsStorage takes up the staging areas below a root that was mounted anew",
  async () => {
    await using f = new Fixture();
    const far = `${f.root}/far`;
    f.mounts.tmpfs(`${f.dir.path}/other`);
    const mountFar = () => f.mounts.bind(f.dir.join("other"), far);
    mountFar();
    await keepPartial(f.storage, "far/large", LARGE, KEPT);
    f.mounts.unmount(far);
    f.unmount();
    f.mount();
    assertEquals(await textOf(f.storage, "file"), "root/file");
    await assertCode("io", () => f.storage.stat(name("far/x")));
    mountFar();
    await put(f.storage, "far/x", "x");
    assertEquals((await partials(f.storage)).map(({ received }) => received), [KEPT]);
    await f.storage[Symbol.asyncDispose]();
    f.mounts.unmount(far);
  },
  FUSE,
);

/** What may be at the path of a root that is gone: another directory. */
const OTHERS: Readonly<Record<string, (f: Fixture) => void>> = {
  "an empty mount point": () => {},
  "another directory": (f) => {
    f.other("file", "other");
  },
  "the root of another ferryd": (f) => {
    f.other(".ferry/leases/9d1b6c1e-3f0f-4c41-9f0f-0d4b1f0f2f11", "{}");
  },
  "the root without .ferry": (f) => {
    Deno.removeSync(`${f.store}/.ferry`, { recursive: true });
    f.mount();
  },
  "a copy that was made long ago": (f) => {
    const [lease] = filesBelow(`${f.store}/.ferry/leases`);
    const path = `${f.store}/.ferry/leases/${lease}`;
    const said = JSON.parse(Deno.readTextFileSync(path));
    f.other(`.ferry/leases/${lease}`, JSON.stringify({ ...said, beat: said.beat - 6 }));
  },
  "a record of other numbers": (f) => {
    const [lease] = filesBelow(`${f.store}/.ferry/leases`);
    const said = JSON.parse(Deno.readTextFileSync(`${f.store}/.ferry/leases/${lease}`));
    f.other(`.ferry/leases/${lease}`, JSON.stringify({ ...said, inode: "1:2" }));
  },
};

for (const [what, arrange] of Object.entries(OTHERS)) {
  testWithMount(`FsStorage does not take ${what} for its root`, async () => {
    await using f = new Fixture();
    f.kill();
    arrange(f);
    const before = filesBelow(f.root);
    for (const [operation, run] of Object.entries(OPERATIONS)) {
      const { message } = await assertCode("io", () => run(f.storage)).catch((error) => {
        throw new Error(`${operation}: ${error.message}`);
      });
      assertStringIncludes(message, "not where it was", operation);
    }
    assertEquals(filesBelow(f.root), before);
    assertEquals(f.told, ["lost"]);
  }, FUSE);
}

testWithMount("FsStorage leaves a root that another ferryd serves meanwhile", async () => {
  await using f = new Fixture();
  await keepPartial(f.storage, "large", LARGE, KEPT);
  f.kill();
  f.mount();
  {
    using _clock = new Clock();
    await using other = FsStorage.open(f.root);
    await assertCode("io", () => f.storage.stat(name("file")));
    await assertCode("io", () => put(f.storage, "file", "mine", { replace: true }));
    await goOn(other);
  }
  // The other storage has taken over the state directory, so the first one knows nothing here.
  await assertCode("io", () => f.storage.stat(name("file")));
}, FUSE);

testWithMount("FsStorage leaves a root that another ferryd is about to serve", async () => {
  await using f = new Fixture();
  f.kill();
  f.mount();
  const other = `${f.store}/.ferry/leases/9d1b6c1e-3f0f-4c41-9f0f-0d4b1f0f2f11`;
  Deno.writeTextFileSync(other, JSON.stringify({ version: 1, inode: "1:2", boot: 1, beat: 1 }));
  const { message } = await assertCode("io", () => f.storage.stat(name("file")));
  assertMatch(message, /mounted anew and cannot be served: another ferryd serves it/);
  // The other server was refused in turn, since this one still had a lease.
  Deno.removeSync(other);
  assertEquals(await textOf(f.storage, "file"), "root/file");
  assertEquals(f.told, ["lost", "back"]);
}, FUSE);

testWithMount("FsStorage goes on by the new mount when there is room for that", async () => {
  await using f = new Fixture();
  f.unmount();
  f.mount();
  const { mkdirSync } = Deno;
  Deno.mkdirSync = () => {
    throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  };
  try {
    const { message } = await assertCode("io", () => f.storage.stat(name("file")));
    assertMatch(message, /cannot be served: no space left/);
  } finally {
    Deno.mkdirSync = mkdirSync;
  }
  await put(f.storage, "new", "x");
  assertEquals(f.told, ["lost", "back"]);
}, FUSE);

/** Operations that may succeed from the kernel's cache, for the second in which it remembers the root. */
const REMEMBERED = [
  "assertServing",
  "stat of the root",
  "resume",
  "list of partial uploads",
  "discard",
  "expire",
];

for (const [operation, run] of Object.entries(OPERATIONS)) {
  if (REMEMBERED.includes(operation)) continue;
  testWithMount(
    `FsStorage says that the file system is gone right behind it: ${operation}`,
    async () => {
      await using f = new Fixture("bindfs", { durability: "none" });
      f.mounts.end(f.root);
      const { message } = await assertCode("io", () => run(f.storage));
      assertMatch(message, /the file system has gone/);
      f.unmount();
    },
    FUSE,
  );
}

testWithMount("FsStorage says that the file system is gone in the middle of it", async () => {
  await using f = new Fixture("bindfs");
  await put(f.storage, "large", LARGE);
  await using begun = await begin(f.storage, "begun", "x");
  const { partialUploads } = f.storage;
  await using written = await partialUploads.create(name("written"), { size: LARGE.length });
  await using file = await f.storage.open(name("large"), "md5");
  await file.read(new Uint8Array(1));
  f.mounts.end(f.root);
  for (
    const go of [
      () => begun.commit({ checksum: md5("x"), replace: false }),
      () => written.write(LARGE),
      () => written.checkpoint({ size: 1, md5: "0".repeat(32) }),
      async () => {
        const into = new Uint8Array(1_000_000);
        while (await file.read(into));
        await file.assertUnchanged?.();
      },
    ]
  ) {
    const { message } = await assertCode("io", go);
    assertMatch(message, /^the file system has gone/);
  }
  f.unmount();
}, FUSE);

testWithMount("ferryd says when its directory is gone and by a new mount back", async () => {
  await using dir = new TempDir();
  await using mounts = new Mounts();
  const [store, root] = [dir.join("store"), dir.join("root")];
  mounts.bindfs(store, root);
  await using server = await Ferryd.start(root);
  const ask = (...args: string[]) => ferry([...args, "--retries", "0"], { server: server.address });
  const large = new Uint8Array(24_000_000).fill(7);
  dir.write("large", large);
  const cut = ferry(["put", dir.join("large"), "--limit-rate", "8M", "--retries", "0"], {
    server: server.address,
  });
  while (!stagedIn(store).some((name) => name.endsWith(".json"))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  mounts.end(root);
  const { code, stderr } = await cut;
  assertEquals(code, 1, stderr);
  assertMatch(stderr, /the file system has gone.* \(on the server/);
  mounts.unmount(root);
  assertEquals((await ask("ping")).code, 1);
  assertStringIncludes((await ask("ls")).stderr, "not where it was");
  mounts.bindfs(store, root);
  const again = await ask("put", dir.join("large"), "--json");
  assertEquals(again.code, 0, again.stderr);
  assertMatch(again.stdout + again.stderr, /resumed/);
  assertEquals(Deno.readFileSync(`${store}/large`), large);
  const log = (await server.stop()).stderr;
  assertEquals(log.match(/Nothing is served until it is back/g)?.length, 1, log);
  assertEquals(log.match(/files are served again/g)?.length, 1, log);
  // The warning is logged only at the start.
  assertEquals(log.match(/names may be lost here/g)?.length, 1, log);
}, FUSE);

testWithMount("ferryd says what a new mount of its directory keeps less", async () => {
  await using dir = new TempDir();
  await using mounts = new Mounts();
  const [store, root] = [dir.join("store"), dir.join("root")];
  mounts.bind(store, root);
  await using server = await Ferryd.start(root);
  const ask = () => ferry(["ls", "--retries", "0"], { server: server.address });
  assertEquals((await ask()).code, 0);
  mounts.unmount(root);
  mounts.bindfs(store, root);
  assertEquals((await ask()).code, 0);
  assertEquals((await ask()).code, 0);
  const log = (await server.stop()).stderr;
  assertMatch(log, /names may be lost here/);
}, FUSE);
