/**
 * The checks that are made on each file system: the columns of the table.
 *
 * @module
 */

import { below, list, move, remove } from "./directories.ts";
import { full, gone, remount, start } from "./limits.ts";
import { second } from "./machines.ts";
import { modes, names, times } from "./properties.ts";
import { again, cut, get, put, replace } from "./transfers.ts";
import type { Trial } from "./trial.ts";

/** A column of the table. */
export interface Check {
  /** The heading of the column. */
  name: string;
  /** The explanation for readers of the table. */
  meaning: string;
  /** Whether the check is made on read-only file systems, too. */
  readOnly?: true;
  /** Makes the check, and returns the table cell; throws where something does not hold. */
  run(trial: Trial): Promise<string>;
}

/** The checks in the order in which they are made, the start first: later ones use the files of earlier ones. */
export const CHECKS: readonly Check[] = [
  {
    name: "start",
    meaning: "what ferryd says at its start that it cannot guarantee there, in the words below",
    readOnly: true,
    run: start,
  },
  {
    name: "put",
    meaning: "uploaded files of all sizes, and uploads of standard input, are stored byte for byte",
    readOnly: true,
    run: put,
  },
  {
    name: "get",
    meaning: "files that are downloaded to it are stored byte for byte",
    readOnly: true,
    run: get,
  },
  {
    name: "cut",
    meaning:
      "interrupted transfers resume, in both directions, also after `kill -9` of either program",
    run: cut,
  },
  {
    name: "replace",
    meaning:
      "a replaced file keeps its permission bits; a reader sees the old file or the new one; with a _gap_, it may find no file for a moment",
    run: replace,
  },
  { name: "modes", meaning: "whether permission bits are kept with `-p`", run: modes },
  { name: "times", meaning: "how exactly modification times are kept", run: times },
  {
    name: "again",
    meaning:
      "a second transfer of a directory transfers nothing, with any `--overwrite`, and later only a file that has changed",
    run: again,
  },
  {
    name: "names",
    meaning: "names that cannot be stored; each is an error, and the other files are stored",
    run: names,
  },
  {
    name: "mv",
    meaning: "files and directories are renamed, also if only the case of letters changes",
    run: move,
  },
  {
    name: "rm -r",
    meaning:
      "a directory is removed while a file in it is open, and nothing of it is listed afterwards",
    run: remove,
  },
  {
    name: "mount below",
    meaning: "another file system below the root takes uploads, and `mv` crosses to and from it",
    run: below,
  },
  { name: "list", meaning: "names, sizes and types are right", readOnly: true, run: list },
  {
    name: "full",
    meaning:
      "a full file system results in `no_space`, in both directions, and acknowledged files are kept",
    run: full,
  },
  {
    name: "remount",
    meaning: "after it is mounted again, every file is there, with its own md5",
    run: remount,
  },
  {
    name: "gone",
    meaning:
      "after an unmount, or the end of the file system's program, requests fail with `io`, and ferryd goes on once it is mounted again",
    run: gone,
  },
  {
    name: "second",
    meaning:
      "a second ferryd on another machine is refused while the first one or its lock lives, and goes on with what that has left; what another machine replaces is read as it was or as it is",
    run: second,
  },
];
