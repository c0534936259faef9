/**
 * Publishes the files of a root in groups. Decides what happens if the name is taken, or is on another file system.
 *
 * @module
 */

import { algorithmOf } from "../../../lib/core/checksum.ts";
import type { Committed } from "../../../lib/files/commit.ts";
import { copyContent } from "./tree_copy.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { LocalFile } from "../../../lib/files/local_file.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { ParentDirectories } from "./parent_directories.ts";
import { GroupCommit, type Publication } from "../../../lib/files/group_commit.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";
import { checksumOf } from "./stored_file.ts";

/** Creates the publisher of a root. Each publication is confined to the root of its request. */
export function publisherOf(served: ServedRoot): GroupCommit<Root> {
  const { quota, durable } = served;
  return new GroupCommit({
    durable,
    rooms: () => new ParentDirectories(served.root),
    ...(quota.isLimited ? { onReplaced: (file) => quota.lost(file) } : {}),
    onTaken: (publication) => keepIfSame(served, publication),
    onApart: (publication) => bringOver(served, publication),
  });
}

/** Keeps an existing file of that name if it is identical to the new one. */
async function keepIfSame(
  served: ServedRoot,
  { name, checksum, staged, within: root = served.root }: Publication<Root>,
): Promise<Committed> {
  let there: Deno.FileInfo | undefined;
  try {
    using place = root.find(name);
    there = place.info;
  } catch {
    // It was removed meanwhile, or is a link that is dangling or leads out of the root.
  }
  if (there?.isDirectory) throw new FerryError("not_a_file", "it is a directory");
  const same = there?.isFile && there.size === staged.size &&
    await checksumOf(served, root, name, algorithmOf(checksum)!) === checksum;
  if (same) return { checksum, size: there!.size, unchanged: true };
  throw new FerryError("exists", "another file has that name");
}

/** Copies a file that was staged on another file system than its name is on, and publishes the copy. */
async function bringOver(
  served: ServedRoot,
  publication: Publication<Root>,
): Promise<Committed> {
  const { name, staged, checksum, within: root = served.root } = publication;
  await served.assertWritable();
  using directory = root.nearest(name);
  await using copy = served.areas.beside(directory).create(name, staged.size);
  if (staged.hasHoles) copy.staged.makeHoles();
  await using source = LocalFile.of(openExactly(staged.path, { read: true }), served.runtime);
  const { durable, closing: signal } = served;
  const algorithm = algorithmOf(checksum)!;
  if (await copyContent(source, copy.staged, algorithm, { durable, signal }) !== checksum) {
    throw new FerryError("io", "the file system returns other bytes than were written");
  }
  return await served.publisher.publish({
    ...publication,
    staged: copy.staged,
    broughtOver: true,
    onNaming: () => copy.unrecord(),
  });
}
