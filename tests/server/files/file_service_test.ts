import { assert, assertEquals } from "@std/assert";
import type { IncomingContent } from "../../../lib/core/bytes.ts";
import { type Algorithm, type Checksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Overwrite } from "../../../lib/core/overwrite.ts";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import { Authority } from "../../../server/auth/authority.ts";
import type { AccessRequest } from "../../../server/auth/authorization.ts";
import { grantEverywhere, type Grants, parseGrants } from "../../../server/auth/grants.ts";
import { Permit } from "../../../server/auth/permit.ts";
import { FileService } from "../../../server/files/file_service.ts";
import type { StoredUpload, UploadOffer } from "../../../server/files/upload.ts";
import type { OfferedUpload } from "../../../server/files/offered_upload.ts";
import { UploadLocks } from "../../../server/files/upload_locks.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { MemoryStorage } from "../../../server/storage/memory/memory_storage.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB, patterned, utf8 } from "../../support/bytes.ts";
import { FastClock } from "../../support/clock.ts";
import { TempDir } from "../../support/programs.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { textOf } from "../../support/stored_files.ts";

/** The content of an upload, in memory. */
class Content implements IncomingContent {
  readonly size: number | null;
  readonly algorithm: Algorithm = "md5";
  readonly checksum: Checksum | null;
  readonly #bytes: Uint8Array;
  readonly #cut: number;
  #at = 0;
  /** Called in front of each read, which waits for what it returns. */
  onRead: (at: number) => Promise<void> | void = () => {};

  constructor(
    content: Uint8Array | string,
    { checksum, size, cut = Infinity }: {
      checksum?: Checksum | null;
      size?: number | null;
      /** Where the connection ends. */
      cut?: number;
    } = {},
  ) {
    this.#bytes = typeof content === "string" ? utf8.encode(content) : content;
    this.size = size === undefined ? this.#bytes.length : size;
    this.checksum = checksum === undefined ? md5(this.#bytes) : checksum;
    this.#cut = cut;
  }

  async read(into: Uint8Array): Promise<number> {
    await this.onRead(this.#at);
    if (this.#at >= this.#cut) throw new FerryError("closed", "the connection ended");
    const some = this.#bytes.subarray(this.#at, Math.min(this.#at + into.length, this.#cut));
    into.set(some);
    this.#at += some.length;
    return some.length;
  }
}

interface PutOptions {
  overwrite?: Overwrite;
  mtime?: number;
  offset?: number;
  size?: number | null;
  partial?: OfferedUpload | undefined;
}

/** A client of a storage, and what it was told. */
class Client {
  readonly stored: StoredUpload[] = [];
  readonly #storage: Storage;
  readonly #grants: Grants;
  readonly #owner: string;
  readonly #locks: UploadLocks;
  /** Resolves when another client takes over what this one sends. */
  readonly takenOver = Promise.withResolvers<void>();

  constructor(
    storage: Storage,
    { grants = grantEverywhere(["read", "write", "delete"]), owner = "", locks }: {
      grants?: Grants;
      owner?: string;
      locks?: UploadLocks;
    } = {},
  ) {
    this.#storage = storage;
    this.#grants = grants;
    this.#owner = owner;
    this.#locks = locks ?? new UploadLocks();
  }

  /** The files for one request. */
  files(request: AccessRequest): FileService {
    const principal = { grants: this.#grants, mayAuthenticate: false };
    const claimant = { principal, token: undefined, owner: this.#owner };
    const permit = new Permit(new Authority({ anonymous: this.#grants }), claimant, request);
    return new FileService(permit, {
      storage: this.#storage,
      locks: this.#locks,
      runtime: RUNTIME,
      onStored: (file) => this.stored.push(file),
      onTakenOver: this.takenOver.resolve,
    });
  }

  /** Uploads a file and waits until it is published. */
  async put(
    filename: string,
    content: IncomingContent,
    { overwrite = "never", mtime, offset = 0, size, partial }: PutOptions = {},
  ) {
    const whole = size === undefined ? content.size as number | null : size;
    const upload = {
      filename,
      size: whole,
      algorithm: content.algorithm,
      overwrite,
      mtime,
      offset,
    };
    const received = await this.files({ op: "put", filename }).put(upload, content, partial);
    return await received.published;
  }

  /** Offers a file. */
  async offer(filename: string, options: Partial<UploadOffer> = {}) {
    const offer = { size: 3, algorithm: "md5", overwrite: "never", checksum: null } as const;
    return await this.files({ op: "put", filename }).offer({
      ...offer,
      filename,
      restart: false,
      ...options,
    });
  }

  /** Offers a file and asserts that a partial upload of it is there. */
  async offerPartial(filename: string, size: number): Promise<OfferedUpload> {
    const answer = await this.offer(filename, { size });
    assert(answer.decision === "send" && answer.partial, Deno.inspect(answer));
    return answer.partial;
  }
}

/** How much a storage of the tests may hold, in bytes. */
const QUOTA = 32 * MIB;

/** Each storage, with what disposes of it. */
const STORAGES: Record<string, (stack: AsyncDisposableStack) => Storage> = {
  MemoryStorage: (stack) => stack.use(new MemoryStorage({ quota: QUOTA })),
  FsStorage: (stack) => {
    const { path } = stack.use(new TempDir());
    return stack.use(FsStorage.open(path, { durability: "none", quota: QUOTA }));
  },
};

/** A test with each storage: the service behaves the same whatever is below it. */
function test(name: string, run: (storage: Storage) => Promise<void>): void {
  for (const [kind, open] of Object.entries(STORAGES)) {
    Deno.test(`FileService with ${kind}: ${name}`, async () => {
      await using stack = new AsyncDisposableStack();
      await run(open(stack));
    });
  }
}

/** A file of which a partial upload is kept where it is cut. */
const LARGE = patterned(9 * MIB + 5);

/** Uploads the first bytes of the large file, as far as a cut leaves them. */
async function cutUpload(client: Client, cut = 9 * MIB): Promise<void> {
  await assertCode("closed", () => client.put("large", new Content(LARGE, { cut })));
}

test("put() publishes what was verified, and nothing else", async (storage) => {
  const client = new Client(storage);
  const wrong = new Content("abc", { checksum: md5("xyz") });
  await assertCode("checksum_mismatch", () => client.put("d/f", wrong));
  assertEquals(await storage.find(parseFileName("d/f")), undefined);
  assertEquals(client.stored, []);
  const stored = { checksum: md5("abc"), size: 3, unchanged: false };
  const { checksum, size, unchanged } = await client.put("d/f", new Content("abc"));
  assertEquals({ checksum, size, unchanged }, stored);
  assertEquals(await textOf(storage, "d/f"), "abc");
  assertEquals(client.stored, [{ filename: "d/f", ...stored, resumedFrom: 0 }]);
});

test("put() takes content of unknown size", async (storage) => {
  const client = new Client(storage);
  await client.put("stream", new Content("some text", { size: null }));
  assertEquals(await textOf(storage, "stream"), "some text");
});

test("put() and offer() decide by the overwrite policy", async (storage) => {
  const client = new Client(storage);
  await client.put("f", new Content("old"), { mtime: 2000 });
  const cases: [Overwrite, content: string, mtime: number, put: string, offer: string][] = [
    ["never", "old", 9000, "unchanged", "have"],
    ["never", "new", 9000, "exists", "exists"],
    ["never", "longer", 9000, "exists", "exists"],
    ["newer", "longer", 1000, "unchanged", "have"],
    // Whether the same content is written again depends on whether the storage knows its checksum.
    ["different", "old", 9000, "either", "have"],
    ["different", "new", 1000, "stored", "send"],
    ["newer", "longer", 9000, "stored", "send"],
    ["always", "old", 1000, "stored", "send"],
  ];
  for (const [overwrite, content, mtime, put, offer] of cases) {
    await client.put("f", new Content("old"), { overwrite: "always", mtime: 2000 });
    const what = `${overwrite} ${content} ${mtime}`;
    const told = { size: content.length, overwrite, mtime, checksum: md5(content) };
    const code = (error: unknown) => ({ decision: (error as FerryError).code });
    assertEquals((await client.offer("f", told).catch(code)).decision, offer, what);
    const result = await client.put("f", new Content(content), { overwrite, mtime }).then(
      ({ unchanged }) => unchanged ? "unchanged" : "stored",
      (error) => error.code,
    );
    if (put !== "either") assertEquals(result, put, what);
    assertEquals(await textOf(storage, "f"), put === "stored" ? content : "old", what);
  }
  assertEquals(
    (await client.offer("f", { overwrite: "different", checksum: null })).decision,
    "hash",
  );
});

test("names are checked once, whatever is done with them", async (storage) => {
  const client = new Client(storage);
  for (const filename of ["../f", "a/../b", "/f", "", ".ferry/f"]) {
    const put = () => client.put(filename, new Content("abc"));
    const get = () => client.files({ op: "get" }).open(filename, { algorithm: "md5" });
    const move = () => client.files({ op: "move" }).move("f", filename, { replace: true });
    for (const attempt of [put, get, move, () => client.offer(filename)]) {
      await assertCode("bad_name", attempt);
    }
    if (filename === "") continue;
    await assertCode("bad_name", () => client.files({ op: "stat" }).stat(filename, "md5"));
  }
});

test("an upload that was cut is resumed with the right proof", async (storage) => {
  const client = new Client(storage);
  await cutUpload(client);
  const partial = await client.offerPartial("large", LARGE.length);
  const { size: offset, xxh128 } = partial.facts;
  assert(offset > 0 && offset <= 9 * MIB && xxh128 !== null, `${offset}`);
  const rest = new Content(LARGE.subarray(offset), { checksum: md5(LARGE) });
  const { checksum } = await client.put("large", rest, { offset, size: LARGE.length, partial });
  assertEquals(checksum, md5(LARGE));
  assertEquals(client.stored.map(({ resumedFrom }) => resumedFrom), [offset]);
  assertEquals(await client.files({ op: "list", parts: true }).partialUploads(""), []);
});

test("an upload goes on only where it was offered, and with the same file", async (storage) => {
  const client = new Client(storage);
  await cutUpload(client);
  const size = LARGE.length;
  const partial = await client.offerPartial("large", size);
  const { size: offset } = partial.facts;
  const rest = () => new Content(LARGE.subarray(offset), { checksum: md5(LARGE) });
  await assertCode("busy", () => client.put("large", rest(), { offset, size }));
  await assertCode("busy", () => client.put("large", rest(), { offset: 64, size, partial }));
  await assertCode("busy", () => client.put("other", rest(), { offset, size, partial }));
  await assertCode("busy", () => client.put("large", rest(), { offset, size: size + 1, partial }));
  // What does not belong behind the prefix is refused, and nothing is left of it.
  const wrong = new Content(LARGE.subarray(offset).map((byte) => byte ^ 1), {
    checksum: md5(LARGE),
  });
  await assertCode(
    "checksum_mismatch",
    () => client.put("large", wrong, { offset, size, partial }),
  );
  assertEquals(await storage.find(parseFileName("large")), undefined);
  assertEquals(await client.files({ op: "list", parts: true }).partialUploads(""), []);
});

for (const [overwrite, mtime] of [["never", 2000], ["newer", 1000]] as const) {
  test(`the rest of an upload comes, and with ${overwrite} the file stays that came meanwhile`, async (storage) => {
    const client = new Client(storage);
    const size = LARGE.length;
    const resume = async (checksum: Checksum) => {
      const partial = await client.offerPartial("large", size);
      const offset = partial.facts.size;
      assert(size - offset > MIB, `${offset}`);
      await new Client(storage).put("large", new Content(LARGE), { mtime: 2000 });
      await using _partial = partial;
      const rest = new Content(LARGE.subarray(offset), { checksum });
      return await client.put("large", rest, { offset, size, partial, overwrite, mtime });
    };
    const partials = () => client.files({ op: "list", parts: true }).partialUploads("");
    await cutUpload(client, 6 * MIB);
    const { checksum, unchanged } = await resume(md5(LARGE));
    assertEquals({ checksum, unchanged }, { checksum: md5(LARGE), unchanged: true });
    assertEquals(await partials(), []);
    await client.files({ op: "remove" }).remove("large", { recursive: false });
    if (overwrite !== "newer") return;
    await cutUpload(client, 6 * MIB);
    await assertCode("checksum_mismatch", () => resume(md5("other")));
    assertEquals(await partials(), []);
  });
}

test("a partial upload is its owner's alone", async (storage) => {
  const locks = new UploadLocks();
  const mine = new Client(storage, { owner: "me", locks });
  await cutUpload(mine);
  const other = new Client(storage, { owner: "other", locks });
  const answer = await other.offer("large", { size: LARGE.length });
  assertEquals(answer, { decision: "send", partial: undefined });
  assertEquals(await other.files({ op: "list", parts: true }).partialUploads(""), []);
  await assertCode("not_found", () => other.files({ op: "discard" }).discard("large"));
  await mine.files({ op: "discard" }).discard("large");
  assertEquals(await mine.files({ op: "list", parts: true }).partialUploads(""), []);
});

test("nothing is kept of a small upload that was cut, nor of one that was damaged", async (storage) => {
  const client = new Client(storage);
  const small = new Content(patterned(7 * MIB), { cut: 6 * MIB });
  await assertCode("closed", () => client.put("small", small));
  const damaged = new Content(LARGE, { checksum: md5("other") });
  await assertCode("checksum_mismatch", () => client.put("large", damaged));
  assertEquals(await client.files({ op: "list", parts: true }).partialUploads(""), []);
});

test("another client takes over from a writer that has fallen silent", async (storage) => {
  const locks = new UploadLocks();
  const [silent, next] = [new Client(storage, { locks }), new Client(storage, { locks })];
  await cutUpload(silent);
  const partial = await silent.offerPartial("large", LARGE.length);
  using _clock = new FastClock();
  const offering = next.offerPartial("large", LARGE.length);
  await silent.takenOver.promise;
  await partial[Symbol.asyncDispose]();
  await using taken = await offering;
  assertEquals(taken.facts, partial.facts);
});

test("open() gives what a client lacks, a range, or all of it", async (storage) => {
  const client = new Client(storage);
  await client.put("f", new Content("0123456789"));
  const algorithm = "md5";
  const open = async (options: object) => {
    await using file = await client.files({ op: "get" }).open("f", { algorithm, ...options });
    const into = new Uint8Array(100);
    const count = await file.read(into) ?? 0;
    const { offset, size } = file.content;
    return [offset, size, new TextDecoder().decode(into.subarray(0, count)).slice(0, size)];
  };
  const claimed = { ofChecksum: null, md5: null, xxh128: null };
  assertEquals(await open({}), [0, 10, "0123456789"]);
  assertEquals(await open({ range: { start: 2, count: 3 } }), [2, 3, "234"]);
  assertEquals(await open({ range: { start: 8, count: 99 } }), [8, 2, "89"]);
  assertEquals((await open({ range: { start: 99 } })).slice(0, 2), [10, 0]);
  const right = { ...claimed, size: 4, md5: md5("0123") };
  assertEquals(await open({ prefix: right }), [4, 6, "456789"]);
  assertEquals(await open({ prefix: { ...right, md5: md5("xxxx") } }), [0, 10, "0123456789"]);
  assertEquals(await open({ prefix: { ...right, size: 11 } }), [0, 10, "0123456789"]);
  assertEquals(await open({ prefix: { ...claimed, size: 4 } }), [0, 10, "0123456789"]);
});

test("compare() tells what is wanted, and refuses what is out of bounds alone", async (storage) => {
  const all = new Client(storage);
  await all.put("inbox/same", new Content("abc"), { mtime: 2000 });
  await all.put("inbox/old", new Content("abc"), { mtime: 1000 });
  const client = new Client(storage, { grants: parseGrants(["read:inbox/", "write:inbox/"], []) });
  const file = { size: 3, mtime: 2000, checksum: null };
  const names = ["inbox/same", "inbox/old", "inbox/new", "other", "inbox/../x"];
  const files = [names.map((filename) => ({ filename, ...file }))];
  const results = client.files({ op: "compare" }).compare(ReadableStream.from(files), {
    overwrite: "different",
    algorithm: "md5",
    content: false,
  });
  const told = await Array.fromAsync(
    results,
    (
      result,
    ) => [result.filename, result.decision === "error" ? result.error.code : result.decision],
  );
  assertEquals(told, [
    ["inbox/old", "hash"],
    ["inbox/new", "send"],
    ["other", "denied"],
    ["inbox/../x", "bad_name"],
  ]);
});

test("a confined token stays in its directory", async (storage) => {
  await new Client(storage).put("outside", new Content("abc"));
  const grants = parseGrants(["read:inbox/", "write:inbox/", "delete:inbox/"], []);
  const client = new Client(storage, { grants });
  await client.put("inbox/f", new Content("abc"));
  await assertCode("denied", () => client.put("outside", new Content("abc")));
  await assertCode("denied", () => client.files({ op: "stat", filename: "outside" }));
  await assertCode("denied", () => client.files({ op: "move", filename: "inbox/f", to: "f" }));
  await assertCode("denied", () => client.files({ op: "remove", filename: "outside" }));
  assertEquals(
    (await client.files({ op: "stat", filename: "inbox/f" }).stat("inbox/f", "md5")).size,
    3,
  );
});

test("an upload beyond the quota says how much the client could free", async (storage) => {
  const client = new Client(storage, { owner: "me" });
  await cutUpload(client);
  const size = QUOTA - MIB;
  const partials = /your uploads that were cut take \d+(\.\d)? MiB of it/;
  const offered = await assertCode("quota", () => client.offer("more", { size }));
  assert(partials.test(offered.message), offered.message);
  const content = new Content("", { size, checksum: null });
  const put = await assertCode("quota", () => client.put("more", content));
  assert(partials.test(put.message), put.message);
  const other = new Client(storage, { owner: "other" });
  const told = await assertCode("quota", () => other.offer("more", { size }));
  assert(!partials.test(told.message), told.message);
});

test("directories and names", async (storage) => {
  const client = new Client(storage);
  await client.files({ op: "mkdir" }).mkdir("d/e");
  await client.put("d/f", new Content("abc"));
  const listed = await Array.fromAsync(
    await client.files({ op: "list" }).list("", { recursive: true }),
    ({ filename }) => filename,
  );
  assertEquals(listed, ["d", "d/e", "d/f"]);
  await assertCode(
    "not_a_file",
    () => client.files({ op: "list" }).list("d/f", { recursive: true }),
  );
  await client.files({ op: "move" }).move("d/f", "g", { replace: false });
  assertEquals((await client.files({ op: "stat" }).stat("g", "md5")).checksum, md5("abc"));
  await assertCode(
    "not_a_file",
    () => client.files({ op: "remove" }).remove("d", { recursive: false }),
  );
  await client.files({ op: "remove" }).remove("d", { recursive: true });
  assertEquals(await storage.find(parseFileName("d")), undefined);
  assertEquals((await client.files({ op: "ping" }).health()).problem, undefined);
});
