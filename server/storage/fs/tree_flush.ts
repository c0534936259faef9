/**
 * Flushes all files and directories of a staged tree before it is published.
 *
 * @module
 */

import { closeSync, fsync, openSync } from "node:fs";
import { fileError } from "../../../lib/core/errors.ts";
import { type FileName, joinName } from "../../../lib/core/remote_name.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import { settled } from "../../../lib/files/descriptor_file.ts";
import { syncDirectory } from "../../../lib/files/directory_flush.ts";
import { inParallel } from "../in_parallel.ts";
import type { Directory } from "./open_directory.ts";
import { pathIn } from "./tree_contents.ts";

/**
 * How many files are flushed at the same time: as many as there are threads for that. A journal writes what is flushed
 * together in one go, which takes much less time than one flush after the other.
 */
const FLUSHED_AT_ONCE = 32;

/** Options of {@linkcode flushFiles}. */
export interface FlushOptions {
  /** Whether they are flushed; otherwise they are only counted. */
  durable: boolean;
  /** Ends the work with the signal's abort reason. */
  signal: AbortSignal;
}

/**
 * Flushes all files of a tree concurrently, then its directories.
 *
 * @returns how many files there are, and their size in bytes
 * @throws {FerryError} `io`, `no_space`, …
 */
export async function flushFiles(
  top: Directory,
  { durable, signal }: FlushOptions,
): Promise<{ files: number; bytes: number }> {
  const found = { files: 0, bytes: 0 };
  const directories: string[] = [];
  const paths = filesBelow(top, directories, found, signal);
  if (!durable) {
    for await (const _ of paths);
    return found;
  }
  await inParallel(FLUSHED_AT_ONCE, paths, flush);
  await inParallel(FLUSHED_AT_ONCE, directories, (name) => syncDirectory(pathIn(top, name)));
  return found;
}

/** The paths of the files of a tree. Adds its directories to `directories`, and counts the files. */
async function* filesBelow(
  top: Directory,
  directories: string[],
  found: { files: number; bytes: number },
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const pace = new Pace();
  const left: (FileName | "")[] = [""];
  for (let directory; (directory = left.pop()) !== undefined;) {
    directories.push(directory);
    for (const { name, isDirectory, isFile } of Deno.readDirSync(pathIn(top, directory))) {
      signal.throwIfAborted();
      if (pace.isDue) await pace.rest();
      const inside = joinName(directory, name);
      if (isDirectory) left.push(inside);
      if (!isFile) continue;
      const path = top.at(inside);
      found.files++;
      found.bytes += Deno.lstatSync(path).size;
      yield path;
    }
  }
}

async function flush(path: string): Promise<void> {
  try {
    const descriptor = openSync(path, "r");
    try {
      await settled((done) => fsync(descriptor, done));
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw fileError(error);
  }
}
