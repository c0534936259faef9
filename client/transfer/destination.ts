/**
 * Destinations of a download that are not regular files: devices, named pipes, open descriptors, and sinks of a
 * program. The bytes are written into them as they arrive, while a regular file is replaced as a whole.
 *
 * @module
 */

import { abortable } from "@std/async/abortable";
import { FerryError, fileError } from "../../lib/core/errors.ts";
import { dirname, isAbsolute, join } from "../../lib/core/paths.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { localPath } from "./local_path.ts";
import type { WaitFor } from "../net/connection_pool.ts";
import { describe } from "./source.ts";

/** The destination of a download: the path of a regular file, or an outlet that takes the bytes as they arrive. */
export type Destination = string | Outlet;

/** What an {@linkcode Outlet} passes the bytes of a download to. */
export interface OutletTarget {
  /** Takes all the bytes; the buffer may be reused when it resolves. A program's own sink is awaited by `waitFor`. */
  write(bytes: Uint8Array, waitFor: WaitFor): Promise<void>;
  /** Discards what it has taken: the same bytes will be written again. */
  restart?(): void;
  /** Called after the last byte, when all of them have been verified. A program's own sink is awaited by `waitFor`. */
  finish?(waitFor: WaitFor): Promise<void> | void;
  /** Called where the bytes that it has taken are not the file's. */
  fail?(reason: unknown): Promise<void> | void;
}

/** Takes the bytes of a download as they arrive. */
export class Outlet {
  readonly #target: OutletTarget;
  #untouched = true;

  /** An outlet that has taken no bytes yet. */
  constructor(target: OutletTarget) {
    this.#target = target;
  }

  /** Whether a download may be retried: no bytes have been written yet, or the target can discard them. */
  get repeatable(): boolean {
    return this.#untouched || this.#target.restart !== undefined;
  }

  /** Begins an attempt, and returns the sink for its bytes. */
  begin(waitFor: WaitFor): ByteSink {
    this.#target.restart?.();
    return {
      write: (bytes) => {
        this.#untouched = false;
        return this.#target.write(bytes, waitFor);
      },
    };
  }

  /** Reports that all bytes have arrived and were verified. */
  async finish(waitFor: WaitFor): Promise<void> {
    this.#untouched = false;
    await this.#target.finish?.(waitFor);
  }

  /** Reports that the bytes written so far are not the file's. */
  async fail(reason: unknown): Promise<void> {
    await this.#target.fail?.(reason);
  }
}

/** An outlet for a dry run, which nothing is written to. */
function nowhere(): Outlet {
  return new Outlet({ write: () => Promise.resolve() });
}

const TAKEN = "a path, a file: URL, a WritableStream of bytes or an object that can write()";

/**
 * Opens the destination that a program has given for a download. A stream is locked from then on, and a device or a
 * named pipe is opened, except in a dry run.
 *
 * @throws {FerryError} `usage` for a value that takes no bytes; `denied`, `not_a_file`, `io` for a path that cannot be
 * opened; the signal's reason where it was aborted
 */
export async function openDestination(
  out: string | URL | WritableStream<Uint8Array> | ByteSink,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal | undefined },
): Promise<Destination> {
  if (typeof out === "string" || out instanceof URL) {
    const path = localPath(out);
    if (!isStream(path)) return path;
    return dryRun ? nowhere() : await openStream(path, signal);
  }
  if (out instanceof WritableStream) {
    if (out.locked) {
      throw new FerryError("usage", "the stream is locked: something else is writing to it");
    }
    return dryRun ? nowhere() : intoStream(out.getWriter());
  }
  const object = typeof out === "object" && out !== null;
  // The write() of an open file and similar objects may write only some of the bytes.
  const partly = object && "writable" in out && out.writable instanceof WritableStream;
  if (!object || partly || typeof out.write !== "function") {
    const refused = `${describe(out)} takes no download${
      partly ? ", though its writable does" : ""
    }`;
    throw new FerryError("usage", `${refused}: give ${TAKEN}`);
  }
  return new Outlet({
    write: (bytes, waitFor) => waitFor(() => out.write(bytes), { toItsEnd: true }),
  });
}

function intoStream(writer: WritableStreamDefaultWriter<Uint8Array>): Outlet {
  return new Outlet({
    // A stream may keep the buffers that it was given.
    write: (bytes, waitFor) => waitFor(() => writer.write(bytes.slice())),
    async finish(waitFor) {
      await waitFor(() => writer.close());
      writer.releaseLock();
    },
    fail(reason) {
      // A stream that is busy with a write may never finish it, so this is not awaited.
      void writer.abort(reason).catch(() => {});
      writer.releaseLock();
    },
  });
}

/** The most symbolic links in a row that are followed; Linux has the same limit. */
const MAX_LINKS = 40;

/** Whether a path leads to something that is written into instead of replaced. */
export function isStream(path: string): boolean {
  if (descriptorOf(path) !== undefined) return true;
  try {
    const { isFile, isDirectory } = Deno.statSync(path);
    return !isFile && !isDirectory;
  } catch {
    return false;
  }
}

/** Whether a path leads to this process's standard output, such as `/dev/stdout`. */
export function isStandardOutput(path: string): boolean {
  return descriptorOf(path) === 1;
}

/**
 * Opens a path for which {@linkcode isStream} is true. Opening a named pipe waits until somebody reads from it.
 *
 * @throws {FerryError} `denied`, `not_a_file`, `io`; the signal's reason where it was aborted
 */
async function openStream(path: string, signal: AbortSignal | undefined): Promise<Outlet> {
  const descriptor = descriptorOf(path);
  // These descriptors are already open; opening the path again would write from the start of a file.
  if (descriptor === 1) return streamInto(path, Deno.stdout);
  if (descriptor === 2) return streamInto(path, Deno.stderr);
  assertNoSocket(path);
  const opening = Deno.open(path, { write: true });
  try {
    const file = await (signal ? abortable(opening, signal) : opening);
    return streamInto(path, file, () => file.close());
  } catch (error) {
    opening.then((file) => file.close(), () => {});
    if (signal?.aborted) throw error;
    throw failure(path, error);
  }
}

function assertNoSocket(path: string): void {
  try {
    if (!Deno.statSync(path).isSocket) return;
  } catch {
    // Opening the path reports the reason.
    return;
  }
  throw failure(path, new FerryError("not_a_file", "it is a socket"));
}

function streamInto(
  path: string,
  stream: { write(bytes: Uint8Array): Promise<number> },
  close: () => void = () => {},
): Outlet {
  return new Outlet({
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
      } catch (error) {
        throw failure(path, error);
      }
    },
    finish: close,
    fail: close,
  });
}

function failure(path: string, error: unknown): FerryError {
  const failure = error instanceof Deno.errors.BrokenPipe
    ? new FerryError("io", "nobody reads from it any more", { cause: error })
    : fileError(error);
  return failure.at({ side: "here", path });
}

/**
 * The number of the descriptor of this process that a path names; undefined for any other path.
 *
 * It goes by the names: where a descriptor is one of a regular file, nothing else shows that the path names the
 * descriptor and not the file.
 */
function descriptorOf(path: string): number | undefined {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    const number = descriptorNamed(at);
    if (number !== undefined) return number;
    try {
      const target = Deno.readLinkSync(at);
      at = isAbsolute(target) ? target : join(dirname(at), target);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

function descriptorNamed(path: string): number | undefined {
  const standard = ["/dev/stdin", "/dev/stdout", "/dev/stderr"].indexOf(path);
  if (standard >= 0) return standard;
  const [, pid, number] = /^(?:\/dev|\/proc\/(self|thread-self|\d+))\/fd\/(\d{1,9})$/.exec(path) ??
    [];
  const own = pid === undefined || !/^\d/.test(pid) || Number(pid) === Deno.pid;
  return number !== undefined && own ? Number(number) : undefined;
}

/** The kind, in words, of something that is neither a file nor a directory. */
export function kindOfSpecial(
  { isSymlink, isFifo, isSocket, isBlockDevice }: Pick<
    Deno.FileInfo,
    "isSymlink" | "isFifo" | "isSocket" | "isBlockDevice"
  >,
): string {
  if (isSymlink) return "symbolic link";
  if (isFifo) return "named pipe";
  if (isSocket) return "socket";
  return isBlockDevice ? "block device" : "character device";
}
