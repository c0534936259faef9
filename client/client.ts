/**
 * What can be asked of a server over one connection.
 *
 * @module
 */

import { basename } from "@std/path";
import { TextLineStream } from "@std/streams/text-line-stream";
import { createDigest, md5Of, sameDigest } from "../lib/checksum.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import {
  decodeEntry,
  type Entry,
  type HelloReply,
  parseReply,
  type Replies,
} from "../lib/header.ts";
import { LocalFile } from "../lib/local_file.ts";
import { decideOverwrite, type FileState, type Overwrite } from "../lib/overwrite.ts";
import type { Durability } from "../lib/staging.ts";
import type { ByteSource } from "../lib/storage.ts";
import { digestOf, sendSized } from "../lib/transfer.ts";
import { type Frame, type IncomingBody, MAX_DRAIN_BYTES, Wire } from "../lib/wire.ts";
import { download } from "./download.ts";

/** Options of everything that can be asked of a server. */
export interface RequestOptions {
  /** Gives up, and ends the connection: what had been sent of the request cannot be taken back. */
  signal?: AbortSignal | undefined;
}

/** How far a transfer is. */
export interface Progress {
  /** The name on the server. */
  filename: string;
  /** Bytes that have crossed. */
  bytes: number;
  /** Bytes that are to cross. */
  total: number;
}

/** Options of transfers in both directions. */
export interface TransferOptions extends RequestOptions {
  /** What to do when the name is taken; `never` unless told otherwise: an identical file is fine. */
  overwrite?: Overwrite | undefined;
  /** Whether the modification time and the permission bits are kept. */
  preserve?: boolean | undefined;
  /** Told after each piece. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of {@linkcode Client.put}. */
export interface PutOptions extends TransferOptions {
  /** The name on the server; the source's own name unless told otherwise. */
  as?: string | undefined;
  /** Whether a large file is read once more in advance, so that its md5 precedes it. */
  hashFirst?: boolean | undefined;
}

/** Options of {@linkcode Client.get}. */
export interface GetOptions extends TransferOptions {
  /** The path to store it at; the name's last part, in the working directory, unless told otherwise. */
  out?: string | undefined;
  /** Whether the file has to survive a loss of power; `full` unless told otherwise. */
  durability?: Durability | undefined;
}

/** What a transfer came to. */
export interface Transferred {
  /** The name on the server. */
  filename: string;
  /** The md5 of the whole file, verified by the receiving side. */
  md5: string;
  /** The size in bytes. */
  size: number;
  /** Whether nothing was changed because an identical or a newer file was there. */
  skipped: boolean;
  /** Bytes of the file that crossed. */
  transferred: number;
}

/** A file up to this size is read once, into memory, so that its md5 stands in front of it. */
const WHOLE_BYTES = 8 * 1024 * 1024;

/** How long the reason of a server that broke off is waited for. */
const REFUSAL_MS = 2000;

const LIST_READ_BYTES = 32 * 1024;

/** Ends the connection when the signal says so, until disposed of. */
export function closeOnAbort(wire: Wire, signal: AbortSignal | undefined): Disposable {
  const abort = () => wire.close(new FerryError("closed", "given up"));
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", abort) };
}

/** What an upload is announced with. */
interface PutHeader extends PutOptions {
  filename: string;
  mtime?: number | undefined;
  mode?: number | undefined;
}

/**
 * A connection to a server, made by {@linkcode connect}. Requests that are made at the same time are
 * sent one after the other.
 */
export class Client implements AsyncDisposable {
  readonly #wire: Wire;
  /** What the server said of itself. */
  readonly hello: HelloReply;
  #last: Promise<void> = Promise.resolve();

  /** A client on a connection that was greeted; use {@linkcode connect}. */
  constructor(wire: Wire, hello: HelloReply) {
    this.#wire = wire;
    this.hello = hello;
  }

  /** Whether the connection has ended, so that nothing more can be asked. */
  get closed(): boolean {
    return this.#wire.closed;
  }

  /**
   * Uploads a file, or bytes in memory. It is visible on the server only when it is whole and verified.
   *
   * @param source a path, or the bytes
   * @throws {FerryError} `exists`, `not_found`, `not_a_file`, `bad_name`, `denied`, `no_space`,
   * `checksum_mismatch`, `closed`, `timeout`, …
   */
  put(source: string | Uint8Array, options: PutOptions = {}): Promise<Transferred> {
    const filename = options.as ?? (typeof source === "string" ? basename(source) : "");
    const shown = typeof source === "string" ? source : filename;
    return this.#request(`put ${quote(shown)}`, options, async () => {
      if (typeof source !== "string") return await this.#putBytes(source, { ...options, filename });
      await using file = LocalFile.open(source);
      const header = { ...options, filename, ...kept(file, options) };
      return file.size <= WHOLE_BYTES
        ? await this.#putBytes(await readWhole(file), header)
        : await this.#putFile(file, header);
    });
  }

  async #putBytes(bytes: Uint8Array, options: PutHeader): Promise<Transferred> {
    const md5 = md5Of(bytes);
    const size = bytes.length;
    // What is small is sent without asking: refusing it costs no more than the question.
    const offered = size > MAX_DRAIN_BYTES
      ? await this.#offer({ ...options, size, md5 })
      : undefined;
    if (offered?.decision === "have") return skipped(options.filename, offered.md5 ?? md5, size);
    return await this.#send(sourceOf(bytes), { ...options, size, md5 });
  }

  async #putFile(file: LocalFile, options: PutHeader): Promise<Transferred> {
    const { size } = file;
    let md5: string | null = null;
    const hash = async () => {
      ({ md5 } = await digestOf(file));
      file.rewind();
    };
    if (options.hashFirst) await hash();
    let offered = await this.#offer({ ...options, size, md5 });
    if (offered.decision === "hash") {
      await hash();
      offered = await this.#offer({ ...options, size, md5 });
    }
    if (offered.decision === "have") return skipped(options.filename, offered.md5 ?? "", size);
    return await this.#send(file, { ...options, size, md5 });
  }

  /** Asks whether a file should be sent, before many bytes are sent in vain. */
  async #offer(options: PutHeader & SizeAndMd5): Promise<Replies["offer"]> {
    const { size, md5 } = options;
    await this.#wire.writeFrame({ ...putKeys(options), md5, total_size: 0, offer: true, size });
    return await this.#reply("offer");
  }

  async #send(source: ByteSource, options: PutHeader & SizeAndMd5): Promise<Transferred> {
    const { filename, size, md5, onProgress } = options;
    // The answer is awaited from the first byte on: one that comes early refuses, and saves the rest.
    let refusal: FerryError | undefined;
    const hold = this.#wire.hold();
    const replying = this.#reply("put").catch((error) => {
      refusal = toFerryError(error);
      throw refusal;
    });
    replying.catch(() => {});
    try {
      let bytes = 0;
      const sent = await sendSized(this.#wire, putKeys(options), source, {
        size,
        md5,
        onBytes: (count) => onProgress?.({ filename, bytes: bytes += count, total: size }),
        stop: () => refusal,
      });
      await this.#wire.flush();
      hold[Symbol.dispose]();
      const reply = await replying;
      if (!reply.unchanged && !sameDigest(reply.md5, sent.md5)) {
        const reason = `the server has ${reply.md5}, and ${sent.md5} was sent`;
        throw new FerryError("checksum_mismatch", reason);
      }
      const { unchanged } = reply;
      return { filename, md5: reply.md5, size: reply.size, skipped: unchanged, transferred: size };
    } catch (reason) {
      hold[Symbol.dispose]();
      const error = toFerryError(reason);
      if (this.#wire.writable) {
        // The body was ended with an error, and the server still answers it.
        await this.#wire.flush();
        await replying.catch(() => {});
        throw error;
      }
      // A server that refuses and hangs up may have said why before that.
      const hungUp = error.code === "closed" || error.code === "timeout";
      if (hungUp) await within(REFUSAL_MS, replying);
      this.#wire.close();
      throw hungUp && refusal ? refusal : error;
    }
  }

  /**
   * Downloads a file. It appears under its local name only when it is whole and verified.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`, `exists` where another local file has
   * the name, `no_space`, `checksum_mismatch`, `closed`, `timeout`, …
   */
  get(filename: string, options: GetOptions = {}): Promise<Transferred> {
    return this.#request(`get ${quote(filename)}`, options, async () => {
      const { onProgress, overwrite = "never", preserve, durability = "full" } = options;
      const out = options.out ?? basename(filename);
      const existing = lookAt(out);
      if (existing) {
        const incoming = await this.#ask("entry", { op: "stat", filename });
        let decision = decideOverwrite(overwrite, incoming, existing);
        if (decision === "hash") {
          await using file = LocalFile.open(out);
          existing.md5 = (await digestOf(file)).md5;
          decision = decideOverwrite(overwrite, incoming, existing);
        }
        if (decision === "have") return skipped(filename, incoming.md5 ?? "", incoming.size);
        if (decision !== "send") {
          throw new FerryError("exists", `another file is at ${quote(out)}`);
        }
      }
      await this.#wire.writeFrame({ op: "get", filename });
      const { header, body } = await this.#readReply();
      const { size, mtime, mode } = parseReply("get", header);
      let bytes = 0;
      const { md5 } = await this.#consume(body, () =>
        download(body, out, {
          ...(preserve ? { mtime, mode } : {}),
          replace: overwrite !== "never",
          durable: durability === "full",
          onBytes: (count) => onProgress?.({ filename, bytes: bytes += count, total: size }),
        }));
      return { filename, md5, size, skipped: false, transferred: size };
    });
  }

  /** What is known of a name; "" is the root. The md5 of a file is always told. */
  stat(filename: string, options: RequestOptions = {}): Promise<Entry> {
    return this.#request(
      `stat ${quote(filename)}`,
      options,
      () => this.#ask("entry", { op: "stat", filename }),
    );
  }

  /**
   * The entries of a directory, each directory before its content. The connection does nothing else
   * until the last one has been taken or the iteration is left.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `checksum_mismatch`, …
   */
  async *list(
    directory = "",
    { recursive = false, signal }: RequestOptions & {
      /** Whether to descend into directories. */
      recursive?: boolean | undefined;
    } = {},
  ): AsyncGenerator<Entry, void, void> {
    using _turn = await this.#takeTurn();
    using _abort = closeOnAbort(this.#wire, signal);
    try {
      await this.#wire.writeFrame({ op: "list", filename: directory, recursive });
      const { header, body } = await this.#readReply();
      parseReply("done", header);
      const lines = verified(body)
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextLineStream());
      try {
        for await (const line of lines) if (line !== "") yield decodeEntry(line);
      } finally {
        if (!body.ended && !await body.drain().catch(() => false)) this.#wire.close();
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFerryError(error).during(`list ${quote(directory)}`);
    }
  }

  /** Deletes a file, or with `recursive` a directory and all that is in it. */
  async remove(
    filename: string,
    { recursive = false, ...options }: RequestOptions & {
      /** Whether directories may go. */
      recursive?: boolean | undefined;
    } = {},
  ): Promise<void> {
    await this.#request(
      `remove ${quote(filename)}`,
      options,
      () => this.#ask("done", { op: "remove", filename, recursive }),
    );
  }

  /** Gives a file or a directory another name; the directories above it are made. */
  async move(
    filename: string,
    to: string,
    { overwrite = "never", ...options }: RequestOptions & {
      /** Whether a file that has the new name is replaced. */
      overwrite?: "never" | "always" | undefined;
    } = {},
  ): Promise<void> {
    await this.#request(
      `move ${quote(filename)} to ${quote(to)}`,
      options,
      () => this.#ask("done", { op: "move", filename, to, overwrite }),
    );
  }

  /** Makes a directory and those above it; one that exists is fine. */
  async mkdir(filename: string, options: RequestOptions = {}): Promise<void> {
    await this.#request(
      `make the directory ${quote(filename)}`,
      options,
      () => this.#ask("done", { op: "mkdir", filename }),
    );
  }

  /** Asks for an answer and nothing else. */
  async ping(options: RequestOptions = {}): Promise<void> {
    await this.#request("ping the server", options, () => this.#ask("done", { op: "ping" }));
  }

  /** Ends the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#wire.close();
    return Promise.resolve();
  }

  /** Waits for this request's turn, runs it, and says in its error what could not be done. */
  async #request<T>(action: string, options: RequestOptions, run: () => Promise<T>): Promise<T> {
    const { signal } = options;
    using _turn = await this.#takeTurn();
    using _abort = closeOnAbort(this.#wire, signal);
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFerryError(error).during(action);
    }
  }

  async #takeTurn(): Promise<Disposable> {
    const before = this.#last;
    const done = Promise.withResolvers<void>();
    this.#last = done.promise;
    await before;
    return { [Symbol.dispose]: () => done.resolve() };
  }

  async #ask<Kind extends keyof Replies>(
    kind: Kind,
    header: Readonly<Record<string, unknown>>,
  ): Promise<Replies[Kind]> {
    await this.#wire.writeFrame(header);
    return await this.#reply(kind);
  }

  /** A reply without a body. */
  async #reply<Kind extends keyof Replies>(kind: Kind): Promise<Replies[Kind]> {
    const { header, body } = await this.#readReply();
    return await this.#consume(body, () => parseReply(kind, header));
  }

  async #readReply(): Promise<Frame> {
    await this.#wire.flush();
    const frame = await this.#wire.readFrame();
    if (frame) return frame;
    this.#wire.close();
    throw new FerryError("closed", "the server ended the connection");
  }

  /** Runs what reads a body, and sees to it that the next reply can be read, or that none is. */
  async #consume<T>(body: IncomingBody, run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } finally {
      if (!body.ended && !await body.drain().catch(() => false)) this.#wire.close();
    }
  }
}

interface SizeAndMd5 {
  size: number;
  md5: string | null;
}

function putKeys({ filename, overwrite, mtime, mode }: PutHeader): Record<string, unknown> {
  return { op: "put", filename, overwrite, mtime, mode };
}

/** What of a file's times and bits is sent along. */
function kept(
  { mtime, mode }: LocalFile,
  { preserve, overwrite }: PutOptions,
): { mtime?: number; mode?: number } {
  if (preserve) return { mtime, mode };
  // Which one is newer can be told the next time only if the time is kept this time.
  return overwrite === "newer" ? { mtime } : {};
}

function skipped(filename: string, md5: string, size: number): Transferred {
  return { filename, md5, size, skipped: true, transferred: 0 };
}

async function readWhole(file: LocalFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(file.size);
  let filled = 0;
  while (filled < bytes.length) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  if (filled < bytes.length) throw new FerryError("io", "it shrank while it was read");
  await file.assertUnchanged();
  return bytes;
}

function sourceOf(bytes: Uint8Array): ByteSource {
  let done = 0;
  return {
    read(into) {
      const piece = bytes.subarray(done, done + into.length);
      into.set(piece);
      done += piece.length;
      return Promise.resolve(piece.length || null);
    },
  };
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

/** A body as a stream that fails at its end where it was not what the sender meant. */
function verified(body: IncomingBody): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from((async function* () {
    const digest = createDigest();
    for (;;) {
      const piece = new Uint8Array(LIST_READ_BYTES);
      const count = await body.read(piece);
      if (count === 0) break;
      digest.update(piece.subarray(0, count));
      yield piece.subarray(0, count);
    }
    if (!sameDigest(digest.hex(), body.md5 ?? "")) {
      throw new FerryError("checksum_mismatch", "the list did not arrive as it was sent");
    }
  })());
}

/** Waits for a promise, but not for long, and not for how it ends. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, ms);
  await Promise.race([promise.then(() => {}, () => {}), timeout.promise]);
  clearTimeout(timer);
}
