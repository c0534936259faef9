import { assertEquals, assertStringIncludes } from "@std/assert";
import { Mount, testWithMount } from "../support/mount.ts";
import {
  ferry,
  Ferryd,
  type Outcome,
  outcome,
  spawnFerry,
  stagedIn,
  TempDir,
} from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { MIB } from "../support/bytes.ts";

const FULL = "no space left on the device";

/** A `ferryd` whose root is on a small file system, and a working directory for the client. */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly mount: Mount;
  server!: Ferryd;

  private constructor(options: string) {
    this.mount = new Mount(options);
  }

  static async start(options: string): Promise<Fixture> {
    const fixture = new Fixture(options);
    fixture.server = await Ferryd.start(fixture.mount.path);
    return fixture;
  }

  run(...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.#dir.path, server: this.server.address });
  }

  /** Uploads standard input. */
  async pipe(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Outcome> {
    const options = { server: this.server.address, stdin: "piped" } as const;
    const child = spawnFerry(["put", "-", "--as", name], options);
    // A client whose upload was refused does not read its input to the end.
    await ReadableStream.from([bytes]).pipeTo(child.stdin).catch(() => {});
    return await outcome(child);
  }

  write(name: string, size: number, fill = 1): void {
    const path = this.#dir.join(name);
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, new Uint8Array(size).fill(fill));
  }

  /** Fills the disk, as another program might. */
  fill(): void {
    using file = Deno.openSync(`${this.mount.path}/filler`, { write: true, create: true });
    for (let size = MIB; size >= 1;) {
      try {
        file.writeSync(new Uint8Array(size));
      } catch (error) {
        if ((error as { code?: string }).code !== "ENOSPC") throw error;
        size /= 2;
      }
    }
  }

  /** All files below the root except those of ferry and the filler, with their sizes. */
  files(directory = ""): Record<string, number> {
    const found: [string, number][] = [];
    for (const { name, isDirectory } of Deno.readDirSync(this.mount.path + directory)) {
      const path = `${directory}/${name}`;
      if (path === "/.ferry" || path === "/filler") continue;
      if (isDirectory) found.push(...Object.entries(this.files(path)));
      else found.push([path, Deno.statSync(this.mount.path + path).size]);
    }
    return Object.fromEntries(found.sort());
  }

  staged(): string[] {
    return stagedIn(this.mount.path);
  }

  /** Stops the server, which must not have logged an unexpected error. */
  async assertForeseen(): Promise<void> {
    const { code, stderr } = await this.server.stop();
    assertEquals([code, stderr.includes("internal")], [0, false], stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.mount[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

testWithMount("ferry put onto a full disk is no_space, and leaves nothing behind", async () => {
  await using f = await Fixture.start("size=4m");
  f.write("kept", MIB);
  assertEquals((await f.run("put", "kept")).code, 0);
  f.write("announced", 20 * MIB);
  f.write("large", 6 * MIB);
  for (const name of ["announced", "large"]) {
    const { code, stderr } = await f.run("put", name);
    assertEquals([code, stderr], [5, `ferry: Cannot put "${name}": ${FULL} (on the server)\n`]);
    assertEquals(f.staged(), []);
  }
  const piped = await f.pipe("piped", new Uint8Array(6 * MIB));
  assertEquals([piped.code, piped.stderr], [
    5,
    `ferry: Cannot put "piped": ${FULL} (on the server)\n`,
  ]);
  assertEquals(f.staged(), []);
  assertEquals(f.files(), { "/kept": MIB });
  // The space is free again at once.
  f.write("small", 2 * MIB);
  assertEquals((await f.run("put", "small")).code, 0);
  assertEquals(f.files(), { "/kept": MIB, "/small": 2 * MIB });
  await f.assertForeseen();
});

testWithMount(
  "ferry put of a directory stores what there is room for, and the rest later",
  async () => {
    await using f = await Fixture.start("size=6m");
    const sizes = { a: 1 * MIB, b: 7 * MIB, c: MIB, "d/e": 1000, "d/f": 2.5 * MIB, "d/g": 1000 };
    for (const [name, size] of Object.entries(sizes)) f.write(`tree/${name}`, size);
    const { code, stderr } = await f.run("put", "tree");
    assertEquals(code, 5);
    assertStringIncludes(stderr, `ferry: Cannot put "tree/b": ${FULL} (on the server)\n`);
    const stored = { "/tree/a": MIB, "/tree/c": MIB, "/tree/d/e": 1000, "/tree/d/g": 1000 };
    const { "/tree/d/f": _maybe, ...surely } = f.files();
    assertEquals(surely, stored);
    assertEquals(f.staged(), []);
    f.mount.resize("16m");
    assertEquals((await f.run("put", "tree")).code, 0);
    assertEquals(f.files(), { ...stored, "/tree/b": 7 * MIB, "/tree/d/f": 2.5 * MIB });
    await f.assertForeseen();
  },
);

testWithMount(
  "an upload during which the disk becomes full is no_space, with its record",
  async () => {
    await using f = await Fixture.start("size=40m");
    using peer = await RawPeer.connect(f.server.port);
    using looker = await RawPeer.connect(f.server.port);
    await peer.send({ op: "put", filename: "large", md5: null, total_size: 32 * MIB });
    await peer.send(new Uint8Array(9 * MIB));
    // At least two checkpoints were recorded by then.
    for (let received = 0; received < 8 * MIB;) {
      await looker.send({ op: "list", parts: true });
      assertEquals((await looker.receive())?.header.status, "ok");
      let text = "";
      for (;;) {
        const { header, body } = (await looker.receive())!;
        if (header.end) break;
        text += new TextDecoder().decode(body);
      }
      received = text === "" ? 0 : JSON.parse(text).received;
    }
    f.fill();
    await peer.send(new Uint8Array(10 * MIB));
    assertEquals(await peer.code(), "no_space");
    assertEquals(f.staged(), []);
    assertEquals(f.files(), {});
    Deno.removeSync(`${f.mount.path}/filler`);
    f.write("large", 32 * MIB);
    assertEquals((await f.run("put", "large")).code, 0);
    await f.assertForeseen();
  },
);

testWithMount("what stores no file works on a full disk", async () => {
  await using f = await Fixture.start("size=2m");
  // Their md5s would be cached if there was space for that.
  for (const name of ["a", "b", "c", "d"]) {
    Deno.writeFileSync(`${f.mount.path}/${name}`, new Uint8Array(100_000));
  }
  f.fill();
  assertEquals((await f.run("get", "a", "--out", "copy")).code, 0);
  const stat = await f.run("stat", "b");
  assertEquals([stat.code, stat.stderr], [0, ""]);
  assertEquals((await f.run("ls", "-R")).code, 0);
  assertEquals((await f.run("mv", "c", "e")).code, 0);
  const refused = await f.run("mkdir", "x/y/z");
  assertEquals([0, 5].includes(refused.code), true, refused.stderr);
  assertEquals((await f.run("rm", "d", "filler")).code, 0);
  assertEquals((await f.run("put", "copy")).code, 0);
  await f.assertForeseen();
});

testWithMount(
  "ferryd starts on a full disk, where room can be made and nothing uploaded",
  async () => {
    await using f = await Fixture.start("size=2m");
    f.write("small", 1);
    await f.server.stop();
    f.fill();
    f.server = await Ferryd.start(f.mount.path);
    const { code, stderr } = await f.run("put", "small");
    assertEquals(code, 5);
    assertStringIncludes(stderr, "the disk was full when ferryd was started");
    assertEquals((await f.run("rm", "filler")).code, 0);
    const log = await f.server.stop();
    assertStringIncludes(log.stderr, "nothing can be uploaded here: the disk was full");
    f.server = await Ferryd.start(f.mount.path);
    assertEquals((await f.run("put", "small")).code, 0);
  },
);

testWithMount("ferry get onto a full disk is no_space, and leaves nothing behind", async () => {
  await using dir = new TempDir();
  await using mount = new Mount("size=4m");
  await using server = await Ferryd.start(dir.path);
  dir.write("large", new Uint8Array(40 * MIB));
  dir.write("mid", new Uint8Array(6 * MIB));
  for (const [name, ...more] of [["large"], ["mid"], ["large", "--streams", "2"]]) {
    const { code, stderr } = await ferry(["get", name!, ...more], {
      cwd: mount.path,
      server: server.address,
    });
    assertEquals([code, stderr], [5, `ferry: Cannot get "${name}": ${FULL} (on this machine)\n`]);
    assertEquals([...Deno.readDirSync(mount.path)], []);
  }
});
