/**
 * One connection: reads requests, runs them, answers in order. The one place where an error becomes a
 * reply.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../../lib/runtime/runtime.ts";
import { getLogger } from "@logtape/logtape";
import { BUFFERS } from "../../../lib/core/buffer_pool.ts";
import type { Digest } from "../../../lib/digest/digest.ts";
import { type ErrorCode, FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { parseDirectoryName, parseFileName } from "../../../lib/core/remote_name.ts";
import {
  type AuthRequest,
  checksumKeys,
  type CompareRequest,
  encodeLine,
  entryKeys,
  errorReply,
  type ExecRequest,
  type GetRequest,
  type HelloRequest,
  type ListRequest,
  parseRequest,
  PROTOCOL_VERSION,
  type PutRequest,
  type Request,
  timeoutKey,
} from "../../../lib/wire/header.ts";
import type { PartEntry } from "../../../lib/core/entry.ts";
import { HEADER_CHECKSUMS } from "../../../lib/wire/header_checksum.ts";
import { KEEP_ALIVE } from "../../../lib/wire/keep_alive.ts";
import {
  decodeLines,
  decodeManifestLine,
  encodeLines,
  encodeManifestReply,
} from "../../../lib/wire/manifest.ts";
import type { Storage, StoredFile } from "../../storage/storage.ts";
import {
  readWhole,
  sendSized,
  sendStreamed,
  verifiedPieces,
} from "../../../lib/transfer/transfer.ts";
import { digestPrefix } from "../../../lib/digest/source_digest.ts";
import { VERSION } from "../../../lib/core/version.ts";
import {
  type ByteStream,
  type Frame,
  type IncomingBody,
  MAX_DRAIN_BYTES,
  MAX_UNREAD_INPUT_BYTES,
  Wire,
} from "../../../lib/wire/wire.ts";
import { type Authority, Identity } from "../../auth/authentication.ts";
import { compareManifest } from "./compare.ts";
import type { Commands } from "../../exec/allowed_commands.ts";
import { replyWithOutput } from "./exec_reply.ts";
import { logFailure } from "../../observe/failures.ts";
import type { Permit } from "../../auth/permit.ts";
import type { SessionHooks } from "../../observe/hooks.ts";
import { type ReplyHeader, ReplyQueue } from "./reply_queue.ts";
import { Uploads } from "./uploads.ts";

/** The optional parts of the protocol that this server has. */
const FEATURES = [
  "streamed",
  "pipelining",
  "offer",
  "resume",
  "compare",
  "sha256",
  "xxh128",
  "discard",
  "range",
];

/** What ends a connection with a reply: where the next message starts is not known behind it. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "bad_header",
  "checksum_mismatch",
  "busy",
]);

/** What everything fails with that waits for a connection when that ends. */
const ENDED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["closed", "timeout"]);

/** Files up to this size are read before their reply begins. */
const SMALL_BYTES = 64 * 1024;

const logger = getLogger(["ferry", "server"]);

/** What a session serves, and to whom. */
export interface SessionOptions {
  /** Where the files are. */
  storage: Storage;
  /** Knows who may do what. */
  authority: Authority;
  /** The commands that may be run, where there are some. */
  commands?: Commands | undefined;
  /**
   * Milliseconds for which a client is waited for until it has made its first request, or has shown a token
   * where nothing is granted without one.
   */
  handshakeTimeout: number;
  /** Milliseconds after which a silent peer is disconnected. */
  idleTimeout: number;
  /** How many bytes a second a peer has to move while a message is under way. */
  minRate: number;
  /** The peer's address, for the log. */
  peer: string;
  /** Told what becomes of the requests, where somebody wants to know. */
  tell?: SessionHooks | undefined;
  /** Whose tries to prove who it is count together. */
  source: string;
}

/** How long a client may take to end or to go on with a body that was refused while it came, in milliseconds. */
const LINGER_MS = 2000;

/** A request that is being answered: what it is called in errors, and what allows it. */
interface Task {
  readonly request: Request;
  readonly action: string;
  readonly permit: Permit;
}

/** The beginning of a connection: how many milliseconds are left for it, and whether anything was asked. */
interface Beginning {
  left: number;
  asked: boolean;
}

/** Serves one connection until either side ends it. */
export class Session {
  readonly #wire: Wire;
  readonly #options: SessionOptions;
  readonly #replies: ReplyQueue;
  readonly #uploads: Uploads;
  readonly #identity: Identity;
  #idle = false;
  #draining = false;
  /** Undefined behind it. */
  #beginning: Beginning | undefined;
  /** Whether it was told that the connection has ended. */
  #endTold = false;
  /** Whether replies may still stand in the output buffer. */
  #unsent = false;

  /** A session on a connection that was just accepted. */
  constructor(stream: ByteStream, options: SessionOptions) {
    this.#options = options;
    const { handshakeTimeout, idleTimeout, minRate } = options;
    this.#beginning = { left: handshakeTimeout, asked: false };
    this.#wire = new Wire(stream, { idleTimeout, minRate });
    this.#identity = new Identity(options.authority, options.source);
    this.#replies = new ReplyQueue(this.#wire);
    this.#uploads = new Uploads({
      storage: options.storage,
      settle: () => this.#replies.settle(),
      onStored: (file) => options.tell?.stored(file, this.#identity.shown),
      onTakenOver: () => {
        this.close(new FerryError("closed", "another connection goes on with this upload"));
      },
    });
  }

  /** Serves; resolves when the connection has ended, and never fails. */
  async run(): Promise<void> {
    const { peer } = this.#options;
    logger.debug("{peer} connected", { peer });
    // The other way round: nothing is written any more, then nothing is published any more, then the rest.
    await using ends = new AsyncDisposableStack();
    ends.defer(() => logger.debug("{peer} disconnected", { peer }));
    ends.use(this.#uploads);
    ends.defer(() => this.#replies.settle().catch(() => {}));
    ends.defer(() => this.#wire.close());
    try {
      let goOn = true;
      while (goOn && !this.#draining) {
        if (!this.#wire.hasHeader()) await this.#flush();
        this.#idle = true;
        const frame = await this.#nextInTime();
        this.#idle = false;
        goOn = frame !== null && await this.#answer(frame);
      }
      await this.#replies.settle();
      await this.#wire.closeGracefully();
    } catch (error) {
      this.#log("{peer} left: {message} ({code})", toFerryError(error));
    }
  }

  /** Lets the requests under way finish, then ends. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (!this.#idle) return;
    await this.#replies.settle().catch(() => {});
    if (this.#idle) this.close(new FerryError("closed", "the server is shutting down"));
  }

  /** Ends the connection now. */
  close(reason: FerryError): void {
    this.#identity.close();
    this.#wire.close(reason);
  }

  /** As {@linkcode Session.#nextFrame}, but ends the connection where a client takes long to begin. */
  #nextInTime(): Promise<Frame | null> {
    const beginning = this.#beginning;
    if (beginning && !(beginning.asked && this.#isSomebody)) return this.#nextSoon(beginning);
    this.#beginning = undefined;
    return this.#nextFrame();
  }

  async #nextSoon(beginning: Beginning): Promise<Frame | null> {
    const what = beginning.asked ? "no token was shown" : "no request came";
    const seconds = this.#options.handshakeTimeout / 1000;
    const late = () => this.close(new FerryError("timeout", `${what} within ${seconds} s`));
    const started = performance.now();
    const timer = setTimeout(late, beginning.left);
    try {
      return await this.#nextFrame();
    } finally {
      clearTimeout(timer);
      beginning.asked = true;
      // What this side takes for an answer does not count.
      beginning.left -= performance.now() - started;
    }
  }

  /** Whether there is anything that the client may do, or nobody whom it could become to do more. */
  get #isSomebody(): boolean {
    const { mechanism, scopes } = this.#identity;
    return mechanism === "none" || scopes.length > 0;
  }

  /** The next request, or null where there is none to come or none that can be understood. */
  async #nextFrame(): Promise<Frame | null> {
    try {
      return await this.#wire.readFrame();
    } catch (error) {
      const failure = toFerryError(error);
      if (!UNREADABLE.has(failure.code)) throw failure;
      // Where the next message starts is not known: say so, and end.
      await this.#refuse(failure.during("read a header"));
      return null;
    }
  }

  /** Answers one request; false where the connection cannot go on. */
  async #answer({ header, body }: Frame): Promise<boolean> {
    using _conversation = this.#wire.converse();
    let action = "understand the request";
    let request: Request | undefined;
    try {
      request = parseRequest(header);
      action = describe(request);
      const permit = this.#identity.permit(request);
      const task = { request, action, permit };
      if (!body.ended) await this.#flush();
      if (request.op === "put" && !request.offer) {
        return await this.#put(request, body, task);
      }
      await this.#uploads.release();
      // Everything but a put sees what the puts before it have done.
      await this.#replies.written();
      permit.assert();
      if (request.op === "compare") return await this.#compare(request, body, task);
      if (request.op === "exec") return await this.#exec(request, body, task);
      if (!await body.drain()) {
        await this.#refuse(
          new FerryError("too_large", "the request has no use for a body, and it is large").during(
            action,
          ),
          request,
        );
        return false;
      }
      permit.assert();
      return await this.#run(request, task);
    } catch (error) {
      await this.#refuse(toFerryError(error).during(action), request);
      return await this.#skip(body);
    }
  }

  /**
   * Sends the replies with bodies that were gathered. Many requests that came together are answered
   * together, but before this side waits for the other, the other has all that it was told.
   */
  async #flush(): Promise<void> {
    if (!this.#unsent) return;
    this.#unsent = false;
    await this.#replies.settle();
  }

  /** Reports a failed request. */
  async #refuse(error: FerryError, request?: Request): Promise<void> {
    this.#fail(error, request);
    await this.#replies.push(Promise.resolve(errorReply(error)));
  }

  /** Reads over what is left of a refused request's body; false where that is too much. */
  async #skip(body: IncomingBody, limit = MAX_DRAIN_BYTES): Promise<boolean> {
    if (body.ended) return true;
    // The peer may wait for the answer before it sends more.
    await this.#replies.settle();
    // A body that cannot be read over ends the connection, gently, so that the answer still arrives.
    return await body.drain(limit).catch(() => false);
  }

  /** Tells that a request failed, all but the client. */
  #fail(error: FerryError, request?: Request): void {
    this.#log("{peer}: {message} ({code})", error, request);
  }

  #log(text: string, error: FerryError, request?: Request): void {
    // All that waits for a connection fails as it ends: that is told once.
    if (this.#wire.closed && ENDED.has(error.code)) {
      if (this.#endTold) return;
      this.#endTold = true;
    }
    const { peer, tell } = this.#options;
    logFailure(text, error, { properties: { peer } });
    // That this side ends a connection is no failure of it.
    if (request || !this.#draining) tell?.failed(error, this.#identity.shown, request);
  }

  /** Receives a file. Its reply follows when it is committed; requests behind it are read meanwhile. */
  async #put(
    request: PutRequest,
    body: IncomingBody,
    { action, permit }: Task,
  ): Promise<boolean> {
    const receiving = this.#uploads.receive(request, body, permit);
    try {
      const { committed } = await permit.wait(receiving);
      await this.#replies.push(committed.catch((error) => {
        const failure = toFerryError(error).during(action);
        this.#fail(failure, request);
        return errorReply(failure);
      }));
      return true;
    } catch (error) {
      const failure = toFerryError(error).during(action);
      await this.#refuse(failure, request);
      if (!body.ended) await this.#giveUp(receiving, failure);
      return await this.#skip(body);
    }
  }

  /** Waits for what still reads of a body that was refused, but not for a client that sends nothing of it. */
  async #giveUp(reading: Promise<unknown>, failure: FerryError): Promise<void> {
    const timer = setTimeout(() => this.close(failure), LINGER_MS);
    try {
      await this.#replies.settle();
      await reading;
    } catch {
      // Why it was given up has been told.
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs a request whose turn it is; false where the connection cannot go on. */
  async #run(request: Request, task: Task): Promise<boolean> {
    const { permit } = task;
    const storage = permit.confine(this.#options.storage);
    switch (request.op) {
      case "hello": {
        const reply = await this.#hello(request);
        if (reply.features.includes(HEADER_CHECKSUMS)) this.#wire.headerChecksums = "required";
        await this.#reply(reply);
        if (reply.features.includes(KEEP_ALIVE)) {
          this.#wire.keepAlive(request.idle_ms, { answers: true });
        }
        break;
      }
      case "auth":
        await this.#reply(await this.#authenticate(request));
        break;
      case "ping":
        await this.#reply(await this.#health());
        break;
      case "put":
        await this.#reply(await this.#uploads.consider(request, permit));
        break;
      case "get":
        return this.#get(request, task);
      case "list":
        return this.#list(request, task);
      case "stat": {
        const name = parseDirectoryName(request.filename);
        const entry = await storage.stat(name, request.algorithm);
        const checksum = name !== "" && entry.type === "file"
          ? await permit.wait(storage.checksum(name, request.algorithm))
          : null;
        await this.#reply(entryKeys({ ...entry, checksum }));
        break;
      }
      case "mkdir":
        await storage.mkdir(parseFileName(request.filename), { assertMay: () => permit.assert() });
        await this.#reply({ filename: request.filename });
        break;
      case "remove": {
        const { filename, recursive } = request;
        const ended = new AbortController();
        using _watch = permit.onEnd((error) => ended.abort(error));
        await storage.remove(parseFileName(filename), { recursive, signal: ended.signal });
        await this.#reply({ filename });
        break;
      }
      case "discard": {
        const { owner } = permit;
        const assertMay = () => permit.assert();
        await storage.discardParts(parseFileName(request.filename), { owner, assertMay });
        await this.#reply({ filename: request.filename });
        break;
      }
      case "move": {
        const { filename, to, overwrite } = request;
        const replace = overwrite === "always";
        const ended = new AbortController();
        using _watch = permit.onEnd((error) => ended.abort(error));
        await storage.move(parseFileName(filename), parseFileName(to), {
          replace,
          assertMay: () => permit.assert(),
          signal: ended.signal,
        });
        await this.#reply({ filename: to });
        break;
      }
    }
    return true;
  }

  /** What keeps files from being served, if anything does; else what cannot be promised. */
  async #health(): Promise<ReplyHeader> {
    try {
      const { storage } = this.#options;
      await storage.assertServing();
      const { shortcomings = [] } = storage;
      return shortcomings.length === 0 ? {} : { shortcomings };
    } catch (error) {
      return { problem: toFerryError(error).message };
    }
  }

  /** What a client is told first; where it wants to prove who it is, that begins here. */
  async #hello(request: HelloRequest): Promise<ReplyHeader & { features: string[] }> {
    const { mechanism: auth, scopes } = this.#identity;
    const features = [...FEATURES];
    if (this.#options.commands) features.push("exec");
    // Only to who has announced it: both sides do it then, or none.
    for (const feature of [HEADER_CHECKSUMS, KEEP_ALIVE]) {
      if (request.features.includes(feature)) features.push(feature);
    }
    const { idleTimeout } = this.#options;
    const silence = features.includes(KEEP_ALIVE) ? { idle_ms: timeoutKey(idleTimeout) } : {};
    const agent = `ferryd/${VERSION}`;
    const reply = { ...agree(request, features), ...silence, auth, agent };
    if (auth === "none") return reply;
    const { scram } = request;
    const challenge = scram === undefined ? {} : { scram: await this.#identity.challenge(scram) };
    return { ...reply, ...challenge, scopes };
  }

  async #authenticate({ scram }: AuthRequest): Promise<ReplyHeader> {
    const { peer } = this.#options;
    if (this.#identity.mechanism === "none") {
      throw new FerryError("bad_header", "nobody is asked here who it is");
    }
    // A client's first message begins with a flag, its last one with the binding.
    if (!scram.startsWith("c=")) return { scram: await this.#identity.challenge(scram) };
    const proof = await this.#identity.prove(scram);
    logger.info("{peer} is {name}", { peer, name: this.#identity.name });
    return { scram: proof, scopes: this.#identity.scopes };
  }

  async #reply(keys: ReplyHeader): Promise<void> {
    await this.#replies.push(Promise.resolve({ status: "ok", ...keys }));
  }

  async #get(request: GetRequest, task: Task): Promise<boolean> {
    const { permit } = task;
    const { filename, algorithm } = request;
    await using file = await permit.confine(this.#options.storage).open(
      parseFileName(filename),
      algorithm,
    );
    const { size, mtime, mode } = file.entry;
    const header = { status: "ok", filename, size, mtime, mode };
    const range = rangeOf(request, size);
    if (range) {
      file.seek(range.start);
      using _watch = permit.onEnd((error) => this.close(error));
      // Nothing is known of the whole, so there is nothing to compare it with.
      const source = {
        read: (into: Uint8Array) => file.read(into),
        assertUnchanged: async () => await file.assertUnchanged?.(),
      };
      const { start, size } = range;
      return await this.#stream(task, async () => {
        await sendSized(this.#wire, { ...header, start }, source, {
          size,
          algorithm,
          checksum: null,
        });
      });
    }
    if (size <= SMALL_BYTES && request.offset === 0n && BUFFERS.has(size)) {
      using lent = BUFFERS.lend(size);
      const { bytes } = lent;
      // Reading it now is quicker than asking whether its checksum is known.
      const checksum = await readWhole(file, { into: bytes, algorithm });
      const keys = { offset: 0, ...checksumKeys(algorithm, checksum), total_size: size };
      return await this.#stream(task, () => this.#wire.writeFrame({ ...header, ...keys }, bytes));
    }
    const { checksum } = file.entry;
    const { offset, digest } = await prefixOf(file, request);
    permit.assert();
    file.seek(offset);
    // There is no room for an error in a body of a known size.
    using _watch = permit.onEnd((error) => this.close(error));
    return await this.#stream(task, async () => {
      const rest = { size: size - offset, algorithm, checksum, digest };
      const sent = await sendSized(this.#wire, { ...header, offset }, file, rest);
      if (checksum === null) await file.remember(sent.checksum);
    });
  }

  async #list(request: ListRequest, task: Task): Promise<boolean> {
    const { filename, recursive, parts, omitted } = request;
    const storage = task.permit.confine(this.#options.storage);
    const name = parseDirectoryName(filename);
    const { type } = await storage.stat(name);
    if (type !== "directory") throw new FerryError("not_a_file", "it is not a directory");
    const { permit } = task;
    const entries = parts
      ? await this.#visibleParts(permit)
      : storage.list(name, { recursive, omitted });
    const pieces = encodeLines(entries, encodeLine);
    return await this.#streamLines(task, { keys: { filename }, pieces });
  }

  /** Sends lines for as long as the client may have them. */
  async #streamLines(
    task: Task,
    { keys, pieces, closing }: {
      /** The keys of the opening header. */
      keys?: ReplyHeader;
      pieces: AsyncGenerator<Uint8Array, void, void>;
      /** The keys of the closing header. */
      closing?: () => ReplyHeader;
    },
  ): Promise<boolean> {
    const { permit } = task;
    const permitted = {
      [Symbol.asyncIterator]: () => ({ next: () => permit.wait(pieces.next()) }),
    };
    let failure: FerryError | undefined;
    const goOn = await this.#stream(task, async () => {
      try {
        await sendStreamed(this.#wire, { status: "ok", ...keys }, permitted, { closing });
      } catch (error) {
        failure = toFerryError(error);
        throw failure;
      }
    });
    // What nobody waits for any more may still be reading.
    if (failure) await this.#giveUp(pieces.return(), failure);
    return goOn && this.#wire.writable;
  }

  /** The client's parts of files that it may look at. */
  async #visibleParts(permit: Permit): Promise<PartEntry[]> {
    return (await this.#options.storage.parts(permit.owner)).filter(({ filename }) => {
      try {
        permit.assert({ op: "stat", filename });
        return true;
      } catch {
        return false;
      }
    });
  }

  async #compare(
    { overwrite, content }: CompareRequest,
    body: IncomingBody,
    task: Task,
  ): Promise<boolean> {
    const storage = task.permit.confine(this.#options.storage);
    const { algorithm } = body;
    const lines = decodeLines(verifiedPieces(body), decodeManifestLine);
    const assertMay = (filename: string) => task.permit.assert({ op: "compare", filename });
    const replies = compareManifest(storage, lines, { overwrite, algorithm, content, assertMay });
    const answers = encodeLines(replies, encodeManifestReply);
    // All of the body has been read and verified by then.
    const closing = () => ({ compared: body.checksum });
    const goOn = await this.#streamLines(task, { pieces: answers, closing });
    return goOn && await this.#skip(body);
  }

  async #exec(
    request: ExecRequest,
    body: IncomingBody,
    task: Task,
  ): Promise<boolean> {
    const { action, permit } = task;
    const { commands, peer } = this.#options;
    if (!commands) throw new FerryError("denied", "the server runs no commands");
    const command = commands.start(request, { stdin: !body.ended });
    logger.info("{peer}: {action}", { peer, action });
    // What takes its time, or writes more than the client wants to read now, is no silent peer.
    this.#wire.patience = command.timeout;
    using _watch = permit.onEnd((error) => {
      this.#wire.patience = 0;
      command.abort(error);
    });
    const goOn = await this.#stream(task, async () => {
      const end = await replyWithOutput(this.#wire, body, { command, action });
      logger.debug("{peer}: {action}: exit status {exit_code}", { peer, action, ...end });
    });
    this.#wire.patience = 0;
    return goOn && await this.#skip(body, MAX_UNREAD_INPUT_BYTES);
  }

  /**
   * Sends a reply with a body. Once it has begun there is no room for an error reply: the body ends with
   * an error in its closing header, or the connection ends.
   *
   * @throws what keeps it from being begun
   */
  async #stream({ request, action }: Task, send: () => Promise<void>): Promise<boolean> {
    const before = this.#wire.bytesTaken;
    try {
      this.#unsent = true;
      await send();
    } catch (error) {
      if (this.#wire.bytesTaken === before) throw error;
      this.#fail(toFerryError(error).during(action), request);
      // Where the client has left, that has just been told.
      if (this.#wire.writable) await this.#wire.flush().catch(() => {});
    }
    return this.#wire.writable;
  }
}

function describe(request: Request): string {
  switch (request.op) {
    case "hello":
      return "agree on a version";
    case "ping":
      return "answer the ping";
    case "auth":
      return "take the token";
    case "compare":
      return "compare the files";
    case "move":
      return `move ${quote(request.filename)} to ${quote(request.to)}`;
    case "discard":
      return `remove the partial upload of ${quote(request.filename)}`;
    case "mkdir":
      return `make the directory ${quote(request.filename)}`;
    case "exec":
      return `run ${quote(request.command ?? request.argv?.join(" ") ?? "")}`;
    default:
      return `${request.op} ${quote(request.filename)}`;
  }
}

function agree({ versions }: HelloRequest, features: string[]) {
  if (!versions.includes(PROTOCOL_VERSION)) {
    throw new FerryError(
      "bad_version",
      `this server speaks version ${PROTOCOL_VERSION}, the client ${versions.join(", ") || "none"}`,
    );
  }
  return {
    version: PROTOCOL_VERSION,
    versions: [PROTOCOL_VERSION],
    features,
  };
}

/** The range of a file that is asked for, as far as the file has it; undefined where all of it is asked for. */
function rangeOf(
  { start, count }: GetRequest,
  size: number,
): { start: number; size: number } | undefined {
  if (start === undefined && count === undefined) return undefined;
  const from = atMost(start ?? 0n, size);
  return { start: from, size: atMost(count ?? BigInt(size), size - from) };
}

function atMost(count: bigint, most: number): number {
  return count < BigInt(most) ? Number(count) : most;
}

/** How much of a client's prefix is proven to be this file's, and the digest behind it where it is needed. */
async function prefixOf(
  file: StoredFile,
  { algorithm, offset, ifChecksum, prefix_md5, prefix_xxh128 }: GetRequest,
): Promise<{ offset: number; digest?: Digest }> {
  const { size, checksum } = file.entry;
  if (offset === 0n || offset > BigInt(size)) return { offset: 0 };
  const limit = Number(offset);
  if (checksum !== null && ifChecksum === checksum) return { offset: limit };
  if (prefix_md5 === null && prefix_xxh128 === null) return { offset: 0 };
  const digest = await digestPrefix(SHARED_RUNTIME, file, {
    size: limit,
    algorithm,
    proof: prefix_xxh128 !== null,
  });
  const facts = await digest.facts();
  const proven = facts.size === limit &&
    (prefix_xxh128 !== null ? facts.xxh128 === prefix_xxh128 : facts.md5 === prefix_md5);
  return proven ? { offset: limit, digest } : { offset: 0 };
}
