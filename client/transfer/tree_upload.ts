/**
 * How a directory is uploaded: its files are compared with the server's in one exchange, small ones are sent in a
 * pipeline, large ones follow one by one.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { FerryError, mayPass, quote, toFerryError } from "../../lib/core/errors.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { LocalFile, readLocalFile, type WholeFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "../net/connection.ts";
import {
  type LinkToPut,
  putLink,
  type SmallReply,
  type SmallUpload,
} from "../net/small_uploads.ts";
import type { MaybePromise } from "../net/request_channel.ts";
import { type Connections, eachOf, onEach } from "./jobs.ts";
import { isLocalFailure, localFailure } from "./local_failure.ts";
import { assertDistinctOnServer, type RemoteLookup } from "./name_collisions.ts";
import { assertOptionValues } from "./option_values.ts";
import { asksForKnown, uploadKnown } from "./known_uploads.ts";
import { knownKey, nothingTransferred, type PutTreeOptions, type Transferred } from "./options.ts";
import type { Stage } from "./stage.ts";
import { upload } from "./upload.ts";
import { dropUnwanted, noteKnown } from "./upload_comparison.ts";
import { type UploadHooks, type UploadItem, UploadItems } from "./upload_items.ts";
import { planUpload } from "./upload_plan.ts";

/** Files up to this size are sent in a pipeline, without an offer. */
const SMALL_BYTES = 1024 * 1024;

/** A request for a file that needs no offer, for an empty directory or for a link. */
type SmallItem = SmallUpload & { readonly item: UploadItem };

/** An upload of a directory, over one connection or several. */
export class TreeUpload {
  readonly #options: PutTreeOptions;
  readonly #algorithm: Algorithm;
  readonly #items: UploadItems;
  readonly #hooks: UploadHooks;
  #compared = false;
  /** The staged tree that the files are put into; undefined if each gets its name at once. */
  #stage: Stage | undefined;

  private constructor(items: UploadItems, options: PutTreeOptions, hooks: UploadHooks) {
    this.#items = items;
    this.#hooks = hooks;
    this.#options = options;
    this.#algorithm = options.algorithm ?? "md5";
  }

  /**
   * Begins to walk the local directory.
   *
   * @throws {FerryError} where the directory itself cannot be read
   */
  static async begin(
    root: string,
    as: string,
    options: PutTreeOptions,
    hooks: UploadHooks = {},
  ): Promise<TreeUpload> {
    assertOptionValues(options);
    if (options.follow && options.links) {
      throw new FerryError("usage", "links are either followed or kept");
    }
    return new TreeUpload(await UploadItems.begin(root, as, options, hooks), options, hooks);
  }

  /** Puts the files into a staged tree. To be called before {@linkcode run}. */
  into(stage: Stage): void {
    this.#stage = stage;
    // In a new one is nothing that a file could be compared with.
    this.#compared = stage.isNew;
  }

  /**
   * Fails where the local directory is not where it was; see `LocalRoot`.
   *
   * @throws {FerryError} `not_found`, `io`
   */
  assertStanding(): void {
    this.#items.assertStanding();
  }

  /** Whether {@linkcode run} ended early, since files that failed locally have ended all connections. */
  get isCutShort(): boolean {
    return !this.#options.dryRun && this.#items.anyLeft;
  }

  /** Transfers the remaining files; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    connection.assertOffers(this.#algorithm);
    if (this.#options.links) connection.assertFeature("links", "symbolic links");
    const able = connection.hello.features.includes("compare");
    const options = { ...this.#options, algorithm: this.#algorithm };
    const knownLater = this.#hooks.knownLater === true && !options.dryRun && !this.#stage;
    const failed = (item: UploadItem, error: unknown) => this.#failed(item, error);
    if (!this.#compared && able) {
      const asked = { ...options, known: !knownLater && !this.#stage, stage: this.#stage };
      await dropUnwanted(connection, this.#items, asked, failed);
    }
    this.#compared = true;
    // Where the comparison was left out or incomplete, the walk is finished now.
    const pace = new Pace();
    for await (const _ of this.#items.files(connection.runtime)) if (pace.isDue) await pace.rest();
    this.assertStanding();
    if (this.#options.dryRun) {
      for (const item of [...this.#items.left.values()]) {
        if (item.type !== "directory") await this.#foresee(item, connection.runtime);
      }
      this.#items.left.clear();
      return;
    }
    await this.#hooks.beforeSending?.(connections, this.#items, failed);
    if (knownLater) await noteKnown(connection, this.#items, options);
    // Only where the server copies what it has is it worth while to keep names back.
    if (able && !this.#stage && asksForKnown(connection, options)) this.#items.holdBack();
    await this.#send(connections, options);
    if (this.#items.left.size === 0 && this.#items.release()) {
      await noteKnown(connection, this.#items, options);
      await this.#send(connections, options);
    }
    // These are transferred one by one, so that each sees the result of the previous one.
    await eachOf([connection], [...this.#items.later.values()], (connection, items) => {
      return this.#putEach(connection, items);
    });
  }

  /** Transfers what is left, except what comes later. */
  async #send(
    connections: Connections,
    options: PutTreeOptions & { algorithm: Algorithm },
  ): Promise<void> {
    const [connection] = connections;
    await uploadKnown(connections, this.#items.left.values(), options, {
      stored: (item, reply, known) => this.#stored(item, reply, { transferred: 0, known }),
      failed: (...why) => this.#failed(...why),
    });
    const nextSmall = this.#small(connection.runtime);
    await onEach(
      connections,
      (connection) => connection.putEach(nextSmall, (...settled) => this.#settle(...settled)),
    );
    await eachOf(connections, [...this.#items.left.values()], (connection, items) => {
      return this.#putEach(connection, items);
    });
  }

  async #putEach(connection: Connection, items: AsyncIterable<UploadItem>): Promise<void> {
    for await (const item of items) {
      try {
        const { overwrite } = await this.#overwriting(connection, item);
        if (item.type === "link") {
          const link = { ...this.#linkOf(item), overwrite: overwrite ?? "never" };
          this.#linked(item, await putLink(connection, link));
          continue;
        }
        const source = { kind: "path", path: item.path } as const;
        const stage = this.#stage?.stage;
        const options = { ...this.#options, overwrite, keepTime: true, stage };
        const plan = planUpload(item.filename, source, options);
        this.#done(item, await upload(connection, plan));
      } catch (error) {
        if (!connection.usable && !isLocalFailure(error)) throw error;
        this.#failed(item, error);
        // In the middle of a file, a connection cannot be used for anything else.
        if (!connection.usable) return;
      }
    }
  }

  /**
   * The overwrite policy for a file.
   *
   * @throws {FerryError} `bad_name` where the server takes its name for that of another file of this tree
   */
  async #overwriting(
    connection: Connection,
    { filename, before }: UploadItem,
  ): Promise<Pick<PutTreeOptions, "overwrite">> {
    const { overwrite } = this.#options;
    // Of a staged tree only the server knows what is in it.
    if (before === undefined || this.#stage) return { overwrite };
    try {
      await assertDistinctOnServer(filename, before, lookup(connection));
      return { overwrite };
    } catch (error) {
      if (toFerryError(error).code !== "denied") throw error;
      // A client that may write but not read gets no answer.
      return { overwrite: "never" };
    }
  }

  /** Records the result for a small file, an empty directory or a link. */
  #settle(small: SmallItem, reply: SmallReply, failure?: unknown): void {
    const { item } = small;
    if (failure !== undefined) {
      // After a temporary failure, the file is retried by itself, when the others are done.
      if (item.type === "directory" || !mayPass(toFerryError(failure))) this.#failed(item, failure);
      return;
    }
    if (!reply || "directory" in small) return this.#items.forget(item);
    if ("link" in small || !("checksum" in reply)) return this.#linked(item, reply);
    this.#stored(item, reply, { transferred: small.body.length });
  }

  #stored(
    item: UploadItem,
    { filename, checksum, size, unchanged, unkept }: PutReply,
    crossed: Pick<Transferred, "transferred" | "known">,
  ): void {
    // Where another file stays, the reply has that file's checksum and size.
    const stored = { filename, checksum, size, skipped: unchanged };
    this.#done(item, { ...stored, ...crossed, resumedFrom: 0, ...unkeptKey(unkept) });
  }

  /** Returns the small files, the empty directories and the links one after the other, for all connections together. */
  #small(runtime: Runtime): () => MaybePromise<SmallItem | undefined> {
    const items = this.#items.left.values().filter((item) =>
      item.type !== "file" || item.size <= SMALL_BYTES && !item.unsized
    ).toArray();
    let at = 0;
    const next = (): MaybePromise<SmallItem | undefined> => {
      for (;;) {
        const item = items[at++];
        if (item?.type === "link") return { item, link: this.#linkOf(item) };
        if (item?.type !== "file") {
          return item && { item, directory: item.filename, stage: this.#stage?.stage };
        }
        try {
          const file = readLocalFile(item.path, runtime);
          // For most files there is nothing to wait for.
          if (!(file instanceof Promise) && this.#algorithm === "md5") {
            return this.#smallRequest(item, file, runtime.digests.md5Of(file.bytes));
          }
          return this.#smallFile(item, file, runtime).catch((error) => {
            this.#failed(item, error);
            return next();
          });
        } catch (error) {
          this.#failed(item, error);
        }
      }
    };
    return next;
  }

  async #smallFile(
    item: UploadItem,
    reading: MaybePromise<WholeFile>,
    { digests }: Runtime,
  ): Promise<SmallItem> {
    const file = await reading;
    return this.#smallRequest(item, file, await digests.checksumOf(this.#algorithm, file.bytes));
  }

  #smallRequest(
    item: UploadItem,
    { bytes, mtime, mode }: WholeFile,
    checksum: Checksum,
  ): SmallItem {
    const { overwrite = "never", preserve, sparse } = this.#options;
    const { filename } = item;
    const kept = { mtime, mode: preserve ? mode : undefined, stage: this.#stage?.stage };
    const file = { filename, algorithm: this.#algorithm, checksum, size: bytes.length, sparse };
    return { item, request: { ...file, overwrite, ...kept }, body: bytes };
  }

  #linkOf({ filename, target, mtime }: UploadItem): LinkToPut {
    return { filename, target: target!, overwrite: this.#options.overwrite ?? "never", mtime };
  }

  #linked(
    item: UploadItem,
    { filename, unchanged: skipped }: Pick<PutReply, "filename" | "unchanged">,
  ): void {
    this.#done(item, nothingTransferred(filename, { size: 0, skipped, link: item.target }));
  }

  #done(item: UploadItem, result: Transferred): void {
    this.#items.done(item, result.skipped ? null : result.checksum);
    this.#options.onFile?.(result);
  }

  /** Reports a file that would be sent, if it can be read. */
  async #foresee(item: UploadItem, runtime: Runtime): Promise<void> {
    const { filename, size, target: link } = item;
    try {
      await using _file = link === undefined ? LocalFile.open(item.path, runtime) : undefined;
      const planned = nothingTransferred(filename, { size, link });
      this.#options.onFile?.({ ...planned, ...knownKey(item.known?.filename) });
    } catch (error) {
      this.#failed(item, error);
    }
  }

  #failed(item: UploadItem, error: unknown): void {
    this.#items.forget(item);
    const failure = localFailure(error, item.path).during(`put ${quote(item.path)}`);
    this.#options.onError?.(item.filename, failure);
  }
}

function lookup(connection: Connection): RemoteLookup {
  return {
    stat: (filename) => connection.stat(filename),
    async *list(directory) {
      const options = { recursive: false, omitted: false };
      for await (const entries of connection.list(directory, options)) yield* entries;
    },
  };
}
