/**
 * What a storage counts for its quota: whatever is done, it is what is counted when the storage is opened
 * again, and that is the bytes of the regular files below its root, each once, and of the parts that are kept.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { stagedIn, TempDir } from "../../support/programs.ts";
import fc from "../../support/properties.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5 } from "../../support/bytes.ts";
import { namesIn } from "../../support/directories.ts";
import { begin, keepPartial, partials, put, resume } from "../../support/stored_files.ts";

const QUOTA = 1 << 20;

/** How much is in use: what is not is the largest file that would fit. */
async function used(storage: Storage): Promise<number> {
  let [fits, tooMuch] = [-1, QUOTA + 1];
  while (tooMuch - fits > 1) {
    const size = (fits + tooMuch) >> 1;
    try {
      await storage.assertFits(name("asked"), size);
      fits = size;
    } catch (error) {
      if (!(error instanceof FerryError) || error.code !== "quota") throw error;
      tooMuch = size;
    }
  }
  return QUOTA - fits;
}

/** The bytes of all files below a path but ferry's own, each counted once. */
function stored(path: string): number {
  const seen = new Map<string, number>();
  const look = (path: string, isRoot = false) => {
    for (const { name } of Deno.readDirSync(path)) {
      if (isRoot && name === ".ferry") continue;
      const { isFile, isDirectory, dev, ino, size } = Deno.lstatSync(`${path}/${name}`);
      if (isFile) seen.set(`${dev}:${ino}`, size);
      if (isDirectory) look(`${path}/${name}`);
    }
  };
  look(path, true);
  return [...seen.values()].reduce((sum, size) => sum + size, 0);
}

/** The directories of the staged trees of a root. */
function treesIn(root: string): string[] {
  const staging = `${root}/.ferry/staging`;
  return namesIn(staging).flatMap((area) =>
    namesIn(`${staging}/${area}`).map((name) => `${staging}/${area}/${name}`)
  )
    .filter((path) => path.endsWith(".tree"));
}

class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  storage: FsStorage;

  constructor() {
    Deno.mkdirSync(this.root);
    this.storage = this.#open();
  }

  #open(): FsStorage {
    return FsStorage.open(this.root, { durability: "none", quota: QUOTA });
  }

  path(name: string): string {
    return `${this.root}/${name}`;
  }

  /** Another program does something while the storage is closed. */
  async reopen(between: () => void = () => {}): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    try {
      between();
    } finally {
      this.storage = this.#open();
    }
  }

  /** Holds that the account is right, now and when it is made anew. */
  async assertRight(message?: string): Promise<void> {
    const parts = (await partials(this.storage)).reduce((sum, { received }) => sum + received, 0);
    const expected = stored(this.root) + parts;
    assertEquals(await used(this.storage), expected, message);
    await this.reopen();
    assertEquals(await used(this.storage), expected, `${message}, opened again`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** What is there at first: `a` of 1000 bytes, `d/b` of 200, and links to them. */
const LINKS: Record<string, (f: Fixture) => void> = {
  "a link to it": (f) => Deno.symlinkSync("a", f.path("link")),
  "another name of it": (f) => Deno.linkSync(f.path("a"), f.path("link")),
  "another name of it outside": (f) => Deno.linkSync(f.path("a"), f.dir.join("link")),
  "other names of it inside and outside": (f) => {
    for (const path of [f.path("link"), f.path("d/e"), f.dir.join("link")]) {
      Deno.linkSync(f.path("a"), path);
    }
  },
  "a link to the directory": (f) => Deno.symlinkSync("d", f.path("link")),
};

const ACTIONS: Record<string, (storage: Storage) => Promise<unknown>> = {
  "remove() of it": (s) => s.remove(name("a"), { recursive: false }),
  "remove() of the other": (s) => s.remove(name("link"), { recursive: true }),
  "remove() of both": async (s) => {
    await s.remove(name("a"), { recursive: false });
    await s.remove(name("link"), { recursive: true });
  },
  "remove() of the directory": (s) => s.remove(name("d"), { recursive: true }),
  "put over it": (s) => put(s, "a", "new", { replace: true }),
  "put over the other": (s) => put(s, "link", "new", { replace: true }),
  "move() of it over the other": (s) => s.move(name("a"), name("link"), { replace: true }),
  "move() of the other over it": (s) => s.move(name("link"), name("a"), { replace: true }),
  "move() onto itself": (s) => s.move(name("a"), name("a"), { replace: true }),
  "move() onto itself by way of a link": (s) =>
    s.move(name("d/b"), name("link/b"), { replace: true }),
  "move() over a file": (s) => s.move(name("a"), name("d/b"), { replace: true }),
  "move() of it with keep": (s) => s.move(name("a"), name("d/new"), { replace: false, keep: true }),
  "move() of the other with keep": (s) =>
    s.move(name("link"), name("d/new"), { replace: false, keep: true }),
  "move() over nothing": (s) => s.move(name("a"), name("d/new"), { replace: false }),
};

for (const [links, link] of Object.entries(LINKS)) {
  Deno.test(`FsStorage counts a file with ${links} as what it is`, async (t) => {
    for (const [turn, [action, act]] of Object.entries(ACTIONS).entries()) {
      await t.step(action, async () => {
        await using f = new Fixture();
        await put(f.storage, "a", "x".repeat(1000));
        await put(f.storage, "d/b", "x".repeat(200));
        await f.reopen(() => link(f));
        // The same in front of each action.
        if (turn === 0) await f.assertRight("before");
        // What is refused changes nothing.
        await act(f.storage).catch((error) => {
          if (!(error instanceof FerryError) || error.code === "internal") throw error;
        });
        await f.assertRight("after");
      });
    }
  });
}

Deno.test("FsStorage.move() of a file over another name of it leaves the new name alone", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "content");
  Deno.linkSync(f.path("a"), f.path("b"));
  await assertCode("exists", () => f.storage.move(name("a"), name("b"), { replace: false }));
  await f.storage.move(name("a"), name("b"), { replace: true });
  assertEquals([...Deno.readDirSync(f.root)].map(({ name }) => name).sort(), [".ferry", "b"]);
  assertEquals(await f.storage.checksum(name("b"), "md5"), md5("content"));
});

Deno.test("FsStorage counts each file of a tree that is removed, and what stays of it", async () => {
  await using f = new Fixture();
  for (const path of ["d/a", "d/e/b", "c"]) await put(f.storage, path, path.repeat(100));
  await f.reopen(() => {
    Deno.symlinkSync("../c", f.path("d/link"));
    Deno.symlinkSync("..", f.path("d/up"));
    Deno.linkSync(f.path("c"), f.path("d/e/c"));
  });
  // Ferry's own directory cannot be removed.
  Deno.renameSync(f.path(".ferry"), f.path("d/e/moved"));
  await assertCode("denied", () => f.storage.remove(name("d"), { recursive: true }));
  assertEquals(await used(f.storage), 100);
  Deno.renameSync(f.path("d/e/moved"), f.path(".ferry"));
  await f.assertRight();
});

Deno.test("FsStorage counts parts, until they expire or turn out to be worth nothing", async () => {
  await using f = new Fixture();
  const bytes = new Uint8Array(300_000).fill(7);
  await keepPartial(f.storage, "f", bytes, 128_000);
  await f.assertRight("kept");
  // Damaged, and written before the system was started: it is read, and is not what it should be.
  await f.reopen(() => {
    for (const name of stagedIn(f.root)) {
      const path = f.path(`.ferry/staging/${name}`);
      if (name.endsWith(".part")) Deno.writeFileSync(path, new Uint8Array(128_000));
      else {Deno.writeTextFileSync(
          path,
          Deno.readTextFileSync(path).replace(/"boot":\d+/, '"boot":1'),
        );}
    }
  });
  assertEquals(await used(f.storage), 128_000);
  const options = { size: bytes.length, algorithm: "md5" } as const;
  assertEquals(await resume(f.storage, "f", options), undefined);
  assertEquals(await used(f.storage), 0);
  await keepPartial(f.storage, "f", bytes, 64_000);
  await f.storage.partialUploads.expire(-1);
  await f.assertRight("expired");
});

Deno.test("FsStorage counts nothing of a commit that fails", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "old");
  {
    await using pending = await begin(f.storage, "a", "new and long");
    await assertCode(
      "exists",
      () => pending.commit({ checksum: md5("new and long"), replace: false }),
    );
  }
  await f.assertRight();
});

Deno.test("FsStorage with a quota lets writers wait until all is counted", async () => {
  await using f = new Fixture();
  await f.reopen(() => {
    for (let i = 0; i < 500; i++) Deno.writeTextFileSync(f.path(`f${i}`), "x".repeat(2000));
  });
  await assertCode("quota", () => begin(f.storage, "new", "x".repeat(QUOTA - 500 * 2000 + 1)));
  await put(f.storage, "new", "x".repeat(QUOTA - 500 * 2000));
  await f.assertRight();
});

Deno.test("FsStorage counts right where staged trees expire when it is opened", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "x".repeat(1000));
  for (const directory of ["c", "d", "e"]) {
    await using tree = await f.storage.stagedTrees.begin(name(directory), { owner: "" });
    await using write = await tree.create(name(`${directory}/a`), { size: 100 });
    await write.write(new Uint8Array(100));
    await write.commit({ checksum: md5(new Uint8Array(100)), replace: false });
  }
  await f.reopen(() => {
    for (let i = 0; i < 500; i++) Deno.writeTextFileSync(f.path(`f${i}`), "x");
  });
  await f.storage.stagedTrees.expire(-1);
  await f.assertRight();
});

Deno.test("FsStorage counts what is there where another program removes a staged tree", async () => {
  await using f = new Fixture();
  await put(f.storage, "a", "x".repeat(1000));
  for (const directory of ["c", "d"]) {
    await using tree = await f.storage.stagedTrees.begin(name(directory), { owner: "" });
    await tree.mkdir(name(`${directory}/e`));
  }
  await f.reopen();
  for (const path of treesIn(f.root)) Deno.removeSync(path, { recursive: true });
  await f.assertRight();
});

/** One step of a random sequence. */
type Step =
  | { what: "put"; name: string; size: number; replace: boolean }
  | { what: "part"; name: string; size: number }
  | { what: "move"; name: string; to: string; replace: boolean }
  | { what: "remove" | "mkdir" | "resume"; name: string }
  | { what: "hard" | "soft"; name: string; to: string }
  | { what: "expire" };

const names = fc.constantFrom("a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a");

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant("put" as const),
    name: names,
    size: fc.nat(2000),
    replace: fc.boolean(),
  }),
  fc.record({ what: fc.constant("part" as const), name: names, size: fc.constantFrom(640, 6400) }),
  fc.record({
    what: fc.constant("move" as const),
    name: names,
    to: names,
    replace: fc.boolean(),
  }),
  fc.record({ what: fc.constantFrom("remove" as const, "mkdir", "resume"), name: names }),
  fc.record({ what: fc.constantFrom("hard" as const, "soft"), name: names, to: names }),
  fc.record({ what: fc.constant("expire" as const) }),
);

async function take(f: Fixture, step: Step): Promise<void> {
  const { storage } = f;
  switch (step.what) {
    case "put":
      await put(storage, step.name, "x".repeat(step.size), { replace: step.replace });
      break;
    case "part":
      await keepPartial(storage, step.name, new Uint8Array(10_000), step.size);
      break;
    case "resume": {
      const options = { size: 10_000, algorithm: "md5" } as const;
      const pending = await resume(storage, step.name, options);
      await pending?.[Symbol.asyncDispose]();
      break;
    }
    case "move":
      await storage.move(name(step.name), name(step.to), { replace: step.replace });
      break;
    case "remove":
      await storage.remove(name(step.name), { recursive: true });
      break;
    case "mkdir":
      await storage.mkdir(name(step.name));
      break;
    case "expire":
      await storage.partialUploads.expire(-1);
      break;
    case "hard":
      await f.reopen(() => Deno.linkSync(f.path(step.name), f.path(step.to)));
      break;
    case "soft":
      await f.reopen(() => Deno.symlinkSync(f.path(step.name), f.path(step.to)));
  }
}

Deno.test("FsStorage counts what is stored, whatever is done", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 25 }), async (steps) => {
      await using f = new Fixture();
      for (const step of steps) {
        // What another program could not link, or what is refused, changes nothing.
        await take(f, step).catch((error) => {
          const { code } = toFerryError(error);
          if (code === "internal") throw error;
        });
      }
      await f.assertRight();
    }),
    { numRuns: 30 },
  );
});
