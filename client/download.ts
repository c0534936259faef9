/**
 * How a file comes down: into a part beside its final name, verified, flushed, and only then renamed. A part
 * that was cut stays, and the next try goes on behind it.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { basename, dirname } from "@std/path";
import { md5Of, type PrefixFacts, prefixFacts } from "../lib/checksum.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import { parseReply } from "../lib/header.ts";
import { LocalFile } from "../lib/local_file.ts";
import { decideOverwrite, type FileState } from "../lib/overwrite.ts";
import {
  goOnWith,
  type PartRecord,
  readRecord,
  removeRecord,
  RESUMABLE_BYTES,
  writeRecord,
} from "../lib/partial.ts";
import { StagedFile, syncDirectory } from "../lib/staging.ts";
import type { ByteSink } from "../lib/storage.ts";
import { digestOf, receive, type Verified } from "../lib/transfer.ts";
import type { Frame } from "../lib/wire.ts";
import type { GetOptions, Transferred } from "./options.ts";
import type { Connection } from "./connection.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions extends GetOptions {
  /** Whether the modification time is kept in any case. */
  keepTime?: boolean | undefined;
}

/** Downloads a file. */
export async function download(
  connection: Connection,
  filename: string,
  options: DownloadOptions,
): Promise<Transferred> {
  const { overwrite = "never", out = basename(filename) } = options;
  if (typeof out !== "string") return await pour(connection, filename, out, options);
  const existing = lookAt(out);
  if (existing) {
    const incoming = await connection.ask("entry", { op: "stat", filename });
    let decision = decideOverwrite(overwrite, incoming, existing);
    if (decision === "hash") {
      await using file = LocalFile.open(out);
      existing.md5 = (await digestOf(file)).md5;
      decision = decideOverwrite(overwrite, incoming, existing);
    }
    if (decision === "exists") throw new FerryError("exists", `another file is at ${quote(out)}`);
    if (decision === "have") {
      const { md5, size } = incoming;
      const crossed = { transferred: 0, resumedFrom: 0 };
      return { filename, md5: md5 ?? "", size, skipped: true, ...crossed };
    }
  }
  const { staged, record, prefix } = await openPart(out, filename, options.resume !== false);
  await using _staged = staged;
  try {
    return await connection.fetch({
      op: "get",
      filename,
      ...(prefix ? { offset: prefix.size, if_md5: record?.md5, prefix_md5: prefix.md5 } : {}),
    }, (reply) => store(reply, { staged, record, out, filename, options }));
  } catch (error) {
    // Also where the connection was lost before the reply: the part of an earlier try is still good.
    const { code } = toFerryError(error);
    const cut = code === "closed" || code === "timeout";
    if (cut && readRecord(staged.path)) staged.keep();
    else removeRecord(staged.path);
    throw error;
  }
}

/** Hands a file on as it comes. */
async function pour(
  connection: Connection,
  filename: string,
  sink: ByteSink,
  { onProgress }: DownloadOptions,
): Promise<Transferred> {
  return await connection.fetch({ op: "get", filename }, async ({ header, body }) => {
    const { size } = parseReply("get", header);
    let bytes = 0;
    const onBytes = (count: number) =>
      onProgress?.({ filename, bytes: bytes += count, total: size });
    const { md5 } = assertWhole(size, await receive(body, sink, { onBytes }));
    return { filename, md5, size, skipped: false, transferred: size, resumedFrom: 0 };
  });
}

interface Target {
  staged: StagedFile;
  record: PartRecord | undefined;
  out: string;
  filename: string;
  options: DownloadOptions;
}

async function store({ header, body }: Frame, target: Target): Promise<Transferred> {
  const { staged, record, out, filename, options } = target;
  const { onProgress, overwrite = "never", preserve, durability = "full" } = options;
  const { size, mtime, mode, offset } = parseReply("get", header);
  if (offset !== 0 && offset !== record?.prefix.size) {
    throw new FerryError("bad_header", "the server goes on where nobody asked it to");
  }
  if (record && offset === 0) {
    // It is not a part of what the server has now.
    staged.truncate(0);
    removeRecord(staged.path);
  }
  const keep = (prefix: PartRecord["prefix"]) => {
    writeRecord(staged.path, { filename, size, md5: header.md5, prefix });
    return Promise.resolve();
  };
  let bytes = offset;
  const received = await receive(body, staged, {
    prefix: offset > 0 ? record?.prefix : undefined,
    ...(size > RESUMABLE_BYTES ? { checkpoint: keep } : {}),
    onBytes: (count) => onProgress?.({ filename, bytes: bytes += count, total: size }),
  });
  const { md5 } = assertWhole(size, received);
  if (preserve) staged.stamp({ mtime, mode });
  else if (options.keepTime) staged.stamp({ mtime });
  if (durability === "full") await staged.sync();
  staged.publish(out, { replace: overwrite !== "never" });
  removeRecord(staged.path);
  if (durability === "full") await syncDirectory(dirname(out));
  return { filename, md5, size, skipped: false, transferred: size - offset, resumedFrom: offset };
}

/**
 * No md5 protects a header: a length that was damaged on its way shows beside the file's size.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertWhole(size: number, received: Verified): Verified {
  if (received.size === size) return received;
  throw new FerryError("checksum_mismatch", `${received.size} of ${size} bytes came`);
}

/** How long another process may have the part before this one gets a part of its own. */
const CLAIM = { tries: 10, pause: 50 };

/**
 * The part of a download, with its record where there is something to go on from. Its name follows from the
 * final one; if another process is at it, this one gets a part of its own.
 */
async function openPart(
  out: string,
  filename: string,
  resume: boolean,
): Promise<{ staged: StagedFile; record?: PartRecord; prefix?: PrefixFacts }> {
  const directory = dirname(out);
  const path = `${directory}/.ferry-${md5Of(new TextEncoder().encode(basename(out)))}.part`;
  let staged = StagedFile.claim(path, { create: true });
  for (let tries = 1; !staged && tries < CLAIM.tries; tries++) {
    await delay(CLAIM.pause);
    staged = StagedFile.claim(path, { create: true });
  }
  if (!staged) return { staged: StagedFile.create(directory, { prefix: ".ferry-" }) };
  const record = resume ? readRecord(path) : undefined;
  if (record?.filename === filename) {
    // A state that nobody can read any more is worth nothing.
    const prefix = await prefixFacts(record.prefix).catch(() => undefined);
    if (prefix && await goOnWith(staged, record)) return { staged, record, prefix };
  }
  staged.truncate(0);
  removeRecord(path);
  return { staged };
}

/** What is at a local path; undefined where nothing is. */
function lookAt(path: string): FileState | undefined {
  try {
    const { size, mtime, isDirectory } = Deno.statSync(path);
    if (isDirectory) throw new FerryError("not_a_file", `${quote(path)} is a directory`);
    return { size, mtime: mtime?.getTime(), md5: null };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw toFerryError(error);
  }
}
