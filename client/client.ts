/**
 * What can be asked of a server.
 *
 * @module
 */

import type { Algorithm } from "../lib/checksum.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import {
  checksumKeys,
  decodeLine,
  type Entry,
  type HelloReply,
  type PartEntry,
  type PingReply,
  type Replies,
} from "../lib/header.ts";
import { basename, resolve } from "../lib/path.ts";
import type { ByteSink } from "../lib/storage.ts";
import type { Connection } from "./connection.ts";
import { isStream, openStream, type Stream } from "./destination.ts";
import { download } from "./download.ts";
import { type Command, exec, type ExecOptions, type ExecResult } from "./exec.ts";
import type { Connections } from "./jobs.ts";
import type {
  GetOptions,
  GetTreeOptions,
  Progress,
  PutOptions,
  PutTreeOptions,
  RequestOptions,
  TransferOptions,
  Transferred,
  TreeOptions,
} from "./options.ts";
import { here } from "./place.ts";
import { type OmissionHandlers, tellOmitted } from "./omitted.ts";
import { retrying, type RetryPolicy } from "./retry.ts";
import { TreeDownload } from "./tree_download.ts";
import { TreeUpload } from "./tree_upload.ts";
import { upload } from "./upload.ts";

/** What {@linkcode Client} needs to know. */
export interface ClientOptions extends RetryPolicy {
  /** Makes a connection. */
  dial(signal: AbortSignal | undefined): Promise<Connection>;
}

/**
 * A client of a server, made by {@linkcode connect}. It has one connection, and makes a new one where that
 * was lost. Requests that are made at the same time are sent one after the other.
 */
export class Client implements AsyncDisposable {
  readonly #options: ClientOptions;
  #connection: Connection;
  #disposed = false;
  #last: Promise<void> = Promise.resolve();
  /** How far the transfer under way has come at its best; a repetition that comes further is progress. */
  #furthest = 0;

  /** A client on a connection that was greeted; use {@linkcode connect}. */
  constructor(connection: Connection, options: ClientOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** What the server said of itself when it was last connected to. */
  get hello(): HelloReply {
    return this.#connection.hello;
  }

  /**
   * Uploads a file, bytes in memory, or a stream. It is visible on the server only when it is whole and verified.
   * What was cut goes on where it stopped, by this call itself or by a later one.
   *
   * @param source a path, the bytes, or what gives them piece by piece: that is sent once, and not again
   * @throws {FerryError} `exists`, `not_found`, `not_a_file`, `bad_name`, `denied`, `no_space`,
   * `checksum_mismatch`, `closed`, `timeout`, …
   */
  put(
    source: string | Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<Transferred> {
    const filename = options.as ?? (typeof source === "string" ? basename(source) : "");
    const action = `put ${quote(typeof source === "string" ? source : filename)}`;
    return this.#request(
      action,
      options,
      (connection) => upload(connection, source, { ...this.#watched(options), filename }),
      { repeat: typeof source === "string" || source instanceof Uint8Array },
    );
  }

  /**
   * Downloads a file. It appears under its local name only when it is whole and verified. What was cut
   * goes on where it stopped, by this call itself or by a later one. A path that leads to a device, a named
   * pipe or an open descriptor (`/dev/stdout`) is written into as the bytes come.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`, `exists` where another local file has
   * the name, `no_space`, `checksum_mismatch`, `closed`, `timeout`, …
   */
  async get(filename: string, options: GetOptions = {}): Promise<Transferred> {
    const { out, dryRun, signal } = options;
    if (typeof out !== "string" || !isStream(out)) return await this.#get(filename, options);
    if (dryRun) return await this.#get(filename, { ...options, out: NOWHERE });
    using stream = await this.#opened(filename, out, signal);
    return await this.#get(filename, { ...options, out: stream });
  }

  async #opened(filename: string, path: string, signal: AbortSignal | undefined): Promise<Stream> {
    try {
      return await openStream(path, signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFerryError(error).during(`get ${quote(filename)}`);
    }
  }

  #get(filename: string, options: GetOptions): Promise<Transferred> {
    return this.#request(
      `get ${quote(filename)}`,
      options,
      (connection) => download(connection, filename, this.#watched(options)),
      { repeat: typeof options.out !== "object" },
    );
  }

  /**
   * Uploads a directory: what is in it becomes visible file by file. Files of the same size and
   * modification time as the server's are left out, so that a second upload of an unchanged directory
   * moves none. Modification times are kept. A file that fails does not stop the others.
   *
   * @param root the local directory
   * @throws {FerryError} what keeps all of it from being uploaded
   */
  async putTree(root: string, options: PutTreeOptions = {}): Promise<void> {
    const action = `put ${quote(root)}`;
    const watched = this.#watchedTree(options);
    let tree: TreeUpload;
    try {
      tree = await TreeUpload.begin(root, options.as ?? basename(resolve(root)), watched);
    } catch (error) {
      throw here(error, root).during(action);
    }
    await this.#move(tree, action, options);
  }

  /**
   * Downloads a directory, as {@linkcode Client.putTree} uploads one.
   *
   * @throws {FerryError} what keeps all of it from being downloaded
   */
  async getTree(directory: string, options: GetTreeOptions = {}): Promise<void> {
    const out = options.out ?? (basename(directory) || ".");
    const tree = new TreeDownload(directory, out, this.#watchedTree(options));
    const action = `get ${quote(directory)}`;
    await this.#move(tree, action, options);
  }

  /** Moves a tree, by further connections where a file that failed here has ended one. */
  #move(
    tree: TreeUpload | TreeDownload,
    action: string,
    options: TreeOptions & RequestOptions,
  ): Promise<void> {
    const { signal } = options;
    const run = async (connection: Connection): Promise<void> => {
      await this.#withJobs(connection, options, (connections) => tree.run(connections));
      if (!tree.isCutShort) return;
      const next = await this.#connected(signal);
      using _abort = next.closeOnAbort(signal);
      await run(next);
    };
    return this.#request(action, options, run);
  }

  /** What is known of a name; "" is the root. The checksum of a file is always told. */
  stat(
    filename: string,
    { algorithm = "md5", ...options }: RequestOptions & {
      /** Which checksum; md5 unless told otherwise. */
      algorithm?: Algorithm | undefined;
    } = {},
  ): Promise<Entry> {
    return this.#request(`stat ${quote(filename)}`, options, (connection) => {
      connection.assertOffers(algorithm);
      const header = { op: "stat", filename, ...checksumKeys(algorithm, null) };
      return connection.ask("entry", header);
    });
  }

  /**
   * The entries of a directory, each directory before its content. The connection does nothing else
   * until the last one has been taken or the iteration is left. What cannot be read, or is neither a file nor a
   * directory, is not among them.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `checksum_mismatch`, …
   */
  async *list(
    directory = "",
    { recursive = false, onSkip, onError, signal }: RequestOptions & OmissionHandlers & {
      /** Whether to descend into directories. */
      recursive?: boolean | undefined;
    } = {},
  ): AsyncGenerator<Entry, void, void> {
    const asked = onSkip || onError ? { omitted: true } : {};
    const header = { op: "list", filename: directory, recursive, ...asked };
    for await (const listed of this.#lines(`list ${quote(directory)}`, "listed", header, signal)) {
      const { omitted, ...entry } = listed;
      if (omitted !== undefined) tellOmitted({ onSkip, onError }, "list", { ...entry, omitted });
      if (entry.type !== undefined) yield entry;
    }
  }

  /** The parts of uploads that were cut and can be gone on with. */
  async *listParts({ signal }: RequestOptions = {}): AsyncGenerator<PartEntry, void, void> {
    const header = { op: "list", filename: "", parts: true };
    yield* this.#lines("list the partial uploads", "part", header, signal);
  }

  /**
   * Removes what the server keeps of uploads of a file that were cut.
   *
   * @throws {FerryError} `not_found` where it keeps nothing of that name for this token; `busy` where the file is
   * being uploaded; `bad_version` where the server is too old
   */
  async discardParts(filename: string, options: RequestOptions = {}): Promise<void> {
    const action = `remove the partial upload of ${quote(filename)}`;
    await this.#request(action, options, (connection) => {
      connection.assertFeature("discard", "the removal of partial uploads");
      return connection.ask("done", { op: "discard", filename });
    }, { repeat: false });
  }

  async *#lines<Kind extends "listed" | "part">(
    action: string,
    kind: Kind,
    header: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Replies[Kind], void, void> {
    using _turn = await this.#takeTurn();
    try {
      const connection = await this.#connected(signal);
      using _abort = connection.closeOnAbort(signal);
      const decode = (line: string) => decodeLine(kind, line);
      for await (const entries of connection.lines(header, decode)) yield* entries;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFerryError(error).during(action);
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
    const header = { op: "remove", filename, recursive };
    await this.#ask(`remove ${quote(filename)}`, options, "done", header, { repeat: false });
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
    const action = `move ${quote(filename)} to ${quote(to)}`;
    const header = { op: "move", filename, to, overwrite };
    await this.#ask(action, options, "done", header, { repeat: false });
  }

  /** Makes a directory and those above it; one that exists is fine. */
  async mkdir(filename: string, options: RequestOptions = {}): Promise<void> {
    const action = `make the directory ${quote(filename)}`;
    await this.#ask(action, options, "done", { op: "mkdir", filename });
  }

  /**
   * Runs a command on the server, where that allows it. A command that fails has a result like any other.
   * The server kills it, and all that it has started, when its time is up, or when `signal` gives up.
   *
   * @param command its name and its arguments, which no shell sees; or a line for the shell
   *
   * @example Reading what a command writes
   * ```ts ignore
   * const { exitCode, stdout } = await client.exec(["git", "rev-parse", "HEAD"]);
   * console.log(exitCode, new TextDecoder().decode(stdout));
   * ```
   *
   * @throws {FerryError} `denied` where the server does not allow it, `not_found`, `too_large` where it
   * writes more than the server allows, `checksum_mismatch`, `closed`, `timeout`, …
   */
  exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    const shown = "shell" in command ? command.shell : command.join(" ");
    return this.#request(
      `run ${quote(shown)}`,
      options,
      (connection) => exec(connection, command, options),
      { repeat: false },
    );
  }

  /** Asks for an answer: whether the server is there, and whether it can serve. */
  async ping(options: RequestOptions = {}): Promise<PingReply> {
    return await this.#ask("ping the server", options, "ping", { op: "ping" });
  }

  /** Ends the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#connection.close();
    return Promise.resolve();
  }

  #ask<Kind extends keyof Replies>(
    action: string,
    options: RequestOptions,
    kind: Kind,
    header: Readonly<Record<string, unknown>>,
    { repeat = true } = {},
  ): Promise<Replies[Kind]> {
    return this.#request(action, options, (connection) => connection.ask(kind, header), { repeat });
  }

  /**
   * Waits for this request's turn and runs it, again where what failed may pass: a request that changes
   * something on the server only where doing it twice is doing it once.
   */
  async #request<T>(
    action: string,
    { signal }: RequestOptions,
    run: (connection: Connection) => Promise<T>,
    { repeat = true } = {},
  ): Promise<T> {
    using _turn = await this.#takeTurn();
    this.#furthest = 0;
    return await retrying({
      action,
      signal,
      run: async () => {
        const connection = await this.#connected(signal);
        using _abort = connection.closeOnAbort(signal);
        return await run(connection);
      },
      repeatable: () => repeat && !this.#disposed,
      furthest: () => this.#furthest,
    }, this.#options);
  }

  /** The connection, or a new one where it was lost. */
  async #connected(signal: AbortSignal | undefined): Promise<Connection> {
    if (this.#disposed) throw new FerryError("closed", "the client was closed");
    signal?.throwIfAborted();
    if (!this.#connection.usable) {
      this.#connection.close();
      this.#connection = await this.#options.dial(signal);
    }
    return this.#connection;
  }

  /** Opens further connections beside the one that there is, and closes them when `run` has ended. */
  async #withJobs(
    connection: Connection,
    { jobs = 1, signal }: TreeOptions & RequestOptions,
    run: (connections: Connections) => Promise<void>,
  ): Promise<void> {
    const dials = Array.from({ length: jobs - 1 }, () => this.#options.dial(signal));
    const ends = await Promise.allSettled(dials);
    // A server that takes no more of them still takes the files through those that there are.
    const further = ends.flatMap((end) => end.status === "fulfilled" ? [end.value] : []);
    using stack = new DisposableStack();
    for (const connection of further) {
      stack.defer(() => connection.close());
      stack.use(connection.closeOnAbort(signal));
    }
    await run([connection, ...further]);
  }

  /** The options of a transfer, with an eye on how far it comes. */
  #watched<Options extends TransferOptions>(options: Options): Options {
    const onProgress = (progress: Progress) => {
      this.#furthest = Math.max(this.#furthest, progress.bytes);
      options.onProgress?.(progress);
    };
    return { ...options, onProgress };
  }

  /** The options of a transfer of many files, each of which is progress. */
  #watchedTree<Options extends TransferOptions & TreeOptions>(options: Options): Options {
    const onFile = (result: Transferred) => {
      // What need not cross is no progress: a new connection finds it all over again.
      this.#furthest += result.transferred;
      options.onFile?.(result);
    };
    return { ...this.#watched(options), onFile };
  }

  async #takeTurn(): Promise<Disposable> {
    const before = this.#last;
    const done = Promise.withResolvers<void>();
    this.#last = done.promise;
    await before;
    return { [Symbol.dispose]: () => done.resolve() };
  }
}

/** Takes nothing, because nothing comes. */
const NOWHERE: ByteSink = { write: () => Promise.resolve() };
