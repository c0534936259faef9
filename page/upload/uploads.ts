/// <reference lib="dom" />
/**
 * All uploads of a page: what is sent next, what was interrupted, and how far everything is.
 *
 * @module
 */

import type { Collected } from "./collect.ts";
import type { Digests } from "./digests.ts";
import type { Send } from "./exchange.ts";
import { UploadFailure } from "./failure.ts";
import { Group } from "./group.ts";
import type { Item } from "./item.ts";
import { Rate } from "./rate.ts";
import type { Remembered, Unfinished } from "./remembered.ts";
import { Stored, type StoredFile } from "./stored.ts";
import { Transfer } from "./transfer.ts";
import { Tus } from "./tus.ts";
import { Waits } from "./waits.ts";

/** How many files are sent at the same time. Browsers open six connections to a server; the page needs some of them. */
const AT_ONCE = 4;

/** What a file costs beside its bytes, in bytes: so is the time that is left right for many small files, too. */
const FILE_COST = 32 * 1024;

/** How often it is measured at most how far all files together are, in milliseconds. */
const MEASURE_MS = 100;

/** How often groups are saved at most, in milliseconds. */
const SAVE_MS = 1000;

/** What {@linkcode Uploads} need. */
export interface UploadsParts {
  readonly send: Send;
  readonly digests: Digests;
  readonly remembered: Remembered;
  /** What precedes each path of the view. */
  readonly prefix: string;
  /** Something is different from what was shown. */
  changed(): void;
  /** Files or directories are on the server that were not there before. */
  stored(): void;
  /** The server asks for a login. */
  loginNeeded(): void;
}

/** How far everything is. */
export interface Summary {
  readonly files: number;
  readonly arrived: number;
  readonly failed: number;
  /** Files of which somebody has to decide whether they replace others. */
  readonly undecided: number;
  readonly bytes: number;
  readonly sent: number;
  /** In bytes per second. */
  readonly rate: number | undefined;
  /** In seconds. */
  readonly left: number | undefined;
  /** Whether something is still to be sent. */
  readonly isActive: boolean;
  /** Whether nothing goes on because the network or the server is away. */
  readonly isPaused: boolean;
  /** Whether it is a login that is waited for. */
  readonly needsLogin: boolean;
}

/** All uploads of a page. */
export class Uploads {
  /** What was dropped or chosen, the latest last. */
  groups: readonly Group[] = [];
  readonly #parts: UploadsParts;
  readonly #tus: Tus;
  readonly #stored: Stored;
  readonly #rate = new Rate();
  readonly #costs = new Rate();
  readonly #waits: Waits;
  #running = 0;
  #saved = 0;
  #measured = -Infinity;

  /** Creates uploads, of which there are none yet. */
  constructor(parts: UploadsParts) {
    this.#parts = parts;
    this.#tus = new Tus(parts.send, parts.prefix);
    this.#stored = new Stored(parts.send, parts.prefix);
    this.#waits = new Waits(parts.loginNeeded, parts.changed);
  }

  /** All files, in the order in which they were added. */
  get items(): readonly Item[] {
    return this.groups.flatMap(({ items }) => items);
  }

  /** What another page, or this one before it was reloaded, did not finish. */
  get unfinished(): Unfinished[] {
    const own = new Set(this.groups.map(({ id }) => id));
    const { remembered, prefix } = this.#parts;
    return remembered.unfinished(prefix).filter(({ id }) => !own.has(id));
  }

  /** Sends what was dropped or chosen into a directory. */
  add(collected: Collected, directory: string): void {
    const { remembered, prefix } = this.#parts;
    const group = new Group(
      crypto.getRandomValues(new Uint32Array(2)).join("-"),
      directory,
      collected,
    );
    for (const item of group.items) item.address = remembered.find(prefix, addressed(item));
    const { tops } = group;
    for (const left of this.unfinished) {
      if (left.directory === directory && left.tops.every((top) => tops.has(top))) {
        remembered.forget(left.id);
      }
    }
    this.groups = [...this.groups, group];
    this.#save(group, { now: true });
    this.#prepare(group);
    this.#parts.changed();
  }

  /** Forgets an unfinished group, and removes what the server has of its files. */
  forget(left: Unfinished): void {
    this.#parts.remembered.forget(left.id);
    for (const { url } of left.uploads) this.#tus.remove(url);
    this.#parts.changed();
  }

  /** Tries failed files again. */
  retry(...items: readonly Item[]): void {
    const failed = items.filter(({ state }) => state === "failed");
    for (const item of failed) {
      item.state = "waiting";
      item.failure = undefined;
    }
    this.#reopen(failed);
    this.#proceed();
  }

  /** Decides about files whose names are taken. */
  decide(choice: "replace" | "skip", ...items: readonly Item[]): void {
    const undecided = items.filter(({ state }) => state === "exists");
    for (const item of undecided) {
      item.state = choice === "skip" ? "skipped" : "waiting";
      item.overwrite = "always";
      item.failure = undefined;
    }
    this.#reopen(undecided);
    for (const group of this.groups) this.#settle(group);
    this.#proceed();
  }

  /** Ends uploads, and removes what the server has of unfinished ones. */
  cancel(...items: readonly Item[]): void {
    const cancelled = items.filter(({ state }) => state !== "arrived" && state !== "skipped");
    for (const item of cancelled) {
      item.stop?.abort();
      if (item.address !== undefined) this.#tus.remove(item.address);
      item.address = undefined;
      item.state = "skipped";
    }
    this.#reopen(cancelled);
    for (const group of this.groups) {
      if (group.isCancelled) group.stop.abort();
      this.#settle(group);
    }
    this.#proceed();
  }

  /** Removes groups of which everything is done from the page. */
  clear(): void {
    for (const { id, stop } of this.groups.filter(({ isDone }) => isDone)) {
      stop.abort();
      this.#parts.remembered.forget(id);
    }
    this.groups = this.groups.filter(({ isDone }) => !isDone);
    this.#parts.changed();
  }

  /** Goes on after a login. */
  resume(): void {
    this.#waits.loggedIn();
  }

  /** Tries again at once what waits for the network. */
  hurry(): void {
    this.#waits.hurry();
  }

  /** Saves what has to outlive the page. */
  save(): void {
    for (const group of this.groups) this.#save(group, { now: true });
  }

  /** How far everything is. */
  get summary(): Summary {
    const items = this.items.filter(({ state }) => state !== "skipped");
    const bytes = items.reduce((sum, { file: { size } }) => sum + size, 0);
    const sent = items.reduce((sum, item) => sum + item.sent, 0);
    const count = (state: Item["state"]) => items.filter((item) => item.state === state).length;
    const open = items.filter(({ isSettled }) => !isSettled);
    const cost = open.reduce((sum, { file: { size }, sent }) => sum + size - sent + FILE_COST, 0);
    const active = items.filter(({ isActive }) => isActive);
    const { needsLogin } = this.#waits;
    // As long as it is not known what is there already, no file is on its way.
    const isPaused = open.length > 0 && active.every(({ state }) => state === "paused") &&
      (active.length > 0 || this.#waits.isPausing || needsLogin);
    return {
      files: items.length,
      arrived: count("arrived"),
      failed: count("failed"),
      undecided: count("exists"),
      bytes,
      sent,
      rate: isPaused ? undefined : this.#rate.perSecond,
      left: isPaused ? undefined : this.#costs.secondsFor(cost),
      isActive: open.length > 0,
      isPaused,
      needsLogin,
    };
  }

  async #prepare(group: Group): Promise<void> {
    const { directory, tops, stop: { signal } } = group;
    await this.#waits.retried(async () => {
      group.before = await this.#stored.below(directory, tops, signal);
    }, signal).catch(() => {
      // What is there is not known: the server refuses to replace a file.
    });
    group.isReady = true;
    this.#settle(group);
    this.#proceed();
  }

  /** Starts as many transfers as may run. */
  #proceed(): void {
    for (const group of this.groups) {
      while (group.isReady && this.#running < AT_ONCE) {
        const item = group.next;
        if (item === undefined) break;
        this.#start(group, item);
      }
    }
    this.#parts.changed();
  }

  async #start(group: Group, item: Item): Promise<void> {
    this.#running++;
    item.state = "reading";
    const stop = new AbortController();
    item.stop = stop;
    try {
      const md5 = await this.#sent(group, item, stop.signal);
      stop.signal.throwIfAborted();
      item.md5 = md5;
      item.state = "arrived";
      item.sent = item.file.size;
      this.#parts.stored();
    } catch (error) {
      if (!stop.signal.aborted) this.#failed(item, error);
    } finally {
      this.#running--;
      item.rate.reset();
      this.#measure();
      this.#settle(group);
      this.#save(group);
      this.#proceed();
    }
  }

  #failed(item: Item, error: unknown): void {
    item.failure = error instanceof UploadFailure
      ? error
      : new UploadFailure("internal", { title: String(error) });
    const isTaken = item.failure.code === "exists" && item.overwrite === "never";
    item.state = isTaken ? "exists" : "failed";
  }

  /** Sends a file, unless the server has it. @returns its MD5 */
  async #sent(group: Group, item: Item, signal: AbortSignal): Promise<string> {
    const digest = this.#parts.digests.of(item.file);
    const { name, file, overwrite } = item;
    const phase = (state: Item["state"]) => {
      if (signal.aborted) return;
      item.state = state;
      this.#parts.changed();
    };
    try {
      const there = overwrite === "never" ? group.before?.get(name) : undefined;
      const md5 = there && await this.#storedMd5(name, there, file, signal);
      if (md5 !== undefined) {
        const own = await digest.at(file.size);
        if (md5 !== own) throw new UploadFailure("exists");
        item.wasThere = true;
        return own;
      }
      const mtime = file.lastModified;
      const transfer = new Transfer({ blob: file, name, mtime, overwrite }, {
        tus: this.#tus,
        digest,
        signal,
        waits: this.#waits,
        earlier: item.address,
        onAddress: (url) => {
          if (item.address === url) return;
          item.address = url;
          this.#save(group, { now: true });
        },
        onPhase: phase,
        onOffset: (bytes) => {
          item.sent = Math.min(bytes, file.size);
          this.#measure(item);
        },
      });
      return await transfer.run();
    } finally {
      digest.end();
    }
  }

  /** The MD5 of a stored file, null if it cannot be that of another file; undefined if it has gone meanwhile. */
  async #storedMd5(
    name: string,
    { size, md5 }: StoredFile,
    file: File,
    signal: AbortSignal,
  ): Promise<string | null | undefined> {
    if (size !== file.size) return null;
    if (md5 !== null) return md5;
    try {
      const found = await this.#waits.retried(() => this.#stored.md5(name, signal), signal);
      return found ?? null;
    } catch (error) {
      if (error instanceof UploadFailure && error.isGone) return undefined;
      throw error;
    }
  }

  #measure(item?: Item): void {
    const now = performance.now();
    item?.rate.add(now, item.sent);
    if (now - this.#measured >= MEASURE_MS) {
      this.#measured = now;
      const { sent, arrived } = this.#done();
      this.#rate.add(now, sent);
      this.#costs.add(now, sent + arrived * FILE_COST);
    }
    this.#parts.changed();
  }

  #done(): { sent: number; arrived: number } {
    let [sent, arrived] = [0, 0];
    for (const { items } of this.groups) {
      for (const item of items) {
        sent += item.sent;
        if (item.isSettled) arrived++;
      }
    }
    return { sent, arrived };
  }

  /** Takes groups up again of which something was decided anew. */
  #reopen(items: readonly Item[]): void {
    const changed = new Set(items);
    for (const group of this.groups) {
      if (group.items.some((item) => changed.has(item))) group.reopen();
    }
  }

  /** Does what is to be done when all files of a group are. */
  async #settle(group: Group): Promise<void> {
    if (group.isDone || !group.isReady || !group.isSettled) return;
    group.isDone = true;
    const { round, stop: { signal } } = group;
    try {
      // Nothing was to arrive.
      signal.throwIfAborted();
      for (const name of group.directories) {
        await this.#waits.retried(() => this.#stored.makeDirectory(name, signal), signal);
      }
      if (group.directories.length > 0) this.#parts.stored();
      const { directory, tops } = group;
      const there = await this.#waits.retried(
        () => this.#stored.below(directory, tops, signal),
        signal,
      );
      if (group.round !== round) return;
      if (there) group.countAmong(there);
    } catch (error) {
      if (group.round !== round) return;
      group.failure = error instanceof UploadFailure ? error : undefined;
    }
    group.isCounted = true;
    this.#save(group, { now: true });
    this.#parts.changed();
  }

  #save(group: Group, { now = false }: { now?: boolean } = {}): void {
    const { remembered, prefix } = this.#parts;
    if (group.isComplete) return remembered.forget(group.id);
    if (!now && Date.now() - this.#saved < SAVE_MS) return;
    this.#saved = Date.now();
    remembered.save(group.unfinished(prefix));
  }
}

function addressed({ name, file: { size, lastModified } }: Item) {
  return { name, size, mtime: lastModified };
}
