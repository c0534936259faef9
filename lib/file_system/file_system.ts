/**
 * Describes which guarantees a file system gives. This module decides by its type; what has to be found out by trial is
 * in `file_system_trial.ts`.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { PLATFORM } from "../core/platform.ts";

/** The guarantees of a file system. */
export interface FileSystem {
  /**
   * Whether each file has its own device and inode number, which no other file has and which are the same through every
   * mount.
   */
  readonly numbersFiles: boolean;
  /** Whether every failed write is reported, at the latest by the flush of the file. */
  readonly honestWrites: boolean;
  /** Whether replacing a file is atomic, so that the name is never missing for a moment. */
  readonly atomicReplacement: boolean;
  /** Whether the names in a flushed directory survive a power failure. */
  readonly durableNames: boolean;
  /** Whether a directory that is held open stays the same when another one gets its name. */
  readonly heldDirectories: boolean;
  /** Whether permission bits are stored as they are set. */
  readonly modes: boolean;
  /** The resolution of modification times in milliseconds, at least 1; undefined if they are not stored. */
  readonly timeStep: number | undefined;
  /** Whether a file can have several hard links. */
  readonly hardLinks: boolean;
  /** Whether names that differ only in case are different names. */
  readonly caseSensitive: boolean;
}

/**
 * The magic numbers (statfs(2)) of Linux's file systems that are part of the kernel and store files on a disk or in the
 * memory of this machine, with their names. They flush when told to, report every error, and replace names atomically.
 */
const LOCAL: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext2, ext3, ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0xf2f52010, "f2fs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
  [0xca451a4e, "bcachefs"],
  [0x3153464a, "jfs"],
  [0x3434, "nilfs2"],
  [0xf15f, "ecryptfs"],
  [0x4d44, "vfat"],
  [0x2011bab0, "exfat"],
  [0x7366746e, "ntfs3"],
  [0x482b, "hfs+"],
  [0x73717368, "squashfs"],
  [0xe0f5e1e2, "erofs"],
  [0x9660, "iso9660"],
  [0x15013346, "udf"],
]);

/** Those of them that give each file a permanent inode number. */
const NUMBERED: ReadonlySet<number> = new Set([
  0xef53,
  0x58465342,
  0x9123683e,
  0xf2f52010,
  0x01021994,
]);

/** The guarantees of a file system without shortcomings. */
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
 * The magic number of all FUSE file systems. Most of them identify files by their paths: a directory that is held open
 * turns into another one when that gets its path on the underlying file system. A trial would not notice that, and may
 * do harm: rclone mounts lose files that are created in place of a directory that was moved.
 */
const FUSE = 0x65735546;

/**
 * The guarantees of the file system of a path, judged by its type without a trial. FUSE and network file systems are
 * assumed not to give guarantees that a trial cannot verify.
 */
export function fileSystemAt(path: string): FileSystem {
  // On systems other than Linux the magic numbers mean something else, and file systems that show the files of others
  // are rare.
  if (!PLATFORM.leadsToDescriptors) return { ...WHOLE, heldDirectories: false };
  let type: number | undefined;
  try {
    ({ type } = statfsSync(path));
  } catch {
    // Then the type is unknown.
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

/** The same of file systems that are not among {@linkcode LOCAL}. */
const OTHERS: ReadonlyMap<number, string> = new Map([
  [FUSE, "FUSE"],
  [0x6969, "NFS"],
  [0xff534d42, "SMB"],
  [0xfe534d42, "SMB"],
  [0x00c36400, "CephFS"],
  [0x01021997, "9p"],
]);

/** The file systems that keep files in memory. */
const VOLATILE: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** How much a file system has, and how much of it is free for this user. */
export interface Room {
  /** Its name, or its magic number. */
  readonly name: string;
  /** Whether it keeps files in memory, so that they are gone after a restart. */
  readonly isVolatile: boolean;
  /** Bytes, in all and free; 0 in all if the size is not known. */
  readonly bytes: number;
  readonly freeBytes: number;
  /** Inodes, in all and free; 0 in all if it has no fixed number of them. */
  readonly inodes: number;
  readonly freeInodes: number;
}

/**
 * What the file system of a path is, and what room it has.
 *
 * @throws the runtime's error if that cannot be found out
 */
export function roomAt(path: string): Room {
  const { type, bsize, blocks, bavail, files, ffree } = statfsSync(path);
  return {
    name: LOCAL.get(type) ?? OTHERS.get(type) ?? `0x${type.toString(16)}`,
    isVolatile: VOLATILE.has(type),
    bytes: bsize * blocks,
    freeBytes: bsize * bavail,
    inodes: files,
    freeInodes: ffree,
  };
}

/** Options of {@linkcode shortcomingsOf}. */
export interface ReliedOn {
  /** Whether files are written. */
  writable: boolean;
  /** Whether they are to survive a power failure. */
  durable: boolean;
}

/** What a server cannot guarantee on a file system, as English sentences. */
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
