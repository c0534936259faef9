/**
 * `ferry` with a `ferryd` that keeps its files in a bucket of a real object store, where something goes wrong.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type BucketRootArgs, bucketRootArgs } from "../support/bucket_root.ts";
import { md5, MIB } from "../support/bytes.ts";
import { CEPH, CEPH_ON_DISK, cephAdmin } from "../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../support/engines/engine.ts";
import { ferry, Ferryd, type Outcome, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import { RawBucket } from "../support/raw_bucket.ts";
import { randomBytes } from "../support/random_file.ts";
import { Scrape } from "../support/scrape.ts";

/** Starts a server over a bucket. */
function start({ root, args, env }: BucketRootArgs, more: string[] = []): Promise<Ferryd> {
  return Ferryd.start(root, [...args, ...more], { env });
}

/** How many parts the record of the one partial upload has. */
async function partsIn(raw: RawBucket): Promise<number> {
  const [key] = await raw.keys(".ferry/uploads/");
  const record = key && await raw.get(key);
  return record ? JSON.parse(new TextDecoder().decode(record)).parts : 0;
}

/** A directory for a client, with a file of several parts. */
class ClientDir extends TempDir {
  readonly large = randomBytes(40 * MIB, 7);

  constructor() {
    super();
    this.write("large", this.large);
    this.write("small", "small\n");
  }

  run(server: Ferryd, ...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.path, server: server.address });
  }

  /** Starts an upload of the large file, and waits until some of it is kept in the bucket. */
  async begun(
    server: Ferryd,
    raw: RawBucket,
    ...more: string[]
  ): Promise<{ ended: Promise<Outcome> }> {
    const args = ["put", "large", "--limit-rate", "4MiB", ...more];
    const ended = outcome(spawnFerry(args, { cwd: this.path, server: server.address }));
    let hasEnded = false;
    void ended.then(() => hasEnded = true);
    while (await partsIn(raw) === 0) {
      assert(!hasEnded, "the upload ended before any part of it was recorded");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { ended };
  }
}

testWithEngine(
  CEPH,
  "a bucket that is deleted while it is served is an error with a code",
  async () => {
    await using engine = await Engine.start(CEPH);
    const bucket = await engine.bucket();
    await using dir = new ClientDir();
    await using server = await start(bucketRootArgs(engine, bucket));
    assertEquals((await dir.run(server, "put", "small")).code, 0);
    await new RawBucket(engine, bucket).remove();
    for (const args of [["ping"], ["ls"], ["put", "small", "--retries", "0"], ["get", "small"]]) {
      const { code, stderr } = await dir.run(server, ...args);
      assert(code !== 0, args.join(" "));
      assertMatch(stderr, /^ferry: [^\n]*\n$/, args.join(" "));
      assert(!/\bat .*\.ts:/.test(stderr));
    }
    assertMatch((await dir.run(server, "ping")).stderr, /bucket/);
  },
);

testWithEngine(
  CEPH,
  "keys that are revoked are an error, and new ones in the file are used",
  async () => {
    await using engine = await Engine.start(CEPH);
    const bucket = await engine.bucket();
    await using dir = new ClientDir();
    const keys = (id: string, secret: string) =>
      dir.write(
        "keys",
        `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`,
      );
    const { root, args } = bucketRootArgs(engine, bucket);
    const env = {
      AWS_SHARED_CREDENTIALS_FILE: keys(engine.accessKeyId, engine.secretAccessKey),
      AWS_ACCESS_KEY_ID: "",
      AWS_SECRET_ACCESS_KEY: "",
    };
    await using server = await start({ root, args, env });
    assertEquals((await dir.run(server, "put", "small")).code, 0);
    const next = { id: "NEXTKEY0000000000000", secret: "next-secret-of-these-tests" };
    const key = (id: string, ...more: string[]) => ["--uid=test", `--access-key=${id}`, ...more];
    await cephAdmin(engine, "key", "create", ...key(next.id, `--secret-key=${next.secret}`));
    await cephAdmin(engine, "key", "rm", ...key(engine.accessKeyId));
    const refused = await dir.run(server, "get", "small", "--out", "-", "--retries", "0");
    assert(refused.code !== 0);
    assertMatch(refused.stderr, /^ferry: [^\n]*\n$/);
    keys(next.id, next.secret);
    const { code, stdout, stderr } = await dir.run(server, "get", "small", "--out", "-");
    assertEquals([code, stdout], [0, "small\n"], stderr);
    const { stderr: log } = await server.stop();
    for (const secret of [engine.secretAccessKey, next.secret]) {
      assert(![refused.stderr, stderr, log].some((text) => text.includes(secret)));
    }
  },
);

testWithEngine(
  CEPH_ON_DISK,
  "a store that dies in the middle is waited for, and nothing is lost",
  async () => {
    await using engine = await Engine.start(CEPH_ON_DISK);
    const bucket = await engine.bucket();
    const raw = new RawBucket(engine, bucket);
    await using dir = new ClientDir();
    await using server = await start(bucketRootArgs(engine, bucket));
    const { ended } = await dir.begun(server, raw, "--retries", "20");
    await engine.kill("rgw", "osd");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await engine.restart();
    const { code, stderr } = await ended;
    assertEquals(code, 0, stderr);
    assertEquals(md5((await raw.get("large"))!), md5(dir.large));
  },
);

testWithEngine(
  CEPH,
  "an upload goes on through another server after kill -9 of the first",
  async () => {
    const engine = await Engine.shared(CEPH);
    const bucket = await engine.bucket();
    const raw = new RawBucket(engine, bucket);
    await using dir = new ClientDir();
    await using one = await start(bucketRootArgs(engine, bucket));
    await using two = await start(bucketRootArgs(engine, bucket), ["--metrics", "127.0.0.1:0"]);
    const { ended } = await dir.begun(one, raw, "--retries", "0");
    await one.stop("SIGKILL");
    assertEquals((await ended).code, 6);
    const metrics = two.listening.get("metrics")!;
    const scrape = await Scrape.until(metrics, (scrape) => {
      return scrape.value("ferry_partial_uploads") !== undefined;
    });
    assertEquals(scrape.value("ferry_partial_uploads"), 1);
    assert(scrape.value("ferry_partial_upload_bytes")! > 0);
    assertEquals(scrape.value("ferry_staged_directories"), undefined);
    assertEquals(await raw.get("large"), undefined);
    const { code, stdout, stderr } = await dir.run(
      two,
      "put",
      "large",
      "--json",
      "--retries",
      "20",
    );
    assertEquals(code, 0, stderr);
    const done = stdout.trim().split("\n").map((line) => JSON.parse(line))
      .find(({ event }) => event === "done");
    assert(done.resumed_from > 0, stdout);
    assertEquals(md5((await raw.get("large"))!), md5(dir.large));
    assertEquals(await raw.uploads(), []);
    assertEquals(await raw.keys(".ferry/uploads/"), []);
  },
);

testWithEngine(
  CEPH,
  "a tree moves from a directory server to a bucket server and back",
  async () => {
    const engine = await Engine.shared(CEPH);
    const bucket = await engine.bucket();
    await using dir = new ClientDir();
    Deno.mkdirSync(dir.join("tree/a/ü b"), { recursive: true });
    for (const [at, name] of ["x", "a/y", "a/ü b/z"].entries()) {
      dir.write(`tree/${name}`, randomBytes(100_000 * at, at));
      Deno.utimeSync(dir.join(`tree/${name}`), 1_700_000_000, 1_700_000_000 + at);
      Deno.chmodSync(dir.join(`tree/${name}`), 0o640 + at);
    }
    await using directory = await Ferryd.start(dir.join("tree"));
    await using server = await start(bucketRootArgs(engine, bucket));
    const sums = async (root: string) => {
      const { stdout } = await new Deno.Command("sh", {
        args: [
          "-c",
          "find . -path ./.ferry -prune -o -type f -printf '%P %m %T@ ' -exec md5sum '{}' ';' | sort",
        ],
        cwd: root,
      }).output();
      return new TextDecoder().decode(stdout);
    };
    const ok = async (on: Ferryd, ...args: string[]) => {
      const { code, stdout, stderr } = await dir.run(on, ...args);
      assertEquals(code, 0, stderr);
      return stdout + stderr;
    };
    // As docs/object_stores.md says: by way of a local directory.
    await ok(directory, "get", ".", "-p", "--out", "copy");
    await ok(server, "put", "copy/x", "copy/a", "-p");
    const again = await ok(server, "put", "copy/x", "copy/a", "-p", "--overwrite", "newer");
    assertStringIncludes(again, "0 transferred (0 B), 3 unchanged");
    await ok(server, "get", ".", "-p", "--out", "back");
    assertEquals(await sums(dir.join("back")), await sums(dir.join("tree")));
  },
);

testWithEngine(
  CEPH,
  "receipts and verification hold over a bucket, also of what came in pieces or as a delta",
  async () => {
    const engine = await Engine.shared(CEPH);
    const bucket = await engine.bucket();
    const raw = new RawBucket(engine, bucket);
    await using dir = new ClientDir();
    await using server = await start(bucketRootArgs(engine, bucket));
    const receipts = (path: string) =>
      Deno.readTextFileSync(dir.join(path)).trim().split("\n").map((line) => JSON.parse(line))
        .map(({ filename, digests, durability }) => [filename, digests.md5, durability]);
    const first = md5(dir.large);
    const put = await dir.run(server, "put", "large", "small", "--streams", "4", "--receipt", "r");
    assertEquals(put.code, 0, put.stderr);
    const small = ["small", md5("small\n"), "full"];
    assertEquals(receipts("r"), [["large", first, "full"], small]);
    dir.large.set(randomBytes(500, 8), 20 * MIB);
    dir.write("large", dir.large);
    const options = ["--overwrite", "different", "-z", "--json", "--receipt", "next"];
    const changed = await dir.run(server, "put", "large", "small", ...options);
    assertEquals(changed.code, 0, changed.stderr);
    const events = changed.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert(events.find(({ filename }) => filename === "large").bytes_reused > 0, changed.stdout);
    assertEquals(receipts("next"), [["large", md5(dir.large), "full"], small]);
    const sums = `${md5(dir.large)}  large\n${md5("small\n")}  small\n`;
    for (const what of [["--receipt", "next"], ["large", "small"], ["."]]) {
      const { code, stdout, stderr } = await dir.run(server, "verify", ...what);
      assertEquals([code, stdout], [0, sums], stderr);
    }
    const old = await dir.run(server, "verify", "--receipt", "r");
    assertEquals([old.code, old.stdout], [7, `${md5("small\n")}  small\n`]);
    assertMatch(old.stderr, /Cannot verify "large": it was changed since the receipt of/);
    await raw.put("small", new TextEncoder().encode("SMALL\n"));
    const replaced = await dir.run(server, "verify", "--receipt", "next");
    assertEquals([replaced.code, replaced.stdout], [7, `${md5(dir.large)}  large\n`]);
    assertMatch(replaced.stderr, /Cannot verify "small": it was changed since the receipt of/);
  },
);
