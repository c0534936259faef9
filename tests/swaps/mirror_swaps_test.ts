/**
 * A second process swaps a directory for a symbolic link to another one in the same root, as fast as it can, while a
 * mirror deletes what is in the directory: nothing in the other one may go.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { LocalRemoval } from "../../client/transfer/local_removal.ts";
import { extentOf } from "../support/extent.ts";
import { Ferryd, HOLDS_DIRECTORIES, TempDir } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { Swapper } from "./swapper.ts";

/** The least number of swaps, in all tests together. */
const SWAPS = extentOf("FERRY_SWAPS") ?? 4000;

/** How many files are deleted. */
const FILES = 50;

const ignore = !HOLDS_DIRECTORIES;
const notHeld = ignore ? " (ignored: no directory can be held here)" : "";

/** A directory `t/d`, and a link `t/link` beside it to another directory with the same names. */
function makeTree(dir: TempDir): void {
  for (const name of ["t/d/deep", "else/deep"]) {
    Deno.mkdirSync(dir.join(name), { recursive: true });
    for (let file = 0; file < FILES; file++) dir.write(`${name}/${file}`, "x");
  }
  Deno.symlinkSync("../else", dir.join("t/link"));
}

function count(path: string): number {
  return [...Deno.readDirSync(path)].length;
}

/** Deletes every file again and again while names are swapped, until all that may go are gone. */
async function deleteAll(dir: TempDir, remove: (name: string) => Promise<unknown>): Promise<void> {
  await using swapper = new Swapper(["t/d", "t/link"].map((name) => dir.join(name)));
  const left = new Set(Array.from({ length: FILES }, (_, file) => `d/deep/${file}`));
  let refused = 0;
  while (left.size > 0 || swapper.count < SWAPS / 2) {
    // What the swapper writes is read only when nothing else is to be done.
    await delay(0);
    // What is gone is asked for all the same: it is still in the other directory.
    for (let file = 0; file < FILES; file++) {
      const name = `d/deep/${file}`;
      if (await remove(name)) left.delete(name);
      else refused++;
    }
  }
  await swapper.stop();
  assert(refused > 0, "no swap was met");
  assertEquals([count(dir.join("else/deep")), count(dir.join("t/d/deep"))], [FILES, 0]);
}

Deno.test({
  name: `a mirror on this machine deletes nothing behind a link that is swapped in${notHeld}`,
  ignore,
  async fn() {
    await using dir = new TempDir();
    makeTree(dir);
    using removal = new LocalRemoval(dir.join("t"), undefined);
    const remove = (name: string) => {
      const entry = { name, type: "file", size: 1, checksum: null } as const;
      return removal.remove(entry).then(() => true, () => false);
    };
    await deleteAll(dir, async (name) => {
      // The last directory is held open: with another one between, each is opened again.
      await remove("absent/file");
      return await remove(name);
    });
  },
});

Deno.test({
  name:
    `ferryd deletes and moves nothing behind a link that is swapped in below \`within\`${notHeld}`,
  ignore,
  async fn() {
    await using dir = new TempDir();
    makeTree(dir);
    await using server = await Ferryd.start(dir.path, ["--durability", "none"]);
    using peer = await RawPeer.connect(server.port);
    let turn = 0;
    await deleteAll(dir, async (name) => {
      const filename = `t/${name}`;
      const to = `moved/${turn++}`;
      const ask = turn % 2 === 0 ? { op: "remove" } : { op: "move", to };
      await peer.send({ ...ask, filename, within: "t" });
      const { header } = (await peer.receive())!;
      return header.status === "ok" || header.code === "not_found";
    });
  },
});
