import { assert, assertEquals } from "@std/assert";
import { BufferBudget } from "../../lib/core/buffer_budget.ts";
import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import { parseFileName as name } from "../../lib/core/remote_name.ts";
import { writeRecord } from "../../lib/files/partial_file.ts";
import type { ResumableWrite } from "../../server/storage/storage.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { connect } from "../../mod.ts";
import { eachFailure } from "../support/failing_calls.ts";
import { Ferryd, HOLDS_DIRECTORIES, TempDir, unrecorded } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { md5, MIB } from "../support/bytes.ts";
import { assertCode } from "../support/assertions.ts";
import { keepPartial, partials, put, resume } from "../support/stored_files.ts";

const QUOTA = 40 * MIB;

const bytes = new Uint8Array(300_000).fill(7);
const LARGE = { size: bytes.length, algorithm: "md5" } as const;

/** The total size of all files and partial uploads in a root, counted on disk. */
async function bytesIn(storage: FsStorage, root: string): Promise<number> {
  const files = [...Deno.readDirSync(root)].filter(({ isFile }) => isFile);
  const parts = (await partials(storage, "")).map(({ received }) => received);
  return [...files.map(({ name }) => Deno.statSync(`${root}/${name}`).size), ...parts]
    .reduce((sum, size) => sum + size, 0);
}

/** Asserts that a storage holds no locks: on no partial upload, no bytes of the quota, no name. */
async function assertNothingHeld(storage: FsStorage, root: string): Promise<void> {
  assertEquals((await partials(storage, "")).filter(({ active }) => active), []);
  const left = QUOTA - await bytesIn(storage, root);
  await storage.assertFits(name("more"), left);
  await assertCode("quota", () => storage.assertFits(name("more"), left + 1));
}

const WRITES: Record<string, (storage: FsStorage) => Promise<ResumableWrite | undefined>> = {
  "create()": (storage) => storage.partialUploads.create(name("large"), { size: bytes.length }),
  "resume()": (storage) => resume(storage, "large", LARGE),
};

for (const [what, begin] of Object.entries(WRITES)) {
  for (const ending of ["commit()", "keep()"]) {
    Deno.test(`FsStorage ${what} and ${ending} give everything back, whichever call fails`, async () => {
      await using dir = new TempDir();
      const failed = await eachFailure(async (during) => {
        const root = dir.join(crypto.randomUUID());
        Deno.mkdirSync(root);
        await using storage = FsStorage.open(root, { quota: QUOTA, durability: "full" });
        await keepPartial(storage, "large", bytes, 128_000);
        await during(async () => {
          await using pending = await begin(storage);
          assert(pending, "there is nothing to go on with");
          await pending.write(bytes.subarray(pending.prefix?.size ?? 0));
          await pending.checkpoint({ size: 299_968, md5: "0".repeat(32) });
          if (ending === "keep()") pending.keep();
          if (ending !== "commit()") return;
          await pending.commit({ checksum: md5(bytes), replace: true });
        });
        await assertNothingHeld(storage, root);
        // The next client gets a partial upload or none, without waiting.
        const next = await resume(storage, "large", LARGE);
        await next?.[Symbol.asyncDispose]();
        await put(storage, "large", bytes, { replace: true });
        await assertNothingHeld(storage, root);
      });
      assert(failed.length > 5, `only ${failed}`);
    });
  }
}

Deno.test("FsStorage.open() lets go of a root that it cannot open, whichever call fails", async () => {
  await using dir = new TempDir();
  const failed = await eachFailure(async (during) => {
    await during(async () =>
      await FsStorage.open(dir.path, { quota: QUOTA })[Symbol.asyncDispose]()
    );
    await using storage = FsStorage.open(dir.path);
    await put(storage, "a", "a", { replace: true });
  });
  assert(failed.length > 5, `only ${failed}`);
});

Deno.test("BufferBudget.lend() counts nothing where the system has no memory", () => {
  const budget = new BufferBudget(2 ** 53);
  let failed = false;
  try {
    budget.lend(2 ** 50);
  } catch {
    failed = true;
  }
  assertEquals([failed, budget.left], [true, 2 ** 53]);
});

Deno.test("Client.get() gives its part back, whichever call fails", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("root/large", bytes);
  await using server = await Ferryd.start(dir.join("root"));
  await using client = await connect(server.address, { retries: 0 });
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
  digest.update(bytes.subarray(0, 128_000));
  const record = { filename: "large", size: bytes.length, checksum: null, prefix: digest.save()! };
  const from = new Set<number>();
  const failed = await eachFailure(async (during) => {
    const cwd = dir.join(crypto.randomUUID());
    Deno.mkdirSync(cwd);
    // The partial download of an earlier attempt.
    const part = `${cwd}/.ferry-${md5("large")}.part`;
    Deno.writeFileSync(part, bytes.subarray(0, 128_000));
    writeRecord(part, record);
    const first = await during(() => client.get("large", { out: `${cwd}/large` }));
    if (first) from.add(first.resumedFrom);
    await client.get("large", { out: `${cwd}/large`, overwrite: "always" });
    assertEquals(Deno.readFileSync(`${cwd}/large`), bytes);
    const left = [...Deno.readDirSync(cwd)].map(({ name }) => name);
    assertEquals(left.filter((name) => !name.startsWith(".ferry-")), ["large"]);
    assert(unrecorded(cwd).length <= 1, `${left}`);
  });
  assert(from.has(128_000), "nothing was gone on with");
  assert(failed.length > 5, `only ${failed}`);
});

/** The numbers of the open file descriptors of a process. */
async function descriptorsOf(pid: number): Promise<number[]> {
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").map(Number);
}

/** Limits a process to descriptor numbers below `limit`. */
async function limitDescriptors(pid: number, limit: number): Promise<void> {
  const args = ["--pid", String(pid), `--nofile=${limit}:`];
  const { success } = await new Deno.Command("prlimit", { args }).output();
  assert(success, "prlimit failed");
}

const runsOut = "ferryd gives everything back when it has run out of descriptors in the middle";
Deno.test({ name: runsOut, ignore: !HOLDS_DIRECTORIES }, async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--durability", "none"]);
  const content = new Uint8Array(12 * MIB).fill(5);
  const large = { op: "put", filename: "d/large", size: content.length };
  const whole = { op: "put", filename: "d/large", md5: md5(content), total_size: content.length };
  const offer = { ...large, offer: true, md5: null };
  const requests: [Record<string, unknown>, ...Uint8Array[]][] = [
    [offer],
    [{ op: "stat", filename: "d/large" }],
    [
      { op: "put", filename: "d/small", md5: md5("x"), total_size: 1, overwrite: "always" },
      new Uint8Array([120]),
    ],
    [{ op: "move", filename: "d/small", to: "e/small", overwrite: "always" }],
    [{ op: "mkdir", filename: "f/g" }],
    [{ op: "remove", filename: "f", recursive: true }],
  ];
  using peer = await RawPeer.connect(server.port);
  await peer.ask({ op: "ping" });
  for (let spare = 0; spare < 12; spare++) {
    {
      using first = await RawPeer.connect(server.port);
      await first.send(whole, content.subarray(0, 9 * MIB));
      await first.end();
      assertEquals(await first.code(), "closed");
    }
    const open = await descriptorsOf(server.pid);
    let limit = 0;
    for (let free = 0; free < spare || limit <= 3; limit++) if (!open.includes(limit)) free++;
    await limitDescriptors(server.pid, limit);
    for (const [header, ...body] of requests) await peer.ask(header, ...body);
    await limitDescriptors(server.pid, 1024);
    assertEquals(await peer.ask(offer), "ok", `${spare}`);
    assertEquals(await peer.ask({ op: "ping" }), "ok", `${spare}`);
  }
});
