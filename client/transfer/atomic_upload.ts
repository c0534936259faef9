/**
 * How a directory is published as one: its files go into a staged tree on the server, which nobody sees, and which gets
 * the name when it is whole.
 *
 * @module
 */

import type { Listed } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Connection } from "../net/connection.ts";
import { keepIn, publish, stage } from "../net/stage_requests.ts";
import type { Filter } from "./filter.ts";
import type { Connections } from "./jobs.ts";
import { again, limitsOf, type PutTreeOptions } from "./options.ts";
import type { Stage } from "./stage.ts";
import { TreeUpload } from "./tree_upload.ts";

/** An upload of a directory that is published as one, over one connection or several. */
export class AtomicUpload {
  readonly #root: string;
  readonly #as: string;
  readonly #options: PutTreeOptions;
  readonly #failures: Failures;
  readonly #replace: boolean;
  /** Which of the files that are there already stay, although the local directory does not have them. */
  readonly #keeps: Filter | undefined;
  #tree: TreeUpload;
  #stage: Stage | undefined;
  /** Whether all that the filter excludes was carried over into the staged tree. */
  #hasKept = false;
  /** Whether its publication was requested: if the connection was lost since, it may be published. */
  #requested = false;

  private constructor(
    { root, as, options, failures, tree }: {
      root: string;
      as: string;
      options: PutTreeOptions;
      failures: Failures;
      tree: TreeUpload;
    },
  ) {
    this.#root = root;
    this.#as = as;
    this.#options = options;
    this.#failures = failures;
    this.#replace = (options.overwrite ?? "never") !== "never";
    const { delete: deletion, filter } = options;
    this.#keeps = limitsOf(deletion)?.excluded ? undefined : filter;
    this.#tree = tree;
  }

  /**
   * Begins to walk the local directory.
   *
   * @throws {FerryError} where the directory itself cannot be read
   */
  static async begin(root: string, as: string, given: PutTreeOptions): Promise<AtomicUpload> {
    assertApplicable(given);
    const failures = new Failures();
    const options: PutTreeOptions = {
      ...given,
      onError(name, error) {
        failures.add(error);
        given.onError?.(name, error);
      },
    };
    const tree = await TreeUpload.begin(root, as, options);
    return new AtomicUpload({ root, as, options, failures, tree });
  }

  /** See {@linkcode TreeUpload.isCutShort}. */
  get isCutShort(): boolean {
    return this.#tree.isCutShort;
  }

  /**
   * Sends the remaining files, and publishes the directory.
   *
   * @throws {FerryError} why it is not published
   */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    const { dryRun } = this.#options;
    const wish = { filename: this.#as, replace: this.#replace };
    if (dryRun) await stage(connection, { ...wish, ask: true });
    else if (this.#requested && await this.#publish(connection, { isRepeated: true })) return;
    else await this.#begin(connection);
    await this.#tree.run(connections);
    // Files that failed locally have ended the connections: this goes on with others.
    if (this.isCutShort) return;
    this.#failures.assertNone();
    this.#tree.assertStanding();
    if (!dryRun) await this.#publish(connection);
  }

  /** Begins the staged tree, or goes on with it over a new connection. */
  async #begin(connection: Connection): Promise<void> {
    const filename = this.#as;
    const before = this.#stage;
    const wish = { filename, replace: this.#replace, stage: before?.stage };
    const begun = await stage(connection, wish);
    if (begun.stage === undefined) {
      throw new FerryError("bad_header", "the server does not tell what it has begun");
    }
    if (begun.stage !== before?.stage) {
      const isNew = !begun.exists && !begun.resumed;
      // The server was started anew, and has forgotten which files were sent: they are compared with what it still has.
      if (before) this.#tree = await this.#walkAgain();
      this.#stage = { filename, stage: begun.stage, isNew };
      this.#hasKept = false;
      this.#tree.into(this.#stage);
    }
    if (!begun.exists || this.#hasKept) return;
    await this.#keepExcluded(connection, this.#stage!);
    this.#hasKept = true;
  }

  #walkAgain(): Promise<TreeUpload> {
    this.#failures.clear();
    return TreeUpload.begin(this.#root, this.#as, again(this.#options));
  }

  /**
   * Publishes the directory.
   *
   * @param options.isRepeated whether this was requested before, and the reply was lost
   * @returns false if the server does not know it any more
   */
  async #publish(connection: Connection, { isRepeated = false } = {}): Promise<boolean> {
    const { filename, stage } = this.#stage!;
    this.#requested = true;
    try {
      const reply = await publish(connection, { filename, stage, replace: this.#replace });
      const { files, bytes, replaced } = reply;
      this.#options.onPublished?.({ filename, files, bytes, replaced });
      return true;
    } catch (error) {
      if (!isRepeated || toFerryError(error).code !== "not_found") throw error;
      // Another one has to be filled first.
      this.#requested = false;
      return false;
    }
  }

  /**
   * Carries over what the filter excludes and the directory has that is replaced.
   *
   * @throws {FerryError} where the client may not read what is there, or something cannot be carried over
   */
  async #keepExcluded(connection: Connection, into: Stage): Promise<void> {
    const { algorithm = "md5" } = this.#options;
    const filter = this.#keeps;
    if (!filter) return;
    const kept: string[] = [];
    const options = { recursive: true, omitted: true };
    for await (const entries of connection.list(this.#as, options)) {
      for (const { filename, type, omitted } of entries) {
        const name = filename.slice(this.#as.length + 1);
        if (omitted === "vanished" || !isExcluded(filter, name, type)) continue;
        if (omitted instanceof FerryError) throw omitted.during(`keep ${quote(filename)}`);
        kept.push(filename);
      }
    }
    if (kept.length === 0) return;
    for await (const replies of keepIn(connection, into, kept, algorithm)) {
      for (const reply of replies) {
        const [code, reason] = reply.decision === "error"
          ? [reply.code, reply.message] as const
          : ["busy", "it changes at the moment"] as const;
        throw new FerryError(code, reason, { action: `keep ${quote(reply.filename)}` });
      }
    }
  }
}

/**
 * Fails for options that do not go with a directory that is published as one.
 *
 * @throws {FerryError} `usage`
 */
function assertApplicable({ links, backup, delete: deletion }: PutTreeOptions): void {
  const limits = limitsOf(deletion);
  const unfit = links
    ? "symbolic links are not kept in it"
    : backup !== undefined
    ? "no backups are kept of what it replaces"
    : limits?.maxDelete !== undefined || limits?.force
    ? "what only the replaced one has is gone with it in any case"
    : undefined;
  if (unfit === undefined) return;
  throw new FerryError("usage", `the directory is to be published as one, and ${unfit}`);
}

/** Whether a filter excludes an entry, or a directory that it is in. */
function isExcluded(filter: Filter, name: string, type: Listed["type"]): boolean {
  for (let end = name.indexOf("/"); end > 0; end = name.indexOf("/", end + 1)) {
    if (!filter.accepts(name.slice(0, end), "directory")) return true;
  }
  return !filter.accepts(name, type ?? "file");
}

/** The files that could not be sent. */
class Failures {
  #count = 0;
  #first: FerryError | undefined;

  add(error: FerryError): void {
    this.#count++;
    this.#first ??= error;
  }

  clear(): void {
    this.#count = 0;
    this.#first = undefined;
  }

  /**
   * Fails if there are any.
   *
   * @throws {FerryError} with the code of the first one
   */
  assertNone(): void {
    if (!this.#first) return;
    const { code, reason } = this.#first;
    const what = this.#count === 1 ? "a file failed" : `${this.#count} files failed`;
    const message = `the directory is not published, since ${what} (${reason}); ` +
      "what was sent is kept for the next attempt";
    throw new FerryError(code, message, { cause: this.#first, lasting: true });
  }
}
