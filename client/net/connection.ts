/**
 * A connection to a server, with a method for each operation.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Algorithm } from "../../lib/core/checksum.ts";
import type { Entry, Listed, PartEntry } from "../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";
import { sendSized, sendStreamed } from "../../lib/transfer/send.ts";
import type { OnBytes, Verified } from "../../lib/transfer/receive.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import { decodeListLine } from "../../lib/wire/list_lines.ts";
import type { SharedLink, ShareWishes } from "../../lib/core/share_link.ts";
import { decodeShareLine } from "../../lib/wire/share_keys.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import { OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { PingReply } from "../../lib/wire/operations/ping.ts";
import type { OfferReply, PutReply } from "../../lib/wire/operations/put.ts";
import {
  decodeManifestReply,
  encodeManifestLine,
  type ManifestLine,
  type ManifestReply,
} from "../../lib/wire/manifest.ts";
import { encodeLines } from "../../lib/wire/lines.ts";
import { Wire } from "../../lib/wire/frames.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import { closeOnAbort } from "./close_on_abort.ts";
import { dial } from "./dial.ts";
import {
  type FileToGet,
  type FileToPut,
  getHeader,
  putHeader,
  type SmallDownload,
} from "./file_requests.ts";
import { greet, type GreetOptions } from "./handshake.ts";
import { IncomingFile } from "./incoming_file.ts";
import { type NamedReply, tellReplies } from "./named_reply.ts";
import type { RateLimit } from "./rate_limit.ts";
import { assertAnswers, assertHas, assertStored } from "./reply_check.ts";
import {
  mapped,
  type MaybePromise,
  type PipelinedItem,
  RequestChannel,
} from "./request_channel.ts";
import { putEach, type SmallReply, type SmallUpload } from "./small_uploads.ts";
import { SilentServerProbe } from "./silent_server.ts";
import type { TlsClient } from "./tls.ts";

/** Options of {@linkcode Connection.open}. */
export interface OpenOptions extends GreetOptions {
  /** Milliseconds for connecting and the handshake. */
  connectTimeout: number;
  /** Limits the speed of both directions together. */
  limit?: RateLimit | undefined;
  /** Encrypts the connection. Default: it is not encrypted. */
  tls?: TlsClient | undefined;
  /** Called with each reply after the handshake. Default: undefined. */
  onReply?: ((reply: NamedReply) => void) | undefined;
  /** Aborts connecting. */
  signal?: AbortSignal | undefined;
  /** Memory, threads and the clock. Default: its own. */
  runtime?: Runtime | undefined;
}

/** The body of an upload: a whole file, or the rest of one. */
export interface SizedBody {
  /** The bytes. */
  source: ByteSource;
  /** How many bytes there are. */
  size: number;
  /** The digest of the bytes that the server has already, which precede these. */
  digest?: Digest | undefined;
  /** Called with the number of bytes that were just handed to the connection. */
  onBytes: OnBytes;
}

/** A connection to a server on which the handshake is done. */
export class Connection {
  readonly #wire: Wire;
  /** Sends requests and reads their replies. */
  readonly channel: RequestChannel;
  /** What the server said about itself in the handshake. */
  readonly hello: HelloReply;
  /** Opens another connection to the same server; undefined where nothing is known of how this one was made. */
  another: (() => Promise<Connection>) | undefined;

  private constructor(wire: Wire, hello: HelloReply) {
    this.#wire = wire;
    this.channel = new RequestChannel(wire);
    this.hello = hello;
  }

  /**
   * Connects to a server and agrees on a protocol version with it.
   *
   * @throws {FerryError} `unreachable`, `timeout`, `closed`, `bad_version`, `bad_header`, `auth_required`,
   * `denied`
   */
  static async open(address: Address, options: OpenOptions): Promise<Connection> {
    const { connectTimeout, tls, signal } = options;
    const deadline = performance.now() + connectTimeout;
    using probe = new SilentServerProbe(address, { timeout: connectTimeout, tls });
    const { foreign } = probe;
    const either = signal ? AbortSignal.any([signal, foreign]) : foreign;
    try {
      const conn = await dial(address, { timeout: connectTimeout, tls, signal: either });
      const connection = await Connection.over(conn, { ...options, deadline, signal: either });
      connection.another = () => Connection.open(address, { ...options, signal: undefined });
      return connection;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const failure = foreign.aborted ? foreign.reason : error;
      throw toFerryError(failure).during(`connect to ${formatAddress(address)}`);
    }
  }

  /**
   * Performs the handshake on a connection to a server.
   *
   * @param stream the connection, owned by this object from now on
   * @param options as for {@linkcode Connection.open}; `deadline` is when the handshake has to be done, on the clock of
   * `performance.now()`
   * @throws {FerryError} `timeout`, `closed`, `bad_version`, `bad_header`, `auth_required`, `denied`
   */
  static async over(
    stream: ByteStream,
    {
      deadline,
      timeout,
      limit,
      token,
      level,
      mayBeNobody,
      onReply,
      signal,
      runtime = createRuntime(),
    }:
      & GreetOptions
      & Pick<OpenOptions, "limit" | "signal" | "runtime" | "onReply">
      & { deadline: number },
  ): Promise<Connection> {
    let greeted = false;
    const wire = new Wire(stream, {
      idleTimeout: () => greeted ? timeout : Math.max(1, deadline - performance.now()),
      pace: limit,
      peerSide: "server",
      runtime,
    });
    try {
      using _abort = closeOnAbort(wire, signal);
      const hello = await greet(wire, { token, timeout, level, mayBeNobody });
      greeted = true;
      if (onReply) tellReplies(wire, hello, onReply);
      return new Connection(wire, hello);
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  /**
   * Fails where the server does not offer a checksum algorithm.
   *
   * @throws {FerryError} `bad_version`
   */
  assertOffers(algorithm: Algorithm): void {
    if (algorithm !== "md5") this.assertFeature(algorithm, algorithm);
  }

  /**
   * Fails where the server does not offer an extension of the protocol.
   *
   * @param what the extension in words, for the error message
   * @throws {FerryError} `bad_version`
   */
  assertFeature(feature: string, what: string): void {
    const { features, agent } = this.hello;
    if (features.includes(feature)) return;
    throw new FerryError("bad_version", `the server, ${agent}, does not offer ${what}`);
  }

  /** Memory, threads and the clock of this side. */
  get runtime(): Runtime {
    return this.#wire.runtime;
  }

  /** Whether another request can be sent. */
  get usable(): boolean {
    return this.#wire.writable;
  }

  /** Closes the connection. Requests under way fail with the reason. */
  close(reason?: FerryError): void {
    this.#wire.close(reason);
  }

  /** Closes the connection when the signal is aborted, until disposed of. */
  closeOnAbort(signal: AbortSignal | undefined): Disposable {
    return closeOnAbort(this.#wire, signal);
  }

  /** Asks whether the server can serve files. */
  ping(): Promise<PingReply> {
    return this.channel.ask(OPERATIONS.ping.reply, { op: "ping" });
  }

  /**
   * The metadata of a file or a directory; "" is the root.
   *
   * @param options.version the version that a file has to have, where the server knows of that. Default: any
   */
  stat(
    filename: string,
    algorithm: Algorithm = "md5",
    { version }: { version?: string | undefined } = {},
  ): Promise<Entry> {
    this.assertOffers(algorithm);
    const of = version === undefined ? {} : { version };
    const header = { op: "stat", filename, ...checksumKeys(algorithm, null), ...of };
    return this.channel.ask(OPERATIONS.stat.reply, header);
  }

  /**
   * The entries of a directory, in batches as they arrive.
   *
   * @param options `omitted` is true where the server is to list what it leaves out, too; `links` where it is to show
   * symbolic links as such, `ids` to tell which names are of one file
   */
  list(
    directory: string,
    { recursive, omitted, ids = false, links = false }: {
      recursive: boolean;
      omitted: boolean;
      ids?: boolean | undefined;
      links?: boolean | undefined;
    },
  ): AsyncGenerator<Listed[], void, void> {
    const more = {
      ...(omitted ? { omitted } : {}),
      ...(ids ? { ids } : {}),
      ...(links ? { links } : {}),
    };
    const header = { op: "list", filename: directory, recursive, ...more };
    return this.channel.lines(header, (line) => decodeListLine("listed", line));
  }

  /** The partial uploads of this client's token that can be resumed. */
  listPartialUploads(): AsyncGenerator<PartEntry[], void, void> {
    const header = { op: "list", filename: "", parts: true };
    return this.channel.lines(header, (line) => decodeListLine("part", line));
  }

  /** Makes a directory and its parent directories. */
  async mkdir(filename: string): Promise<void> {
    await this.channel.ask(OPERATIONS.mkdir.reply, { op: "mkdir", filename });
  }

  /** Deletes a file, or with `recursive` a directory and all that is in it. */
  async remove(filename: string, { recursive }: { recursive: boolean }): Promise<void> {
    await this.channel.ask(OPERATIONS.remove.reply, { op: "remove", filename, recursive });
  }

  /** Renames a file or a directory. */
  async move(
    filename: string,
    to: string,
    { overwrite }: { overwrite: "never" | "always" },
  ): Promise<void> {
    await this.channel.ask(OPERATIONS.move.reply, { op: "move", filename, to, overwrite });
  }

  /** Removes the partial uploads of a file. */
  async discard(filename: string): Promise<void> {
    this.assertFeature("discard", "the removal of partial uploads");
    await this.channel.ask(OPERATIONS.discard.reply, { op: "discard", filename });
  }

  /** Makes a share link. */
  async share(
    filename: string,
    { upload, expiresIn: expires_in, downloads }: ShareWishes,
  ): Promise<SharedLink> {
    this.assertFeature("share", "share links");
    const header = { op: "share", filename, upload, expires_in, downloads };
    const reply = await this.channel.ask(OPERATIONS.share.reply, header);
    const { status: _, ...link } = reply;
    return link;
  }

  /** The share links of this client's token. */
  listShares(): AsyncGenerator<SharedLink[], void, void> {
    this.assertFeature("share", "share links");
    return this.channel.lines({ op: "shares" }, decodeShareLine);
  }

  /** Takes back a share link. */
  async unshare(id: string): Promise<void> {
    this.assertFeature("share", "share links");
    await this.channel.ask(OPERATIONS.unshare.reply, { op: "unshare", id });
  }

  /**
   * Asks whether a file should be sent, and from which offset.
   *
   * @param options `restart` is true where no partial upload is to be resumed
   * @throws {FerryError} `exists`, `no_space`, …; `checksum_mismatch` where the server says that it has the file, but
   * reports another checksum
   */
  async offer(
    request: FileToPut,
    { restart }: { restart: boolean },
  ): Promise<OfferReply> {
    const header = { ...putHeader(request), total_size: 0, offer: true, restart };
    const offered = await this.channel.ask(OPERATIONS.put.offer, header);
    assertHas(header, offered);
    return offered;
  }

  /**
   * Uploads a file of known size, or the rest of one.
   *
   * @throws {FerryError} the server's error; `checksum_mismatch` where it stored something else than was sent; what the
   * source fails with
   */
  async put(request: FileToPut, { source, ...body }: SizedBody): Promise<PutReply> {
    const { algorithm, checksum, size } = request;
    const header = putHeader(request);
    let sent = checksum;
    const reply = await this.channel.send(OPERATIONS.put.reply, header, async (wire, refusal) => {
      const stop = () => refusal.error;
      const options = { ...body, algorithm, checksum, stop };
      sent = (await sendSized(wire, header, source, options)).checksum;
    });
    if (!reply.unchanged) assertStored(reply, { checksum: sent!, size: size! });
    return reply;
  }

  /**
   * Uploads a file whose size is known only at the end of its bytes.
   *
   * @throws {FerryError} as {@linkcode Connection.put}
   */
  async putStream(
    request: FileToPut,
    pieces: AsyncIterable<Uint8Array>,
    onBytes: OnBytes,
  ): Promise<PutReply> {
    const { algorithm } = request;
    const header = putHeader({ ...request, size: null });
    let sent: Verified | undefined;
    const reply = await this.channel.send(OPERATIONS.put.reply, header, async (wire, refusal) => {
      sent = await sendStreamed(wire, header, refusal.until(pieces), { algorithm, onBytes });
    });
    if (!reply.unchanged) assertStored(reply, sent!);
    return reply;
  }

  /**
   * Uploads small files and makes directories and links, by pipelined requests.
   *
   * @param next returns the next item; undefined where there are no more
   * @param settle called for each item: with the reply, which a directory has none of, or with its failure
   * @throws {FerryError} the failure that ends the connection
   */
  putEach<Item extends SmallUpload>(
    next: () => MaybePromise<Item | undefined>,
    settle: (item: Item, reply: SmallReply, failure?: unknown) => void,
  ): Promise<void> {
    return putEach(this.channel, next, settle);
  }

  /**
   * Downloads a file, the rest of one or a range of one.
   *
   * @param take receives it
   * @throws {FerryError} the server's error; `bad_version` where the server does not offer ranges; what `take` fails
   * with
   */
  get<T>(request: FileToGet, take: (file: IncomingFile) => Promise<T>): Promise<T> {
    const header = getHeader(request);
    return this.channel.fetch(header, (reply) => {
      assertAnswers(header, reply.header);
      return take(new IncomingFile(request, reply));
    });
  }

  /**
   * Downloads small files, by pipelined requests.
   *
   * @param next returns the next item; undefined where there are no more
   * @param take receives each file
   * @param failed called with the failure of an item; what it throws ends the connection
   * @throws {FerryError} the failure that ends the connection
   */
  getEach<Item extends SmallDownload>(
    next: () => MaybePromise<Item | undefined>,
    take: (file: IncomingFile, item: Item) => Promise<void>,
    failed: (item: Item, error: unknown) => void,
  ): Promise<void> {
    const requestFor = (item: Item | undefined): PipelinedItem<Item> | undefined =>
      item && { item, header: getHeader(item.request) };
    return this.channel.pipeline(
      () => mapped(next(), requestFor),
      async (reply, { header, item }) => {
        try {
          assertAnswers(header, reply.header);
          await take(new IncomingFile(item.request, reply), item);
        } catch (error) {
          failed(item, error);
        }
      },
    );
  }

  /**
   * Asks which of many files have to be uploaded.
   *
   * @param options as for the uploads; `content` is true where only equal checksums, not an equal size and time, mean
   * that two files are the same
   */
  compare(
    files: AsyncIterable<ManifestLine> | Iterable<ManifestLine>,
    { algorithm, ...wishes }: {
      overwrite: Overwrite;
      content: boolean;
      algorithm: Algorithm;
      known: boolean;
    },
  ): AsyncGenerator<ManifestReply[], void, void> {
    const lines = encodeLines(files, encodeManifestLine);
    const header = { op: "compare", ...wishes };
    return this.channel.exchange(header, lines, { decode: decodeManifestReply, algorithm });
  }

  /**
   * Runs a command: `run` sends the request and reads the reply. It closes the wire where no request can follow.
   */
  exec<T>(run: (wire: Wire) => Promise<T>): Promise<T> {
    return this.channel.converse(run);
  }
}
