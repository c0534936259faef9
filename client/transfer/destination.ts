/**
 * Where a download goes that is no regular file: devices, named pipes, descriptors that are open already, and
 * what a program gives. They are written into, while a regular file is replaced.
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

/** Where a download goes: the path of a regular file, or what takes the bytes as they come. */
export type Destination = string | Outlet;

/** What an {@linkcode Outlet} hands the bytes of a download to. */
export interface OutletTarget {
  /** Takes all the bytes; they may be overwritten when it resolves. What is a program's is waited for. */
  write(bytes: Uint8Array, waitFor: WaitFor): Promise<void>;
  /** Forgets what it has taken: the same bytes come once more. */
  restart?(): void;
  /** Called behind the last byte, when all of them have been verified. What is a program's is waited for. */
  finish?(waitFor: WaitFor): Promise<void> | void;
  /** Called where what it has taken is not the file. */
  fail?(reason: unknown): Promise<void> | void;
}

/** Takes the bytes of a download as they come. */
export class Outlet {
  readonly #target: OutletTarget;
  #untouched = true;

  /** An outlet that has taken nothing. */
  constructor(target: OutletTarget) {
    this.#target = target;
  }

  /** Whether a download may be tried again: it has given no bytes, or its target can forget them. */
  get repeatable(): boolean {
    return this.#untouched || this.#target.restart !== undefined;
  }

  /** Begins a try, and gives what takes its bytes. */
  begin(waitFor: WaitFor): ByteSink {
    this.#target.restart?.();
    return {
      write: (bytes) => {
        this.#untouched = false;
        return this.#target.write(bytes, waitFor);
      },
    };
  }

  /** Says that all bytes have come and were verified. */
  async finish(waitFor: WaitFor): Promise<void> {
    this.#untouched = false;
    await this.#target.finish?.(waitFor);
  }

  /** Says that what has come is not the file. */
  async fail(reason: unknown): Promise<void> {
    await this.#target.fail?.(reason);
  }
}

/** Where nothing comes. */
function nowhere(): Outlet {
  return new Outlet({ write: () => Promise.resolve() });
}

const TAKEN = "a path, a file: URL, a WritableStream of bytes or an object that can write()";

/**
 * Where a download goes that a program has given a destination for. A stream is locked from then on, and a device or
 * a named pipe is opened, unless nothing will come.
 *
 * @throws {FerryError} `usage` for what takes no bytes; `denied`, `not_a_file`, `io` for what cannot be opened; the
 * signal's reason where that gave up
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
  // The write() of an open file and its like takes only some of the bytes.
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
    // A stream may keep what it was given.
    write: (bytes, waitFor) => waitFor(() => writer.write(bytes.slice())),
    async finish(waitFor) {
      await waitFor(() => writer.close());
      writer.releaseLock();
    },
    fail(reason) {
      // One that is busy with a piece may never be done with it.
      void writer.abort(reason).catch(() => {});
      writer.releaseLock();
    },
  });
}

/** How many symbolic links may follow each other; Linux has that limit, too. */
const MAX_LINKS = 40;

/** Whether a path leads to something that is written into and not replaced. */
export function isStream(path: string): boolean {
  if (descriptorOf(path) !== undefined) return true;
  try {
    const { isFile, isDirectory } = Deno.statSync(path);
    return !isFile && !isDirectory;
  } catch {
    return false;
  }
}

/** Whether a path leads to this process's standard output, as `/dev/stdout` does. */
export function isStandardOutput(path: string): boolean {
  return descriptorOf(path) === 1;
}

/**
 * Opens what {@linkcode isStream} is true for. A named pipe is waited for until somebody reads from it.
 *
 * @throws {FerryError} `denied`, `not_a_file`, `io`; the signal's reason where that gave up
 */
async function openStream(path: string, signal: AbortSignal | undefined): Promise<Outlet> {
  const descriptor = descriptorOf(path);
  // These are open, and to open them once more would begin at the start of a file.
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
    // To open it says why.
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
 * The number of the descriptor of this process that a path stands for; undefined where it stands for none.
 *
 * It goes by the names: where a descriptor is one of a regular file, nothing else shows that the path is not
 * that file's.
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

/** What something is that is neither a file nor a directory. */
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
