/**
 * Where a download goes that is no regular file: devices, named pipes, descriptors that are open already.
 * They are written into, while a regular file is replaced.
 *
 * @module
 */

import { FerryError, fileError } from "../lib/errors.ts";
import { dirname, isAbsolute, join } from "../lib/path.ts";
import type { ByteSink } from "../lib/storage.ts";

/** Something that takes bytes as they come, and is closed behind the last. */
export interface Stream extends ByteSink, Disposable {}

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
export async function openStream(path: string, signal: AbortSignal | undefined): Promise<Stream> {
  const descriptor = descriptorOf(path);
  // These are open, and to open them once more would begin at the start of a file.
  if (descriptor === 1) return streamInto(path, Deno.stdout);
  if (descriptor === 2) return streamInto(path, Deno.stderr);
  const opening = Deno.open(path, { write: true });
  const gaveUp = Promise.withResolvers<never>();
  const giveUp = () => gaveUp.reject(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  if (signal?.aborted) giveUp();
  try {
    const file = await Promise.race([opening, gaveUp.promise]);
    return streamInto(path, file, () => file.close());
  } catch (error) {
    opening.then((file) => file.close(), () => {});
    if (signal?.aborted) throw error;
    throw failure(path, error);
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

function streamInto(
  path: string,
  stream: { write(bytes: Uint8Array): Promise<number> },
  close: () => void = () => {},
): Stream {
  return {
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
      } catch (error) {
        throw failure(path, error);
      }
    },
    [Symbol.dispose]: close,
  };
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
