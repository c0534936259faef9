/**
 * What a file system keeps of what programs rely on. What its type tells is here; what takes a trial is in
 * `file_system_trial.ts`.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { PLATFORM } from "../core/platform.ts";

/** What a file system does, and what of it may not be relied on. */
export interface FileSystem {
  /** Whether each file has a device and inode number that no other file of it has, whatever other mount shows it. */
  readonly numbersFiles: boolean;
  /** Whether each error of a write is told at the latest by the flush of the file. */
  readonly honestWrites: boolean;
  /** Whether a file that is replaced is never missing for a moment. */
  readonly atomicReplacement: boolean;
  /** Whether a flushed directory keeps its names when the power fails. */
  readonly durableNames: boolean;
  /** Whether a directory that is held open stays itself when another one gets its name. */
  readonly heldDirectories: boolean;
  /** Whether permission bits stay as they are set. */
  readonly modes: boolean;
  /** The step in which modification times are kept, in milliseconds, at least 1; undefined where they are not kept. */
  readonly timeStep: number | undefined;
  /** Whether a file can have several names. */
  readonly hardLinks: boolean;
  /** Whether names that differ in upper and lower case only are two. */
  readonly caseSensitive: boolean;
}

/**
 * The magic numbers of Linux's file systems (statfs(2)) that keep files on a disk or in memory of this machine and
 * are part of the kernel: it flushes what it is told to flush, tells each error, and replaces a name in one step.
 */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xf2f52010, // f2fs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x3153464a, // jfs
  0x3434, // nilfs2
  0xf15f, // ecryptfs
  0x4d44, // vfat
  0x2011bab0, // exfat
  0x7366746e, // ntfs3
  0x482b, // hfs+
  0x73717368, // squashfs
  0xe0f5e1e2, // erofs
  0x9660, // iso9660
  0x15013346, // udf
]);

/** Those of them that give each file a number for as long as it is there. */
const NUMBERED: ReadonlySet<number> = new Set([
  0xef53,
  0x58465342,
  0x9123683e,
  0xf2f52010,
  0x01021994,
]);

/** What there is to rely on where all is well. */
const WHOLE: FileSystem = {
  numbersFiles: true,
  honestWrites: true,
  atomicReplacement: true,
  durableNames: true,
  heldDirectories: true,
  modes: true,
  timeStep: 1,
  hardLinks: true,
  caseSensitive: true,
};

/**
 * The magic number of all that are in user space. Most of those know their files by paths: a directory that is held
 * open becomes another one when that gets its path by way of the files that they show. A trial would not see that,
 * and may do harm: rclone mounts lose what is made in place of a directory that was moved.
 */
const FUSE = 0x65735546;

/**
 * What the type of the file system tells that a path is on, without a trial. File systems in user space (FUSE) and
 * of other machines are not known to keep what a trial cannot show.
 */
export function fileSystemAt(path: string): FileSystem {
  // Elsewhere the numbers mean something else, and those that show others' files are rare.
  if (!PLATFORM.leadsToDescriptors) return { ...WHOLE, heldDirectories: false };
  let type: number | undefined;
  try {
    ({ type } = statfsSync(path));
  } catch {
    // Not to be known, then.
  }
  const local = type !== undefined && LOCAL.has(type);
  return {
    ...WHOLE,
    numbersFiles: type !== undefined && NUMBERED.has(type),
    honestWrites: local,
    atomicReplacement: local,
    durableNames: type !== FUSE,
    heldDirectories: type !== FUSE,
  };
}

/** Options of {@linkcode shortcomingsOf}. */
export interface ReliedOn {
  /** Whether files are written. */
  writable: boolean;
  /** Whether they are to survive a loss of power. */
  durable: boolean;
}

/** What a server cannot promise on a file system, as sentences. */
export function shortcomingsOf(
  { durableNames, heldDirectories, modes, timeStep, atomicReplacement }: FileSystem,
  { writable, durable }: ReliedOn,
): string[] {
  const times = timeStep === undefined ? "not kept" : `kept in steps of ${timeStep / 1000} s`;
  const sentences: readonly [missing: boolean, sentence: string][] = [
    [
      !heldDirectories && PLATFORM.leadsToDescriptors,
      "directories cannot be held open here: a link that another program swaps in during a request may be followed",
    ],
    [
      writable && durable && !durableNames,
      "names may be lost here when the power fails: nothing makes sure that they are on the disk",
    ],
    [
      writable && !atomicReplacement,
      "a file that is replaced here may be missing for a moment",
    ],
    [writable && !modes && PLATFORM.permissionBits, "permission bits are not kept here"],
    [writable && timeStep !== 1, `modification times are ${times} here`],
  ];
  return sentences.filter(([missing]) => missing).map(([, sentence]) => sentence);
}
