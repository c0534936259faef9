/**
 * The client: a method for each operation of a server.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import type { Entry, PartEntry } from "../../lib/core/entry.ts";
import { quote } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { SharedLink, ShareWishes } from "../../lib/core/share_link.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import type { PingReply } from "../../lib/wire/operations/ping.ts";
import { ZSTD } from "../../lib/wire/pieces.ts";
import type { Connection } from "../net/connection.ts";
import { Pool } from "../net/connection_pool.ts";
import type { RetryPolicy } from "../net/retry.ts";
import { putLink } from "../net/small_uploads.ts";
import { named } from "../transfer/names.ts";
import type { OmissionHandlers } from "../transfer/omissions.ts";
import { assertOptionValues } from "../transfer/option_values.ts";
import type {
  GetOptions,
  GetTreeOptions,
  PutOptions,
  PutTreeOptions,
  RequestOptions,
  Transferred,
  WatchTreeOptions,
} from "../transfer/options.ts";
import type { Outlet } from "../transfer/destination.ts";
import type { Source } from "../transfer/source.ts";
import { Download } from "./download.ts";
import { type Command, exec, type ExecOptions, type ExecResult, isPaced } from "./exec.ts";
import { get, getTree } from "./get.ts";
import { listEntries, listPartialUploads, listShares } from "./list.ts";
import { put, putTree } from "./put.ts";
import {
  confirm,
  type ConfirmOptions,
  type StoredFileFacts,
  verify,
  type VerifyOptions,
} from "./proof.ts";
import { NOT_REPEATABLE, Requests } from "./requests.ts";

/** Options of {@linkcode Client}. */
export interface ClientOptions extends RetryPolicy {
  /** Makes a connection. */
  dial(signal: AbortSignal): Promise<Connection>;
}

/**
 * A client of a server, made by {@linkcode connect}. It has one connection, and makes a new one where that was lost.
 * Requests that are made at the same time are sent one after the other.
 *
 * A request that waits for the program (for a source that yields bytes, a sink that takes them, or a loop over a long
 * list) does not hold up the others. They get further connections, which are closed when they are no longer needed. So
 * requests can be made inside of such a loop, or while a stream is being read.
 */
export class Client implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #requests: Requests;

  /** A client on a connection whose handshake is done; use {@linkcode connect}. */
  constructor(connection: Connection, options: ClientOptions) {
    this.#pool = new Pool(connection, (signal) => options.dial(signal));
    this.#requests = new Requests(this.#pool, options);
  }

  /** What the server said about itself in the last handshake. */
  get hello(): HelloReply {
    return this.#pool.hello;
  }

  /** Whether what crosses the line is compressed: this client was asked to, and the server does so, too. */
  get compresses(): boolean {
    return this.hello.features.includes(ZSTD);
  }

  /**
   * Uploads a file, a Blob, bytes in memory, or a stream. It is visible on the server only when it is whole and
   * verified. An upload that was cut is resumed where it stopped, by this call itself or by a later one; a stream is
   * sent only once. Where the upload fails, the stream is cancelled; what a stream fails with is thrown as it is.
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
  put(source: Source, options: PutOptions = {}): Promise<Transferred> {
    return put(this.#requests, source, options);
  }

  /**
   * Downloads a file. It appears under its local name only when it is complete and verified. A download that was cut is
   * resumed where it stopped, by this call itself or by a later one. To a path of a device, a named pipe or an open
   * descriptor (`/dev/stdout`), the bytes are written as they arrive.
   *
   * Without `out`, the result is a {@linkcode Download}: awaited, it stores the file in the working directory. Its
   * methods {@linkcode Download.bytes}, {@linkcode Download.text} and {@linkcode Download.stream} fetch the content
   * instead.
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
   * // A range of it: 3 bytes after the first one.
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
    const start = (options: GetOptions, outlet?: Outlet) =>
      get(this.#requests, filename, options, outlet);
    return options.out === undefined ? new Download(options, start) : start(options);
  }

  /**
   * Uploads a directory: the files in it become visible one by one. Files of the same size and modification time as the
   * server's are left out, so that a second upload of an unchanged directory transfers none. Modification times are
   * kept. A file that fails does not stop the others: `onError` is called for each. Without `onError`, the first
   * failure is thrown when the others have been transferred.
   *
   * @param root the path or the `file:` URL of the local directory
   * @throws {FerryError} where nothing can be uploaded; without `onError`, the first failure of a file
   */
  putTree(root: string | URL, options: PutTreeOptions = {}): Promise<void> {
    return putTree(this.#requests, root, options);
  }

  /**
   * Uploads a directory as {@linkcode Client.putTree} does, and then what changes in it, until `signal` is aborted. It
   * survives a server that restarts. With `delete`, what is deleted locally is deleted on the server.
   *
   * @throws the reason of `signal`; {@linkcode FerryError} where the first pass fails for good
   */
  async watchTree(root: string | URL, options: WatchTreeOptions = {}): Promise<never> {
    // A module that few need is loaded where it is needed.
    const { watchTree } = await import("./watch.ts");
    return await watchTree((path, options) => this.putTree(path, options), root, options);
  }

  /**
   * Downloads a directory, as {@linkcode Client.putTree} uploads one.
   *
   * @throws {FerryError} where nothing can be downloaded; without `onError`, the first failure of a file
   */
  getTree(directory: string, options: GetTreeOptions = {}): Promise<void> {
    return getTree(this.#requests, directory, options);
  }

  /** Describes a file, with its checksum, or a directory; "" is the root. */
  stat(
    filename: string,
    { algorithm = "md5", ...options }: RequestOptions & {
      /** The checksum algorithm. Default: `md5`. */
      algorithm?: Algorithm | undefined;
    } = {},
  ): Promise<Entry> {
    const action = `stat ${named(filename)}`;
    return this.#requests.make(
      action,
      options,
      (connection) => {
        assertOptionValues({ algorithm });
        return connection.stat(filename, algorithm);
      },
    );
  }

  /**
   * The entries of a directory, each directory before its content. Some thousands of entries are read ahead, and the
   * others as the loop takes them. Other requests can be made meanwhile, and the loop can be left early. Entries that
   * cannot be read, or are neither a file nor a directory, are left out.
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
  list(
    directory = "",
    options: RequestOptions & OmissionHandlers & {
      /** Whether the content of its directories is listed too. Default: false. */
      recursive?: boolean | undefined;
    } = {},
  ): AsyncGenerator<Entry, void, void> {
    return listEntries(this.#requests, directory, options);
  }

  /** The partial uploads of this client's token that can be resumed. */
  listParts(options: RequestOptions = {}): AsyncGenerator<PartEntry, void, void> {
    return listPartialUploads(this.#requests, options);
  }

  /**
   * Removes the partial uploads of a file.
   *
   * @throws {FerryError} `not_found` where the server has none of that name for this token; `busy` where the file is
   * being uploaded; `bad_version` where the server is too old
   */
  async discardParts(filename: string, options: RequestOptions = {}): Promise<void> {
    const action = `remove the partial upload of ${named(filename)}`;
    await this.#requests.make(
      action,
      options,
      (connection) => connection.discard(filename),
      NOT_REPEATABLE,
    );
  }

  /**
   * Makes a link by which others can download a file or directory with a browser, or upload into a directory, without a
   * token. It ends with the token of this client, too.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for uploads into a file, `auth_required`, `denied`; `bad_version` for
   * a server that has no listener for HTTP
   */
  share(
    filename: string,
    { signal, ...wishes }: RequestOptions & ShareWishes = {},
  ): Promise<SharedLink> {
    return this.#requests.make(
      `share ${named(filename)}`,
      { signal },
      (connection) => connection.share(filename, wishes),
      NOT_REPEATABLE,
    );
  }

  /** The share links that were made with this client's token, the newest first. */
  listShares(options: RequestOptions = {}): AsyncGenerator<SharedLink, void, void> {
    return listShares(this.#requests, options);
  }

  /**
   * Takes back a share link. What uses it ends.
   *
   * @param id {@linkcode SharedLink.id}
   * @throws {FerryError} `not_found` where none with that id was made with this client's token
   */
  async unshare(id: string, options: RequestOptions = {}): Promise<void> {
    await this.#requests.make(
      `take back the link ${quote(id)}`,
      options,
      (connection) => connection.unshare(id),
      NOT_REPEATABLE,
    );
  }

  /** Makes the server read files again and compare them with their checksums; `algorithm` is that of the result. */
  verify(
    files: Iterable<{ filename: string; algorithm?: Algorithm | undefined }>,
    options: VerifyOptions,
  ): Promise<void> {
    return verify(this.#requests, files, options);
  }

  /** Asks for receipts of files, which the server signs if it has a certificate. */
  confirm(files: Iterable<StoredFileFacts>, options: ConfirmOptions): Promise<void> {
    return confirm(this.#requests, files, options);
  }

  /** Deletes a file, or with `recursive` a directory and all that is in it. */
  async remove(
    filename: string,
    { recursive = false, ...options }: RequestOptions & {
      /** Whether a directory is removed, with all that is in it. Default: false. */
      recursive?: boolean | undefined;
    } = {},
  ): Promise<void> {
    await this.#requests.make(
      `remove ${named(filename)}`,
      options,
      (connection) => connection.remove(filename, { recursive }),
      NOT_REPEATABLE,
    );
  }

  /** Gives a file or a directory another name; the directories above it are made. */
  async move(
    filename: string,
    to: string,
    { overwrite = "never", ...options }: RequestOptions & {
      /** Whether a file that has the new name is replaced. Default: `never`. */
      overwrite?: "never" | "always" | undefined;
    } = {},
  ): Promise<void> {
    await this.#requests.make(
      `move ${named(filename)} to ${named(to)}`,
      options,
      (connection) => connection.move(filename, to, { overwrite }),
      NOT_REPEATABLE,
    );
  }

  /** Makes a directory and those above it; one that exists is fine. */
  async mkdir(filename: string, options: RequestOptions = {}): Promise<void> {
    const action = `make the directory ${named(filename)}`;
    await this.#requests.make(action, options, (connection) => connection.mkdir(filename));
  }

  /**
   * Makes a symbolic link on the server, where that allows it: one that stays in the directory that this client may
   * write to, by its text and in fact. A target goes up (`..`) at its beginning only.
   *
   * @returns whether nothing was changed: the same link is there, or with `newer` something that is not older
   * @throws {FerryError} `bad_version` where the server keeps no links; `denied` for a target that leads out, `exists`,
   * `not_a_file` where a directory has the name
   */
  async link(
    filename: string,
    target: string,
    { overwrite = "never", mtime, ...options }: RequestOptions & {
      /** What to do where the name is taken. Default: `never`. */
      overwrite?: Overwrite | undefined;
      /** The modification time of the link itself, in milliseconds since 1970. Default: now. */
      mtime?: number | undefined;
    } = {},
  ): Promise<{ unchanged: boolean }> {
    const wanted = { filename, target, overwrite, mtime };
    const { unchanged } = await this.#requests.make(
      `make the link ${named(filename)}`,
      options,
      (connection) => {
        assertOptionValues({ overwrite });
        return putLink(connection, wanted);
      },
    );
    return { unchanged };
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

  /** Asks whether the server answers, and whether it can serve files. */
  async ping(options: RequestOptions = {}): Promise<PingReply> {
    return await this.#requests.make(
      "ping the server",
      options,
      (connection) => connection.ping(),
    );
  }

  /**
   * Closes the connections. Requests under way fail with `closed`, as do later ones. Resolves when the requests have
   * ended, except those that wait for a source or a sink of the program. May be called again.
   */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** The same as {@linkcode Client.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
