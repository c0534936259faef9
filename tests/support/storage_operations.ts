/**
 * All operations of a storage, for tests of one whose directory has disappeared.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { parseFileName as name } from "../../lib/core/remote_name.ts";
import type { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { listed } from "./stored_files.ts";

/** The operations of a storage that contains `file` and `d/file`. */
export const OPERATIONS: Readonly<Record<string, (storage: FsStorage) => unknown>> = {
  assertServing: (s) => s.assertServing(),
  stat: (s) => s.stat(name("file")),
  "stat of the root": (s) => s.stat(""),
  "stat of nothing": (s) => s.stat(name("nothing")),
  find: (s) => s.find(name("file")),
  list: (s) => listed(s),
  open: (s) => s.open(name("d/file"), "md5"),
  checksum: (s) => s.checksum(name("file"), "sha256"),
  assertFits: (s) => s.assertFits(name("new"), 1),
  create: (s) => s.create(name("d/new"), { size: 1, replace: false }),
  "create anew": (s) => s.create(name("d/new"), { size: 1, replace: true }),
  "create a resumable": (s) => s.partialUploads.create(name("d/new"), { size: 9_000_000 }),
  "find partial uploads": (s) => s.partialUploads.find(name("part"), { size: 9_000_000 }),
  resume: (s) => s.partialUploads.resume("none.part", { algorithm: "md5" }),
  "list of partial uploads": (s) => s.partialUploads.list(),
  discard: (s) => s.partialUploads.discard("none.part"),
  expire: (s) => s.partialUploads.expire(0),
  remove: (s) => s.remove(name("d"), { recursive: true }),
  move: (s) => s.move(name("file"), name("d/moved"), { replace: true }),
  mkdir: (s) => s.mkdir(name("e/f")),
  "create a link": (s) => s.links!.create(name("d/link"), "file", { replace: true }),
  "find a link": (s) => s.links!.find(name("d/link")),
  "check a link": (s) => s.links!.assertKept(name("d/link"), "file"),
  findAll: async (s) => {
    const [found] = await s.findAll([name("file")]);
    if (found instanceof FerryError) throw found;
  },
};
