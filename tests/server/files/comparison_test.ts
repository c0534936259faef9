import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { OVERWRITE_POLICIES } from "../../../lib/core/overwrite.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import {
  type ComparedFile,
  compareFiles,
  type CompareOptions,
  type ComparisonResult,
} from "../../../server/files/comparison.ts";
import { TempDir } from "../../support/programs.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5 } from "../../support/bytes.ts";

/** When the stored files were changed. */
const MTIME = 1_234_567_890_123;

const OLD = md5("old");
const NEW = md5("new");

/** A root with "old" in `file` and in `d/file`. */
class Root extends TempDir {
  readonly storage: FsStorage;

  constructor() {
    super();
    Deno.mkdirSync(this.join("d"));
    for (const name of ["file", "d/file"]) {
      Deno.utimeSync(this.write(name, "old"), new Date(), new Date(MTIME));
    }
    this.storage = FsStorage.open(this.path, { durability: "none" });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}

type File = Partial<ComparedFile>;

function file({ filename = "file", size = 3, mtime = MTIME, checksum = null }: File): ComparedFile {
  return { filename, size, mtime, checksum };
}

/** A result, an error by its code and its message. */
function told(result: ComparisonResult) {
  if (result.decision !== "error") return result;
  const { filename, decision, error: { code, message } } = result;
  return { filename, decision, code, message };
}

async function compare(
  storage: Storage,
  files: File[],
  options: Partial<CompareOptions> = {},
): Promise<ReturnType<typeof told>[]> {
  const compared = ReadableStream.from([files.map(file)]);
  const { overwrite = "different", algorithm = "md5", content = false } = options;
  const results = compareFiles(storage, compared, { overwrite, algorithm, content });
  return await Array.fromAsync(results, told);
}

/** A storage that counts what it is asked. */
function counting(storage: Storage): { storage: Storage; calls: string[] } {
  const calls: string[] = [];
  const counted = new Proxy(storage, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls.push(`${String(key)} ${args[0]}`);
        return value.apply(target, args);
      };
    },
  });
  return { storage: counted, calls };
}

Deno.test("compareFiles() wants what is missing, whatever the policy", async () => {
  await using root = new Root();
  const files = [{ filename: "new" }, { filename: "d/new" }, { filename: "e/f/new", size: 0 }];
  for (const overwrite of OVERWRITE_POLICIES) {
    for (const content of [false, true]) {
      assertEquals(
        await compare(root.storage, files, { overwrite, content }),
        files.map(({ filename }) => ({ filename, decision: "send" })),
      );
    }
  }
});

Deno.test("compareFiles() takes a file of the same size and time for the same", async () => {
  await using root = new Root();
  const files: File[] = [{}, { filename: "d/file" }, { checksum: NEW }];
  for (const overwrite of ["never", "newer", "different"] as const) {
    const { storage, calls } = counting(root.storage);
    assertEquals(await compare(storage, files, { overwrite }), []);
    assert(!calls.some((call) => call.startsWith("checksum")), "nothing is read for that");
  }
  const always = await compare(root.storage, [{}, { checksum: OLD }], { overwrite: "always" });
  assertEquals(always.map(({ decision }) => decision), ["send", "send"]);
});

/** What is decided of a file by each policy but "always", which always sends. */
type Decisions = [file: File, never: string, newer: string, different: string];

async function assertDecides(table: Decisions[], options: Partial<CompareOptions> = {}) {
  await using root = new Root();
  for (const [file, never, newer, different] of table) {
    const expected = { never, newer, different, always: "send" };
    for (const overwrite of OVERWRITE_POLICIES) {
      const [decided] = await compare(root.storage, [file], { ...options, overwrite });
      assertEquals(
        decided?.decision ?? "have",
        expected[overwrite],
        Deno.inspect([file, overwrite]),
      );
    }
  }
}

Deno.test("compareFiles() decides by size, time and md5 as the policy says", async () => {
  await assertDecides([
    [{ size: 4 }, "error", "have", "send"],
    [{ size: 4, mtime: MTIME + 1 }, "error", "send", "send"],
    [{ mtime: MTIME - 1 }, "hash", "have", "hash"],
    [{ mtime: MTIME + 1 }, "hash", "send", "hash"],
    [{ mtime: MTIME - 1, checksum: OLD }, "have", "have", "have"],
    [{ mtime: MTIME + 1, checksum: OLD }, "have", "send", "have"],
    [{ mtime: MTIME - 1, checksum: NEW }, "error", "have", "send"],
    [{ mtime: MTIME + 1, checksum: NEW }, "error", "send", "send"],
  ]);
});

Deno.test("compareFiles() with content believes nothing but a checksum", async () => {
  await assertDecides([
    [{}, "hash", "have", "hash"],
    [{ checksum: OLD }, "have", "have", "have"],
    [{ checksum: NEW }, "error", "have", "send"],
    [{ mtime: MTIME + 1 }, "hash", "hash", "hash"],
    [{ mtime: MTIME + 1, checksum: OLD }, "have", "have", "have"],
    [{ mtime: MTIME + 1, checksum: NEW }, "error", "send", "send"],
    [{ mtime: MTIME + 1, size: 4 }, "error", "send", "send"],
    [{ size: 4, checksum: NEW }, "error", "have", "send"],
  ], { content: true });
});

Deno.test("compareFiles() says why a file would be refused, and goes on", async () => {
  await using root = new Root();
  const files = [
    { filename: "" },
    { filename: "../x" },
    { filename: ".ferry/x" },
    { filename: "d" },
    { filename: "file/x" },
    { filename: "file", size: 4 },
    { filename: "new" },
  ];
  const results = await compare(root.storage, files, { overwrite: "never" });
  assertEquals(results.slice(0, 4).concat(results.slice(5)), [
    {
      filename: "",
      decision: "error",
      code: "bad_name",
      message: 'Cannot put "": the name is empty',
    },
    {
      filename: "../x",
      decision: "error",
      code: "bad_name",
      message: 'Cannot put "../x": the name has a part ".."',
    },
    {
      filename: ".ferry/x",
      decision: "error",
      code: "bad_name",
      message: 'Cannot put ".ferry/x": ".ferry" is reserved for ferry\'s own files',
    },
    {
      filename: "d",
      decision: "error",
      code: "not_a_file",
      message: 'Cannot put "d": it is a directory',
    },
    {
      filename: "file",
      decision: "error",
      code: "exists",
      message: 'Cannot put "file": another file has that name',
    },
    { filename: "new", decision: "send" },
  ]);
  const below = results[4]!;
  assert(below.decision === "error" && below.code === "not_a_file", Deno.inspect(below));
});

Deno.test("compareFiles() asks once for all files that come together", async () => {
  await using root = new Root();
  const { storage, calls } = counting(root.storage);
  const files = ["d/a", "../x", "e/a", "d/file", "f"].map((filename) => ({ filename }));
  const results = await compare(storage, files);
  assertEquals(results.map(({ filename, decision }) => `${decision} ${filename}`), [
    "send d/a",
    "error ../x",
    "send e/a",
    "send f",
  ]);
  assertEquals(calls, ["findAll d/a,e/a,d/file,f"]);
});

Deno.test("compareFiles() sees what was put meanwhile", async () => {
  await using root = new Root();
  const files = async function* () {
    yield [file({ filename: "e/a" })];
    Deno.mkdirSync(root.join("e"));
    Deno.utimeSync(root.write("e/b", "old"), new Date(), new Date(MTIME));
    yield [file({ filename: "d/file" }), file({ filename: "e/b" })];
    await Promise.resolve();
  };
  const options = { overwrite: "different", algorithm: "md5", content: false } as const;
  assertEquals(await Array.fromAsync(compareFiles(root.storage, files(), options)), [
    { filename: "e/a", decision: "send" },
  ]);
});

/** A storage whose md5s cannot be had. */
function failing(storage: Storage, error: unknown): Storage {
  return new Proxy(storage, {
    get(target, key) {
      if (key === "checksum") return (_name: FileName) => Promise.reject(error);
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("compareFiles() wants what disappears, and reports what cannot be read", async () => {
  await using root = new Root();
  const files = [{ mtime: 0, checksum: OLD }, { filename: "new" }];
  const gone = failing(root.storage, new FerryError("not_found", "no such file"));
  assertEquals((await compare(gone, files)).map(({ decision }) => decision), ["send", "send"]);
  const unreadable = failing(root.storage, new FerryError("io", "broken"));
  assertEquals(await compare(unreadable, files), [
    { filename: "file", decision: "error", code: "io", message: 'Cannot put "file": broken' },
    { filename: "new", decision: "send" },
  ]);
});

Deno.test("compareFiles() fails with what nobody foresaw", async () => {
  await using root = new Root();
  const broken = failing(root.storage, new TypeError("x is not a function"));
  await assertCode("internal", () => compare(broken, [{ mtime: 0, checksum: OLD }]));
});

Deno.test("compareFiles() fails with what the files fail with, after what came before", async () => {
  await using root = new Root();
  const files = async function* () {
    await Promise.resolve();
    yield [file({ filename: "new" })];
    throw new FerryError("bad_header", "size is missing");
  };
  const options = { overwrite: "never", algorithm: "md5", content: false } as const;
  const results = compareFiles(root.storage, files(), options);
  assertEquals((await results.next()).value, { filename: "new", decision: "send" });
  await assertCode("bad_header", () => results.next());
});

Deno.test("compareFiles() of many files lets others have their turn", async () => {
  await using root = new Root();
  let rounds = 0;
  const timer = setInterval(() => rounds++, 0);
  try {
    const files = Array.from({ length: 200 }, (_, turn) => {
      return Array.from({ length: 100 }, (_, at) => file({ filename: `d/${turn}/${at}` }));
    });
    const manifest = ReadableStream.from(files);
    const options = { overwrite: "different", algorithm: "md5", content: false } as const;
    const results = await Array.fromAsync(compareFiles(root.storage, manifest, options));
    assertEquals(results.length, 20_000);
  } finally {
    clearInterval(timer);
  }
  assert(rounds > 3, `${rounds} rounds`);
});
