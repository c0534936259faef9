import { assert, assertEquals } from "@std/assert";
import type { Checksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { MemoryStorage } from "../../../server/storage/memory/memory_storage.ts";
import type { Storage, StoredFile } from "../../../server/storage/storage.ts";
import { UploadFromBasis } from "../../../server/files/basis.ts";
import { FileRanges } from "../../../server/files/file_ranges.ts";
import { FileSignature } from "../../../server/files/file_signature.ts";
import { rangePieces } from "../../../server/files/range_pieces.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB } from "../../support/bytes.ts";
import { encodeRanges, encodeRecipe, strongHashes } from "../../support/delta_frames.ts";
import { TempDir } from "../../support/programs.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { noise } from "../../support/stored_files.ts";

const BLOCK = 65536;
const OLD = noise(3 * MIB + 100, 3);

/** A recipe, as it comes from a client. */
function incoming(recipe: Uint8Array, content: Uint8Array) {
  let at = 0;
  return {
    size: recipe.length,
    algorithm: "md5" as const,
    checksum: md5(content),
    read: (into: Uint8Array) => {
      const piece = recipe.subarray(at, at + into.length);
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length);
    },
  };
}

/** The version of a file. */
async function versionOf(storage: Storage, filename = "f"): Promise<string> {
  await using file = await storage.open(name(filename), "md5");
  return file.version!;
}

/** Opens the basis `f` for an upload of content. */
async function open(storage: Storage, recipe: Uint8Array, content: Uint8Array, offset = 0) {
  return await UploadFromBasis.open({
    storage,
    basis: { filename: "f", version: await versionOf(storage) },
    recipe: incoming(recipe, content),
    size: content.length,
    offset,
  });
}

/** Everything that it gives, in pieces. */
async function readOf(upload: UploadFromBasis, piece = 100_000): Promise<Uint8Array> {
  const pieces: BlobPart[] = [];
  const into = new Uint8Array(piece);
  for (let count; (count = await upload.read(into)) > 0;) pieces.push(into.slice(0, count));
  return await new Blob(pieces).bytes();
}

/** The records of a signature. */
async function recordsOf(signature: FileSignature): Promise<Uint8Array> {
  const pieces: BlobPart[] = [];
  for await (const piece of signature.records()) pieces.push(piece as Uint8Array<ArrayBuffer>);
  return await new Blob(pieces).bytes();
}

/** Opens a file for a signature. */
async function signatureOf(storage: Storage, options: { rolling?: boolean } = {}) {
  const file = await storage.open(name("f"), "md5");
  return FileSignature.of(RUNTIME, file, { block: BLOCK, rolling: false, ...options });
}

/** A storage whose files count how many bytes are read of them. */
function counting(storage: Storage): { storage: Storage; read: () => number } {
  let bytes = 0;
  const counted = (file: StoredFile): StoredFile =>
    new Proxy(file, {
      get(target, key) {
        const value = Reflect.get(target, key);
        if (key === "read") {
          return async (into: Uint8Array) => {
            const count = await target.read(into);
            bytes += count ?? 0;
            return count;
          };
        }
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  const wrapped = new Proxy(storage, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (key !== "open") return typeof value === "function" ? value.bind(target) : value;
      return async (...args: Parameters<Storage["open"]>) => counted(await target.open(...args));
    },
  });
  return { storage: wrapped, read: () => bytes };
}

Deno.test("the hashes of a file are computed once, and known of what is made from it", async () => {
  await using memory = new MemoryStorage({ files: { f: OLD } });
  const { storage, read } = counting(memory);
  for (let time = 0; time < 2; time++) {
    await using signature = await signatureOf(storage);
    const { strong } = signature;
    assertEquals(await recordsOf(signature), await strongHashes(OLD, BLOCK, strong));
    assertEquals(read(), OLD.length, `time ${time}`);
  }
  // A changed place in the third block, an insertion in front of the 20th, and a short block at the end.
  const content = await new Blob([
    OLD.subarray(0, 140_000),
    noise(50, 9),
    OLD.subarray(140_050, 20 * BLOCK),
    noise(1234, 8),
    OLD.subarray(20 * BLOCK),
  ]).bytes();
  const recipe = encodeRecipe(
    { from: 0, size: 140_000 },
    noise(50, 9),
    { from: 140_050, size: 20 * BLOCK - 140_050 },
    noise(1234, 8),
    { from: 20 * BLOCK, size: OLD.length - 20 * BLOCK },
  );
  for (const piece of [1000, BLOCK, 100_000, 4 * MIB]) {
    await using upload = await open(storage, recipe, content);
    assertEquals(md5(await readOf(upload, piece)), md5(content));
    assertEquals(upload.reused, content.length - 50 - 1234);
    const { block, hashes } = upload.blocks!;
    assertEquals([block, hashes], [BLOCK, await strongHashes(content, BLOCK, 8)], `by ${piece}`);
  }
});

Deno.test("blocks that moved by whole blocks keep their hashes, and a wrong hash is not hidden", async () => {
  await using storage = new MemoryStorage({ files: { f: OLD } });
  {
    await using file = await storage.open(name("f"), "md5");
    const hashes = await strongHashes(OLD, BLOCK, 8);
    hashes.fill(7, 5 * 8, 6 * 8);
    await file.rememberHashes({ block: BLOCK, hashes });
  }
  const content = OLD.slice(2 * BLOCK, 10 * BLOCK);
  const recipe = encodeRecipe({ from: 2 * BLOCK, size: 8 * BLOCK });
  await using upload = await open(storage, recipe, content);
  assertEquals(md5(await readOf(upload)), md5(content));
  const expected = await strongHashes(content, BLOCK, 8);
  expected.fill(7, 3 * 8, 4 * 8);
  assertEquals(upload.blocks!.hashes, expected);
  // Who comes to a wrong result makes the server compute them again.
  await upload.doubt();
  await using signature = await signatureOf(storage);
  const { strong } = signature;
  assertEquals(await recordsOf(signature), await strongHashes(OLD, BLOCK, strong));
});

Deno.test("hashes of what is resumed, or of a basis whose are unknown, are not collected", async () => {
  await using storage = new MemoryStorage({ files: { f: OLD } });
  const recipe = encodeRecipe({ from: 1000, size: OLD.length - 1000 });
  {
    await using upload = await open(storage, encodeRecipe({ from: 0, size: OLD.length }), OLD);
    await readOf(upload);
    assertEquals(upload.blocks, undefined);
  }
  await using signature = await signatureOf(storage);
  await recordsOf(signature);
  await using upload = await open(storage, recipe, OLD, 1000);
  assertEquals(md5(await readOf(upload)), md5(OLD.subarray(1000)));
  assertEquals(upload.blocks, undefined);
});

Deno.test("a basis that shrinks while it is used is busy, and one that is replaced stays", async () => {
  await using dir = new TempDir();
  dir.write("f", OLD);
  await using storage = FsStorage.open(dir.path);
  const recipe = encodeRecipe({ from: 0, size: OLD.length });
  {
    await using upload = await open(storage, recipe, OLD);
    assertEquals(await upload.read(new Uint8Array(MIB)), MIB);
    Deno.writeFileSync(dir.join("other"), new Uint8Array(OLD.length));
    Deno.renameSync(dir.join("other"), dir.join("f"));
    assertEquals(md5(await readOf(upload, MIB)), md5(OLD.subarray(MIB)));
  }
  dir.write("f", OLD);
  {
    await using upload = await open(storage, recipe, OLD);
    await upload.read(new Uint8Array(MIB));
    Deno.truncateSync(dir.join("f"), 2 * MIB);
    await assertCode("busy", () => readOf(upload, MIB));
  }
  await using gone = await open(
    storage,
    encodeRecipe({ from: 0, size: 2 * MIB }),
    OLD.subarray(0, 2 * MIB),
  );
  Deno.removeSync(dir.join("f"));
  assertEquals(md5(await readOf(gone, MIB)), md5(OLD.subarray(0, 2 * MIB)));
});

Deno.test("a file that changes while its signature is made is busy, and nothing is remembered", async () => {
  await using dir = new TempDir();
  dir.write("f", OLD);
  await using storage = FsStorage.open(dir.path);
  for (const change of ["shrinks", "is written to"]) {
    dir.write("f", OLD);
    await using signature = await signatureOf(storage);
    const records = signature.records();
    if (change === "shrinks") Deno.truncateSync(dir.join("f"), MIB);
    else Deno.writeFileSync(dir.join("f"), new Uint8Array(5), { append: true });
    await assertCode("busy", async () => {
      for await (const _records of records);
    });
    await using file = await storage.open(name("f"), "md5");
    assertEquals(await file.findHashes(), undefined);
  }
});

Deno.test("a storage that does not tell versions refuses what needs them", async () => {
  await using memory = new MemoryStorage({ files: { f: OLD } });
  const file = await memory.open(name("f"), "md5");
  const without: StoredFile = Object.create(file, { version: { value: undefined } });
  const wanted = { block: BLOCK, rolling: false };
  await assertCode(
    "bad_version",
    () => Promise.try(() => FileSignature.of(RUNTIME, without, wanted)),
  );
  const storage: Storage = Object.create(memory, {
    open: { value: () => Promise.resolve(without) },
  });
  const options = {
    storage,
    basis: { filename: "f", version: "any" },
    recipe: incoming(new Uint8Array(), OLD),
    size: 0,
    offset: 0,
  };
  await assertCode("bad_version", () => UploadFromBasis.open(options));
});

Deno.test("what a recipe's source fails with is what the upload fails with", async () => {
  await using storage = new MemoryStorage({ files: { f: OLD } });
  const cut = {
    ...incoming(new Uint8Array(), OLD),
    read: () => Promise.reject(new FerryError("closed", "it was cut")),
  };
  const version = await versionOf(storage);
  const basis = { filename: "f", version };
  await using upload = await UploadFromBasis.open({
    storage,
    basis,
    recipe: cut,
    size: 10,
    offset: 0,
  });
  await assertCode("closed", () => upload.read(new Uint8Array(10)));
});

/** Counts how often timers run until it is disposed of. */
function ticks(): { count: number } & Disposable {
  const counted = { count: 0, [Symbol.dispose]: () => clearInterval(timer) };
  const timer = setInterval(() => counted.count++, 1);
  return counted;
}

Deno.test("others have their turn while very many parts of a byte are put together or read", async () => {
  const count = 96 * 1024;
  await using storage = new MemoryStorage({ files: { f: OLD } });
  {
    await using file = await storage.open(name("f"), "md5");
    await file.rememberHashes({ block: BLOCK, hashes: await strongHashes(OLD, BLOCK, 8) });
  }
  // After an empty literal, each copy is followed by another one.
  const recipe = new Uint8Array([0, ...Array(count).fill([1, 0, 0]).flat()].slice(0, -1));
  const content = OLD.subarray(0, count);
  await using upload = await open(storage, recipe, content);
  {
    using others = ticks();
    assertEquals(md5(await readOf(upload, count)), md5(content));
    assert(others.count > 0);
  }
  await using file = await storage.open(name("f"), "md5");
  const ranges = Array.from({ length: count }, (_, i) => ({ from: 2 * i, size: 1 }));
  using others = ticks();
  let pieces = 0;
  for await (const { bytes } of rangePieces(RUNTIME, file, ranges)) pieces += bytes.length;
  assertEquals(pieces, count);
  assert(others.count > 0);
});

/** Zeros, as a file whose checksum is not known until it is remembered. */
function zeros(size: number): { file: StoredFile; remembered: () => Checksum | undefined } {
  let remembered: Checksum | undefined;
  let at = 0;
  const file = {
    entry: { size },
    version: "1",
    seek: (offset: number) => void (at = offset),
    read: (into: Uint8Array) => {
      const count = Math.min(into.length, size - at);
      at += count;
      return Promise.resolve(count || null);
    },
    find: () => Promise.resolve(remembered ?? null),
    remember: (checksum: Checksum) => Promise.resolve(void (remembered = checksum)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as StoredFile;
  return { file, remembered: () => remembered };
}

Deno.test("no ranges are held up for long by what is read for the checksum alone", async () => {
  const size = 2 ** 30 + 2;
  const { file, remembered } = zeros(size);
  const wanted = { algorithm: "xxh128", version: "1" } as const;
  {
    const ranges = encodeRanges([0, 1], [size - 1, 1]);
    await using near = await FileRanges.of(RUNTIME, file, { ...wanted, ranges });
    assertEquals(near.checksum, null);
  }
  await using far = await FileRanges.of(RUNTIME, file, {
    ...wanted,
    ranges: encodeRanges([0, 1]),
  });
  assert(remembered());
  assertEquals(far.checksum, remembered());
  assertEquals(await far.read(new Uint8Array(2)), 1);
  assertEquals(await far.read(new Uint8Array(2)), null);
});

Deno.test("nor by many places that are read for the checksum, none of which is long", async () => {
  const gap = 0.6 * 2 ** 30 | 0;
  const { file, remembered } = zeros(2 * gap + 2);
  await using ranges = await FileRanges.of(RUNTIME, file, {
    algorithm: "xxh128",
    version: "1",
    ranges: encodeRanges([gap, 1], [2 * gap + 1, 1]),
  });
  assert(remembered());
  assertEquals(ranges.checksum, remembered());
  assertEquals(await ranges.read(new Uint8Array(2)), 1);
});
