/**
 * The format of the state directory: what earlier versions left there is served and resumed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { VERSION } from "../../../../lib/core/version.ts";
import { isTaken } from "../../../../lib/files/path_lookup.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { md5 } from "../../../support/bytes.ts";
import { ferryd, filesBelow, PROJECT, TempDir } from "../../../support/programs.ts";
import { partials, resume } from "../../../support/stored_files.ts";

/** The file whose upload was interrupted, of an owner `token:1`; its first 128,000 bytes arrived. */
const BYTES = new Uint8Array(300_000).map((_, at) => at * 7 >> 4);
const RECEIVED = 128_000;
const OWNER = "token:1";

/** The record as an earlier version wrote it, but for `boot`: null makes the bytes be read and compared. */
const RECORD = Deno.readTextFileSync(`${PROJECT}fixtures/state_directory/partial_upload.json`);

/** Writes a state directory as a ferryd left it that was killed; `record` is what stands in the first page. */
function leave(root: string, record: string): void {
  const staging = `${root}/.ferry/staging/31f67faf-2695-459b-9264-a67abcdced1c`;
  Deno.mkdirSync(staging, { recursive: true, mode: 0o700 });
  Deno.mkdirSync(`${root}/.ferry/leases`, { mode: 0o700 });
  Deno.writeTextFileSync(`${root}/.ferry/lock`, "");
  Deno.writeTextFileSync(`${root}/.ferry/areas.json`, AREAS);
  // More than was recorded had come.
  Deno.writeFileSync(`${staging}/baa424c1a1a1357e.part`, BYTES.subarray(0, RECEIVED + 1000));
  Deno.writeTextFileSync(`${staging}/baa424c1a1a1357e.json`, record.padEnd(4096));
  // An upload of which nothing was recorded.
  Deno.writeTextFileSync(`${staging}/0123456789abcdef.part`, "lost");
  Deno.writeTextFileSync(`${root}/there`, "a file");
}

const AREAS = '{"id":"7d78e58a-8822-4fea-b0bb-56085bd26199","areas":["not/mounted"]}';

/** What the first page of a record may hold: the system may have been started again since, or not. */
const RECORDS: Readonly<Record<string, string>> = {
  "since the system was started": RECORD.trim().replace(
    '"boot":null',
    `"boot":${Math.round(Date.now() - Deno.osUptime() * 1000)}`,
  ),
  "before the system was started": RECORD.trim(),
};

for (const [when, record] of Object.entries(RECORDS)) {
  Deno.test(`FsStorage resumes what an earlier version left ${when}`, async () => {
    await using dir = new TempDir();
    leave(dir.path, record);
    await using storage = FsStorage.open(dir.path, { durability: "none" });
    assertEquals(filesBelow(dir.path).filter((path) => path.includes("0123456789abcdef")), []);
    assertEquals((await storage.stat(name("there"))).size, 6);
    assertEquals(await partials(storage), []);
    const [partial] = await partials(storage, OWNER);
    assertEquals({ ...partial, mtime: 0 }, {
      filename: "d/large",
      size: BYTES.length,
      received: RECEIVED,
      mtime: 0,
      active: false,
    });
    const options = { size: BYTES.length, algorithm: "md5", owner: OWNER } as const;
    await using pending = (await resume(storage, "d/large", options))!;
    const prefix = pending.prefix!;
    assertEquals(prefix.size, RECEIVED);
    prefix.update(BYTES.subarray(RECEIVED));
    assertEquals(prefix.checksum(), md5(BYTES), "the digest does not go on");
    await pending.write(BYTES.subarray(RECEIVED));
    await pending.commit({ checksum: md5(BYTES), replace: false });
    assertEquals(md5(Deno.readFileSync(dir.join("d/large"))), md5(BYTES));
  });
}

/** What is in the file of the version of a state directory. */
function versionIn(root: string): unknown {
  return JSON.parse(Deno.readTextFileSync(`${root}/.ferry/version`));
}

Deno.test("FsStorage writes its version into a state directory of an older version", async () => {
  await using dir = new TempDir();
  leave(dir.path, RECORDS["before the system was started"]!);
  const temporary = dir.write(".ferry/0123.new", "what a process was killed at writing");
  const open = async () => {
    await using storage = FsStorage.open(dir.path, { durability: "none" });
    assertEquals((await partials(storage, OWNER)).length, 1);
  };
  await open();
  assertEquals(versionIn(dir.path), { format: 1, ferry: VERSION });
  assert(!isTaken(temporary), "a temporary file was left");
  dir.write(".ferry/version", '{"format":1,"ferry":"0.0.9"}');
  await open();
  assertEquals(versionIn(dir.path), { format: 1, ferry: VERSION });
});

const NEWER = '{"format":2,"ferry":"9.8.7"}';

/** Versions with which nothing is served, and what is said about them. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  [NEWER]:
    /: ferry 9\.8\.7 wrote .* knows formats up to 1: start ferry 9\.8\.7 or a newer version$/,
  '{"format":2}': /: \.ferry\/version does not say which version .*: restore it, or remove it if/,
  '{"format":"1","ferry":"0.1.0"}': /does not say/,
  "": /does not say/,
};

for (const [text, message] of Object.entries(REFUSED)) {
  Deno.test(`FsStorage refuses a state directory with the version ${text || '""'}`, async () => {
    await using dir = new TempDir();
    leave(dir.path, RECORDS["before the system was started"]!);
    dir.write(".ferry/version", text);
    const before = filesBelow(dir.path);
    const error = assertThrows(() => FsStorage.open(dir.path), FerryError);
    assertEquals(error.code, "bad_version");
    assertMatch(error.message, message);
    assertEquals(filesBelow(dir.path), before);
    assertEquals(Deno.readTextFileSync(dir.join(".ferry/version")), text);
  });
}

Deno.test("ferryd says which version of ferry can serve a newer state directory", async () => {
  await using dir = new TempDir();
  leave(dir.path, RECORDS["before the system was started"]!);
  dir.write(".ferry/version", NEWER);
  const { code, stderr } = await ferryd(["--root", dir.path, "--listen", "127.0.0.1:0"]);
  assertEquals(code, 8);
  assertMatch(stderr, /^ferryd: .*start ferry 9\.8\.7 or a newer version\n$/);
});

Deno.test("FsStorage leaves records that an earlier version can read", async () => {
  await using dir = new TempDir();
  leave(dir.path, RECORDS["since the system was started"]!);
  {
    await using storage = FsStorage.open(dir.path, { durability: "none" });
    const options = { size: BYTES.length, algorithm: "md5", owner: OWNER } as const;
    await using pending = (await resume(storage, "d/large", options))!;
    const prefix = pending.prefix!;
    prefix.update(BYTES.subarray(RECEIVED, 256_000));
    await pending.write(BYTES.subarray(RECEIVED, 256_000));
    await pending.checkpoint(prefix.save()!);
    pending.keep();
  }
  const [path] = filesBelow(dir.path).filter((path) => path.endsWith("baa424c1a1a1357e.json"));
  const written = Deno.readTextFileSync(dir.join(path!));
  assertEquals(written.length, 4096);
  const [before, after] = [RECORD, written].map((text) => JSON.parse(text));
  assertEquals(Object.keys(after), Object.keys(before));
  assertEquals(Object.keys(after.prefix), Object.keys(before.prefix));
  assertEquals([after.version, after.filename, after.owner, after.prefix.size], [
    2,
    "d/large",
    OWNER,
    256_000,
  ]);
});
