/**
 * Pairs of files for the benchmark of deltas: an older version and what became of it, as programs really change files.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { randomNumbers } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { randomBytes, writeRandomFile } from "../support/random_file.ts";
import { KIB, MIB } from "../support/bytes.ts";
import { spawn, versionOf } from "./peers.ts";

/** Two versions of a file. */
export interface ChangedFile {
  /** What has changed, in words. */
  what: string;
  /** The path of the older version. */
  before: string;
  /** The path of the newer version. */
  after: string;
}

/** How many places of the large file change, and how many bytes each. */
const PLACES = 64;
const PLACE_BYTES = 4 * KIB;

/** What is inserted at the front of a file. */
const INSERTED_BYTES = 37;
const INSERTED_INTO_BYTES = 256 * MIB;

/** The database: so many rows of so many bytes, of which so many are updated. */
const DATABASE = { rows: 100_000, bytes: 420, updates: 1000 };

/** The file system: so many files of so many bytes at most, of which so many change. */
const IMAGE = { size: 128 * MIB, files: 1500, bytes: 100 * KIB, changes: 60 };

/** The tree of source files: so many files, of which so many get a line inserted. */
const TREE = { files: 4000, lines: 300, changes: 120 };

/** A large file, and the same after each of `versions` rounds of changes at random places. */
export async function changedPlaces(
  dir: string,
  size: number,
  { versions, signal }: { versions: number; signal: AbortSignal },
): Promise<string[]> {
  const paths = [`${dir}/places-0`];
  await writeRandomFile(paths[0]!, size, { seed: 11, signal });
  const random = randomNumbers(12);
  for (let version = 1; version <= versions; version++) {
    signal.throwIfAborted();
    const path = `${dir}/places-${version}`;
    await Deno.copyFile(paths.at(-1)!, path);
    using file = Deno.openSync(path, { write: true });
    for (let place = 0; place < PLACES; place++) {
      file.seekSync(random(size - PLACE_BYTES), Deno.SeekMode.Start);
      writeAll(file, randomBytes(PLACE_BYTES, 1000 * version + place + 1));
    }
    paths.push(path);
  }
  return paths;
}

/** A file, and the same with some bytes inserted at the front. */
export async function insertedAtFront(dir: string, signal: AbortSignal): Promise<ChangedFile> {
  const [before, after] = [`${dir}/front-0`, `${dir}/front-1`];
  await writeRandomFile(before, INSERTED_INTO_BYTES, { seed: 13, signal });
  using from = await Deno.open(before);
  using to = await Deno.open(after, { write: true, createNew: true });
  writeAll(to, randomBytes(INSERTED_BYTES, 14));
  const piece = new Uint8Array(MIB);
  for (let count; (count = from.readSync(piece));) writeAll(to, piece.subarray(0, count));
  return { what: `${INSERTED_BYTES} bytes inserted at the front`, before, after };
}

/** A database of SQLite, and the same after updates of random rows. */
export function updatedDatabase(dir: string): ChangedFile {
  const [before, after] = [`${dir}/database-0`, `${dir}/database-1`];
  const random = randomNumbers(15);
  const textOf = (bytes: number) => {
    let text = "";
    while (text.length < bytes) text += random(2 ** 32).toString(36);
    return text.slice(0, bytes);
  };
  {
    using database = new DatabaseSync(before);
    database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, content TEXT)");
    database.exec("CREATE INDEX by_name ON item (name); BEGIN");
    const insert = database.prepare("INSERT INTO item (name, content) VALUES (?, ?)");
    for (let row = 0; row < DATABASE.rows; row++) insert.run(textOf(12), textOf(DATABASE.bytes));
    database.exec("COMMIT");
  }
  Deno.copyFileSync(before, after);
  using database = new DatabaseSync(after);
  database.exec("BEGIN");
  const update = database.prepare("UPDATE item SET content = ? WHERE id = ?");
  for (let count = 0; count < DATABASE.updates; count++) {
    update.run(textOf(DATABASE.bytes), 1 + random(DATABASE.rows));
  }
  database.exec("COMMIT");
  const mib = (Deno.statSync(before).size / MIB).toFixed(0);
  return { what: `${mib} MiB of SQLite after ${DATABASE.updates} updates`, before, after };
}

/**
 * The image of an ext4 file system, and one of the same files after some have changed, come and gone.
 *
 * @returns undefined where the program that makes images is missing
 */
export async function changedImage(
  dir: string,
  signal: AbortSignal,
): Promise<ChangedFile | undefined> {
  if (await versionOf("mkfs.ext4", "-V") === undefined) return undefined;
  const files = `${dir}/image-files`;
  const random = randomNumbers(16);
  const write = (name: number, seed: number) => {
    const directory = `${files}/${name % 20}`;
    Deno.mkdirSync(directory, { recursive: true });
    Deno.writeFileSync(`${directory}/${name}`, randomBytes(1 + random(IMAGE.bytes), seed));
  };
  for (let name = 0; name < IMAGE.files; name++) write(name, name + 1);
  const make = async (path: string) => {
    const same = [
      "-U",
      "6f1b6a1c-7d2e-4a53-9e0e-1f6b0d2a9c11",
      "-E",
      "hash_seed=6f1b6a1c-7d2e-4a53-9e0e-1f6b0d2a9c11",
    ];
    const args = ["-q", "-F", ...same, "-d", files, path, `${IMAGE.size / KIB}k`];
    await succeed("mkfs.ext4", spawn("mkfs.ext4", args), signal);
    return path;
  };
  const before = await make(`${dir}/image-0`);
  for (let change = 0; change < IMAGE.changes; change++) {
    const name = random(IMAGE.files);
    if (change % 6 === 0) write(IMAGE.files + change, 5000 + change);
    else write(name, 6000 + change);
  }
  return { what: "an image of ext4", before, after: await make(`${dir}/image-1`) };
}

/**
 * An archive of a tree of source files, and one of the same tree after lines were inserted in some.
 *
 * @returns undefined where `tar` is missing
 */
export async function changedArchive(
  dir: string,
  signal: AbortSignal,
): Promise<ChangedFile | undefined> {
  if (await versionOf("tar", "--version") === undefined) return undefined;
  const tree = `${dir}/source`;
  const random = randomNumbers(17);
  const line = () => {
    const words = Array.from({ length: 4 + random(8) }, () => WORDS[random(WORDS.length)]!);
    return `${" ".repeat(2 * random(4))}${words.join(" ")} ${random(100_000)};\n`;
  };
  const pathOf = (file: number) => `${tree}/${file % 40}/file-${file}.ts`;
  for (let file = 0; file < TREE.files; file++) {
    Deno.mkdirSync(`${tree}/${file % 40}`, { recursive: true });
    const lines = Array.from({ length: 1 + random(TREE.lines) }, line);
    Deno.writeTextFileSync(pathOf(file), lines.join(""));
  }
  const pack = async (path: string) => {
    const args = ["--sort=name", "-C", dir, "-cf", path, "source"];
    await succeed("tar", spawn("tar", args), signal);
    return path;
  };
  const before = await pack(`${dir}/archive-0`);
  for (let change = 0; change < TREE.changes; change++) {
    const path = pathOf(random(TREE.files));
    const lines = Deno.readTextFileSync(path).split("\n");
    lines.splice(random(lines.length), random(2), line().trimEnd());
    Deno.writeTextFileSync(path, lines.join("\n"));
  }
  return { what: "a tar of changed sources", before, after: await pack(`${dir}/archive-1`) };
}

const WORDS =
  "const let function return import export if else for while of in new class type await \
async this value name size path bytes file error options result length offset state".split(" ");

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}
