/**
 * What can be asked of a server.
 *
 * @module
 */

import { OPERATIONS } from "../../lib/wire/operations/operations.ts";
import { done, type Schema } from "../../lib/wire/schema.ts";
import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { named } from "../transfer/names.ts";
import type { PingReply } from "../../lib/wire/operations/ping.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import { decodeListLine, type ListLines } from "../../lib/wire/list_lines.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { Entry, PartEntry } from "../../lib/core/entry.ts";
import { basename, resolve } from "../../lib/core/paths.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { BoundedQueue } from "./bounded_queue.ts";
import type { Connection } from "../net/connection.ts";
import { isStream, NOWHERE, openStream, type Outlet, outletFor } from "../transfer/destination.ts";
import { download } from "../transfer/download.ts";
import { type Command, exec, type ExecOptions, type ExecResult, isPaced } from "./exec.ts";
import { type Connections, withJobs } from "../transfer/jobs.ts";
import { Download } from "./download.ts";
import { localPathFor } from "../transfer/local_path.ts";
import type {
  GetOptions,
  GetTreeOptions,
  PutOptions,
  PutTreeOptions,
  RequestOptions,
  Transferred,
  TreeOptions,
} from "../transfer/options.ts";
import { localFailure } from "../transfer/local_failure.ts";
import { type OmissionHandlers, reportOmission } from "../transfer/omissions.ts";
import { Pool, type WaitFor } from "../net/connection_pool.ts";
import { Callbacks, NOT_REPEATABLE, type RequestPolicy, Requests } from "../api/requests.ts";
import type { RetryPolicy } from "../net/retry.ts";
import { type Given, givenBy, nameOf, type Source } from "../transfer/source.ts";
import { TreeDownload } from "../transfer/tree_download.ts";
import { TreeUpload } from "../transfer/tree_upload.ts";
import { upload } from "../transfer/upload.ts";

/** What {@linkcode Client} needs to know. */
export interface ClientOptions extends RetryPolicy {
  /** Makes a connection. */
  dial(signal: AbortSignal): Promise<Connection>;
}

/** So many entries of a list are read before they are taken. */
const ENTRIES_AHEAD = 4096;

/**
 * A client of a server, made by {@linkcode connect}. It has one connection, and makes a new one where that
 * was lost. Requests that are made at the same time are sent one after the other.
 *
 * None waits for another one that itself waits for the program: for a source that gives bytes, for what takes
 * them, for a loop over a long list. In that case, further connections are made, and closed when they are
 * needed no more. So a client can be used inside of such a loop, or in the midst of a stream.
 */
export class Client implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #requests: Requests;

  /** A client on a connection that was greeted; use {@linkcode connect}. */
  constructor(connection: Connection, options: ClientOptions) {
    this.#pool = new Pool(connection, (signal) => options.dial(signal));
    this.#requests = new Requests(this.#pool, options);
  }

  /** What the server said of itself when it was last connected to. */
  get hello(): HelloReply {
    return this.#pool.hello;
  }

  /**
   * Uploads a file, a Blob, bytes in memory, or a stream. It is visible on the server only when it is whole and
   * verified. What was cut goes on where it stopped, by this call itself or by a later one; a stream is sent once,
   * and not again. Where the upload fails, the stream is cancelled; what a stream fails with is thrown as it is.
   *
   * @example Every kind of source
   * ```ts
   * import { connect, FsStorage, serve } from "@ferry/ferry";
   *
   * const root = await Deno.makeTempDir();
   * await using storage = FsStorage.open(root);
   * await using server = await serve({ storage, listen: "127.0.0.1:0" });
   * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
   *
   * // A path and a file: URL are read from the disk, and so named.
   * await Deno.writeTextFile(`${root}/../notes.txt`, "hello\n");
   * await client.put(`${root}/../notes.txt`);
   * await client.put(new URL(`file://${root}/../notes.txt`), { as: "again.txt" });
   *
   * // What a form or a file dialog gives; a File has a name, a Blob has none.
   * await client.put(new File(["hello"], "greeting.txt"));
   * await client.put(new Blob(["hello"]), { as: "blob.txt" });
   *
   * // Bytes in memory.
   * await client.put(new TextEncoder().encode("hello"), { as: "bytes.txt" });
   *
   * // What comes piece by piece, such as the body of a response.
   * const response = new Response("hello");
   * await client.put(response.body!, { as: "stream.txt", size: 5 });
   * async function* pieces() {
   *   for (const word of ["hel", "lo"]) yield new TextEncoder().encode(word);
   * }
   * await client.put(pieces(), { as: "pieces.txt" });
   * ```
   *
   * @throws {FerryError} `usage` for what cannot be uploaded, or has no name; `exists`, `not_found`, `not_a_file`,
   * `bad_name`, `denied`, `no_space`, `checksum_mismatch`, `closed`, `timeout`, …; `io` where a stream gives more
   * or fewer bytes than its `size`
   */
  async put(source: Source, options: PutOptions = {}): Promise<Transferred> {
    let given: Given;
    let name: string | undefined;
    try {
      given = givenBy(source, options.size);
      name = options.as ?? nameOf(source);
    } catch (error) {
      // What the source itself fails with is thrown as it is.
      if (!(error instanceof FerryError)) throw error;
      throw error.during(`put ${quote(options.as ?? "")}`);
    }
    const pieces = given.kind === "pieces" ? given.pieces : undefined;
    try {
      return await this.#put(given, name, options);
    } catch (error) {
      await pieces?.end(error);
      throw error;
    } finally {
      // What the server has already is not read to its end.
      await pieces?.end(undefined);
    }
  }

  #put(given: Given, name: string | undefined, options: PutOptions): Promise<Transferred> {
    if (name === undefined) {
      const reason = "what has no name of its own needs one: the option `as`";
      throw new FerryError("usage", reason, { action: "put it" });
    }
    const action = `put ${quote(given.kind === "path" ? given.path : name)}`;
    const watch = new Callbacks();
    const watched = { ...watch.over(options), filename: name };
    return this.#requests.make(
      action,
      watched,
      (connection, { waitFor }) => upload(connection, given, { ...watched, waitFor }),
      given.kind === "pieces"
        ? { watch, repeat: () => given.pieces.untouched, paced: true }
        : { watch },
    );
  }

  /**
   * Downloads a file. It appears under its local name only when it is whole and verified. What was cut
   * goes on where it stopped, by this call itself or by a later one. A path that leads to a device, a named
   * pipe or an open descriptor (`/dev/stdout`) is written into as the bytes come.
   *
   * Without `out`, what it gives is a promise of a download into the working directory, which begins when it is
   * awaited; or it is asked for the {@linkcode Download.bytes}, the {@linkcode Download.text} or a
   * {@linkcode Download.stream} instead.
   *
   * @example Every kind of destination
   * ```ts
   * import { connect, FsStorage, serve } from "@ferry/ferry";
   *
   * const root = await Deno.makeTempDir();
   * await using storage = FsStorage.open(root);
   * await using server = await serve({ storage, listen: "127.0.0.1:0" });
   * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
   * await client.put(new TextEncoder().encode("hello"), { as: "greeting.txt" });
   *
   * // Into memory: what they give has been verified.
   * console.log(await client.get("greeting.txt").text()); // hello
   * console.log((await client.get("greeting.txt").bytes()).length); // 5
   *
   * // Piece by piece: that all of it is right shows at its end.
   * for await (const piece of client.get("greeting.txt").stream()) console.log(piece.length);
   *
   * // Into a file, by its path or URL, or into a stream.
   * const local = await Deno.makeTempDir();
   * await client.get("greeting.txt", { out: `${local}/greeting.txt` });
   * await client.get("greeting.txt", { out: new URL(`file://${local}/again.txt`) });
   * const file = await Deno.create(`${local}/raw.txt`);
   * await client.get("greeting.txt", { out: file.writable });
   *
   * // A range of it: 3 bytes behind the first one.
   * console.log(await client.get("greeting.txt", { offset: 1, length: 3 }).text()); // ell
   * ```
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`, `exists` where another local file has
   * the name, `no_space`, `checksum_mismatch`, `closed`, `timeout`, …; `usage` for an `out` that nothing can be
   * written to. What a stream fails with is thrown as it is.
   */
  get(filename: string, options?: GetOptions & { out?: undefined }): Download;
  /** The same with a destination, `out`: the download begins at once. */
  get(filename: string, options: GetOptions): Promise<Transferred>;
  get(filename: string, options: GetOptions = {}): Promise<Transferred> {
    return options.out === undefined
      ? new Download(options, (options, outlet) => this.#get(filename, options, outlet))
      : this.#get(filename, options);
  }

  async #get(filename: string, options: GetOptions, given?: Outlet): Promise<Transferred> {
    const { out = basename(filename), signal, dryRun = false } = options;
    let outlet: string | Outlet;
    try {
      if (given && dryRun) throw new FerryError("usage", "a dry run fetches no bytes");
      outlet = given ?? outletFor(out, { dryRun });
      if (typeof outlet === "string" && isStream(outlet)) {
        outlet = dryRun ? NOWHERE : await openStream(outlet, signal);
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw toFerryError(error).during(`get ${named(filename)}`);
    }
    if (typeof outlet !== "string") return await this.#pour(filename, options, outlet);
    const path = outlet;
    return await this.#download(filename, options, () => path);
  }

  async #pour(filename: string, options: GetOptions, outlet: Outlet): Promise<Transferred> {
    let began = false;
    const into = (waitFor: WaitFor) => {
      outlet.restart?.();
      return {
        write(bytes: Uint8Array) {
          began = true;
          return outlet.write(bytes, waitFor);
        },
      };
    };
    const finish = async (waitFor: WaitFor) => {
      began = true;
      await outlet.finish?.(waitFor);
    };
    const repeat = () => !began || outlet.restart !== undefined;
    try {
      return await this.#download(filename, options, into, { repeat, paced: true, finish });
    } catch (error) {
      await outlet.fail?.(error);
      throw error;
    }
  }

  #download(
    filename: string,
    options: GetOptions,
    into: (waitFor: WaitFor) => string | ByteSink,
    { finish, ...manner }: RequestPolicy & { finish?: (waitFor: WaitFor) => Promise<void> } = {},
  ): Promise<Transferred> {
    const watch = new Callbacks();
    const watched = watch.over(options);
    const action = `get ${named(filename)}`;
    return this.#requests.make(action, watched, async (connection, { waitFor }) => {
      const result = await download(connection, filename, { ...watched, out: into(waitFor) });
      await finish?.(waitFor);
      return result;
    }, { ...manner, watch });
  }

  /**
   * Uploads a directory: what is in it becomes visible file by file. Files of the same size and
   * modification time as the server's are left out, so that a second upload of an unchanged directory
   * moves none. Modification times are kept. A file that fails does not stop the others: `onError` is told of each
   * that does, and where there is none, the first of these failures is thrown when the others have been moved.
   *
   * @param root the path or the `file:` URL of the local directory
   * @throws {FerryError} what keeps all of it from being uploaded, or what `onError` is not there to be told
   */
  async putTree(root: string | URL, options: PutTreeOptions = {}): Promise<void> {
    const path = localPathFor(root, "put it");
    const action = `put ${quote(path)}`;
    const watch = new Callbacks();
    const watched = watch.overTree(options);
    let tree: TreeUpload;
    try {
      const as = options.as ?? basename(resolve(path));
      tree = await TreeUpload.begin(path, as, watched);
    } catch (error) {
      watch.assertTold();
      throw localFailure(error, path).during(action);
    }
    await this.#move(tree, action, watched, watch);
  }

  /**
   * Downloads a directory, as {@linkcode Client.putTree} uploads one.
   *
   * @throws {FerryError} what keeps all of it from being downloaded, or what `onError` is not there to be told
   */
  async getTree(directory: string, options: GetTreeOptions = {}): Promise<void> {
    const action = `get ${named(directory)}`;
    const out = localPathFor(options.out ?? (basename(directory) || "."), action);
    const watch = new Callbacks();
    const watched = watch.overTree(options);
    await this.#move(new TreeDownload(directory, out, watched), action, watched, watch);
  }

  /** Moves a tree, by further connections where a file that failed here has ended one. */
  #move(
    tree: TreeUpload | TreeDownload,
    action: string,
    options: TreeOptions & RequestOptions,
    watch: Callbacks,
  ): Promise<void> {
    return this.#requests.make(action, options, async (connection, { signal, renewed }) => {
      const dial = () => this.#pool.dial(signal);
      const run = (all: Connections) => tree.run(all);
      await withJobs(connection, { ...options, signal, dial }, run);
      while (tree.isCutShort) {
        const next = await renewed();
        using _abort = next.closeOnAbort(signal);
        await withJobs(next, { ...options, signal, dial }, run);
      }
    }, { watch });
  }

  /** What is known of a name; "" is the root. The checksum of a file is always told. */
  stat(
    filename: string,
    { algorithm = "md5", ...options }: RequestOptions & {
      /** Which checksum; md5 unless told otherwise. */
      algorithm?: Algorithm | undefined;
    } = {},
  ): Promise<Entry> {
    return this.#requests.make(`stat ${named(filename)}`, options, (connection) => {
      connection.assertOffers(algorithm);
      const header = { op: "stat", filename, ...checksumKeys(algorithm, null) };
      return connection.ask(OPERATIONS.stat.reply, header);
    });
  }

  /**
   * The entries of a directory, each directory before its content. Some thousands of them are read before they
   * are taken, and the others as they are; other requests can be made meanwhile, and the iteration can be left.
   * What cannot be read, or is neither a file nor a directory, is not among them.
   *
   * @example A request for each entry
   * ```ts
   * import { connect, FsStorage, serve } from "@ferry/ferry";
   *
   * const root = await Deno.makeTempDir();
   * await Deno.writeTextFile(`${root}/greeting.txt`, "hello");
   * await using storage = FsStorage.open(root);
   * await using server = await serve({ storage, listen: "127.0.0.1:0" });
   * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
   *
   * for await (const { filename, type } of client.list("", { recursive: true })) {
   *   if (type === "file") console.log(filename, await client.get(filename).text());
   * }
   * ```
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
    for await (const listed of this.#lines(`list ${named(directory)}`, "listed", header, signal)) {
      const { omitted, ...entry } = listed;
      if (omitted !== undefined) reportOmission({ onSkip, onError }, "list", { ...entry, omitted });
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
    const action = `remove the partial upload of ${named(filename)}`;
    await this.#requests.make(action, options, (connection) => {
      connection.assertFeature("discard", "the removal of partial uploads");
      return connection.ask(done, { op: "discard", filename });
    }, NOT_REPEATABLE);
  }

  async *#lines<Kind extends "listed" | "part">(
    action: string,
    kind: Kind,
    header: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ListLines[Kind], void, void> {
    const backlog = new BoundedQueue<ListLines[Kind]>(ENTRIES_AHEAD);
    const decode = (line: string) => decodeListLine(kind, line);
    const reading = this.#requests.make(action, { signal }, async (connection, { waitFor }) => {
      for await (const entries of connection.lines(header, decode)) {
        const room = backlog.put(entries);
        if (room) await waitFor(() => room);
      }
    }, { repeat: () => backlog.untouched, paced: true });
    const atOnce = () => signal?.aborted || this.#pool.closing.aborted;
    const read = reading.then(
      () => backlog.end(),
      (error) => backlog.fail(error, { atOnce: atOnce() }),
    );
    try {
      for await (const entry of backlog.taken()) {
        yield entry;
        signal?.throwIfAborted();
      }
    } finally {
      await read;
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
    await this.#ask(`remove ${named(filename)}`, options, done, header, NOT_REPEATABLE);
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
    const action = `move ${named(filename)} to ${named(to)}`;
    const header = { op: "move", filename, to, overwrite };
    await this.#ask(action, options, done, header, NOT_REPEATABLE);
  }

  /** Makes a directory and those above it; one that exists is fine. */
  async mkdir(filename: string, options: RequestOptions = {}): Promise<void> {
    const action = `make the directory ${named(filename)}`;
    await this.#ask(action, options, done, { op: "mkdir", filename });
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
    return this.#requests.make(
      `run ${quote(shown)}`,
      options,
      (connection, { waitFor }) => exec(connection, command, { ...options, waitFor }),
      { ...NOT_REPEATABLE, paced: isPaced(options) },
    );
  }

  /** Asks for an answer: whether the server is there, and whether it can serve. */
  async ping(options: RequestOptions = {}): Promise<PingReply> {
    return await this.#ask("ping the server", options, OPERATIONS.ping.reply, { op: "ping" });
  }

  /**
   * Ends the connection, and what runs over it: that fails with `closed`, as does what is asked for later. Resolves
   * when all of it has ended; it does not wait for what waits for a source or a sink. May be repeated.
   */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** The same as {@linkcode Client.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask<Reply>(
    action: string,
    options: RequestOptions,
    reply: Schema<Reply>,
    header: Readonly<Record<string, unknown>>,
    manner: RequestPolicy = {},
  ): Promise<Reply> {
    return this.#requests.make(
      action,
      options,
      (connection) => connection.ask(reply, header),
      manner,
    );
  }
}
