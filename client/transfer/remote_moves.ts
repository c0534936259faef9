/**
 * Moves on the server in place of transfers: a mirror that would delete a file, and send it again under another name,
 * gives it that name, and so it does with whole directories.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { parentName } from "../../lib/core/remote_name.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import type { Connection } from "../net/connection.ts";
import { type Removal, removeEach } from "../net/removals.ts";
import { type Connections, onEach } from "./jobs.ts";
import { digestItem } from "./known_uploads.ts";
import type { Doomed } from "./mirror_plan.ts";
import { inside, lastPart } from "./names.ts";
import { nothingTransferred, type PutTreeOptions } from "./options.ts";
import type { UploadItem, UploadItems } from "./upload_items.ts";

/** A file on the server, and the one here that it is to become. */
interface Pair {
  readonly doomed: Doomed;
  readonly item: UploadItem;
}

/** Something that gets another name on the server. */
interface Move extends Removal {
  /** The files in it; an empty directory has none. */
  readonly pairs: readonly Pair[];
  /** The items that it settles: the files, and empty directories. */
  readonly items: readonly UploadItem[];
}

/** The moves of an upload of a directory. */
export class RemoteMoves {
  readonly #target: string;
  readonly #options: PutTreeOptions & { algorithm: Algorithm };
  readonly #left = new Set<Move>();

  /** No moves yet in the directory `target` of the server. */
  constructor(target: string, options: PutTreeOptions) {
    this.#target = target;
    this.#options = { ...options, algorithm: options.algorithm ?? "md5" };
  }

  /** Whether any are left to be done. */
  get anyLeft(): boolean {
    return this.#left.size > 0;
  }

  /**
   * Takes those items that moves can settle. The content of each file is compared by its checksum.
   *
   * @param doomed what is to be deleted on the server, each directory followed by its content
   * @returns what is still to be deleted after all moves
   * @throws {FerryError} the failure that ends the connection
   */
  async take(
    connection: Connection,
    items: UploadItems,
    doomed: readonly Doomed[],
  ): Promise<Doomed[]> {
    const sources = new Set<string>();
    const matches = new Matches(items.left.values(), this.#options.preserve === true);
    const moves = await matches.of(doomed);
    const same = await this.#sameOf(connection, moves.flatMap(({ pairs }) => pairs));
    for (const move of moves) {
      const whole = move.pairs.every((pair) => same.has(pair));
      const parts = whole ? [move] : move.pairs.filter((pair) => same.has(pair)).map(moveOf);
      for (const { from, to, type, pairs, items: settled } of parts) {
        const filename = inside(this.#target, from);
        const directory = type === "directory";
        const step = { filename, directory, to: inside(this.#target, to), pairs, items: settled };
        this.#left.add(step);
        sources.add(from);
        for (const item of settled) items.forget(item);
      }
    }
    return doomed.filter(({ name }) => {
      const isMoved = sources.has(name) || sources.has(parentName(name));
      if (isMoved) sources.add(name);
      return !isMoved;
    });
  }

  /** The pairs whose content is the same. */
  async #sameOf(connection: Connection, pairs: readonly Pair[]): Promise<Set<Pair>> {
    const { algorithm } = this.#options;
    const same = new Set<Pair>();
    const asked = new Map<string, Pair>();
    const pace = new Pace();
    for (const pair of pairs) {
      if (pace.isDue) await pace.rest();
      const { doomed, item } = pair;
      try {
        if (item.checksum === null) await digestItem(item, algorithm, connection.runtime);
      } catch {
        // The upload of the file will report why it cannot be read.
        continue;
      }
      if (item.size !== doomed.size || item.mtime !== doomed.mtime) continue;
      if (algorithm === "md5" && doomed.checksum !== null) {
        if (doomed.checksum === item.checksum) same.add(pair);
      } else asked.set(inside(this.#target, doomed.name), pair);
    }
    if (asked.size === 0) return same;
    const lines = asked.entries().map(([filename, { item: { size, mtime, checksum } }]) => {
      return { filename, size, mtime, checksum };
    });
    const wishes = { overwrite: "different", content: true, algorithm, known: false } as const;
    const others = new Set<string>();
    for await (const replies of connection.compare(lines, wishes)) {
      for (const { filename } of replies) others.add(filename);
    }
    for (const [filename, pair] of asked) if (!others.has(filename)) same.add(pair);
    return same;
  }

  /**
   * Makes the moves. What fails is left to the upload.
   *
   * @returns whether all succeeded
   * @throws {FerryError} the failure that ends a connection
   */
  async run(connections: Connections, items: UploadItems): Promise<boolean> {
    const moves = [...this.#left];
    let at = 0;
    let failed = false;
    const settle = (move: Move, failure?: unknown) => {
      this.#left.delete(move);
      if (failure !== undefined) {
        failed = true;
        for (const item of move.items) items.left.set(item.filename, item);
        return;
      }
      for (const { doomed, item: { filename, checksum, size } } of move.pairs) {
        const known = inside(this.#target, doomed.name);
        this.#options.onFile?.({ ...nothingTransferred(filename, { size, checksum }), known });
      }
    };
    const within = this.#target;
    const next = () => moves[at++];
    await onEach(connections, (connection) => removeEach(connection, { within, next, settle }));
    return !failed;
  }

  /** Leaves all items to the upload. */
  giveUp(items: UploadItems): void {
    for (const { items: settled } of this.#left) {
      for (const item of settled) items.left.set(item.filename, item);
    }
    this.#left.clear();
  }
}

/** A move by names relative to the target. */
interface Match extends Pick<Move, "pairs" | "items"> {
  readonly from: string;
  readonly to: string;
  readonly type: Doomed["type"];
}

function moveOf(pair: Pair): Match {
  const { doomed: { name, type }, item } = pair;
  return { from: name, to: item.name, type, pairs: [pair], items: [item] };
}

/** Files of the same size and time, as long as no move settles them. */
interface Likely {
  readonly all: Set<UploadItem>;
  /** Those with each last part of the name. */
  readonly byPart: Map<string, Set<UploadItem>>;
}

/** Finds what has only another name: a file by its size and its time, a directory if all that is in it is the same. */
class Matches {
  readonly #preserve: boolean;
  /** The items by their names, as long as no move settles them. */
  readonly #byName = new Map<string, UploadItem>();
  /** The files by their size and time. */
  readonly #byFacts = new Map<string, Likely>();
  /** How many items are below each directory. */
  readonly #below = new Map<string, number>();

  constructor(items: Iterable<UploadItem>, preserve: boolean) {
    this.#preserve = preserve;
    for (const item of items) {
      this.#byName.set(item.name, item);
      if (isFull(item)) this.#addFile(item);
      for (let above = item.name; above !== "";) {
        above = parentName(above);
        this.#below.set(above, (this.#below.get(above) ?? 0) + 1);
      }
    }
  }

  #addFile(item: UploadItem): void {
    const facts = this.#factsOf(item);
    let likely = this.#byFacts.get(facts);
    if (!likely) this.#byFacts.set(facts, likely = { all: new Set(), byPart: new Map() });
    likely.all.add(item);
    const part = lastPart(item.name);
    const alike = likely.byPart.get(part);
    if (alike) alike.add(item);
    else likely.byPart.set(part, new Set([item]));
  }

  #take(item: UploadItem): void {
    this.#byName.delete(item.name);
    const likely = isFull(item) ? this.#byFacts.get(this.#factsOf(item)) : undefined;
    likely?.all.delete(item);
    likely?.byPart.get(lastPart(item.name))?.delete(item);
  }

  /** What is the same of a file under another name. */
  #factsOf({ size, mtime, mode }: Pick<Doomed, "size" | "mtime" | "mode">): string {
    return `${size} ${mtime} ${this.#preserve ? mode : ""}`;
  }

  /** The moves that settle items. */
  async of(doomed: readonly Doomed[]): Promise<Match[]> {
    const matches: Match[] = [];
    const pace = new Pace();
    for (let at = 0; at < doomed.length;) {
      if (pace.isDue) await pace.rest();
      const entry = doomed[at]!;
      let end = at + 1;
      if (entry.type === "directory") {
        while (doomed[end]?.name.startsWith(`${entry.name}/`)) end++;
      }
      const match = entry.type === "directory"
        ? this.#directory(entry, doomed.slice(at + 1, end))
        : this.#file(entry);
      if (match) {
        matches.push(match);
        match.items.forEach((item) => this.#take(item));
      }
      at = match ? end : at + 1;
    }
    return matches;
  }

  #file(doomed: Doomed): Match | undefined {
    // The first one with the same last part of the name, or else with any.
    const likely = this.#likely(doomed);
    const alike = likely?.byPart.get(lastPart(doomed.name));
    const [item] = alike && alike.size > 0 ? alike : likely?.all ?? [];
    return item && moveOf({ doomed, item });
  }

  /** The files here that may be the same as one there. */
  #likely(doomed: Doomed): Likely | undefined {
    if (doomed.type !== "file" || doomed.excluded) return undefined;
    return this.#byFacts.get(this.#factsOf(doomed));
  }

  #directory(directory: Doomed, content: readonly Doomed[]): Match | undefined {
    const first = content.find(({ type, size }) => type === "file" && size > 0);
    if (!first || content.some(({ excluded, type }) => excluded || type === "link")) {
      return undefined;
    }
    const rest = first.name.slice(directory.name.length);
    const filled = new Set(content.map(({ name }) => parentName(name)));
    const wanted = content.filter(({ name, type }) => type !== "directory" || !filled.has(name));
    for (const { name } of this.#likely(first)?.byPart.get(lastPart(rest)) ?? []) {
      const to = name.slice(0, -rest.length);
      if (to === "" || !name.endsWith(rest) || this.#below.get(to) !== wanted.length) continue;
      const match = this.#whole(directory, wanted, to);
      if (match) return match;
    }
    return undefined;
  }

  /** The move of a directory, if there is here, under the name `to`, what is wanted of it. */
  #whole(directory: Doomed, wanted: readonly Doomed[], to: string): Match | undefined {
    const pairs: Pair[] = [];
    const items: UploadItem[] = [];
    for (const doomed of wanted) {
      const { name, type } = doomed;
      const item = this.#byName.get(to + name.slice(directory.name.length));
      if (item?.type !== type) return undefined;
      items.push(item);
      if (type === "directory") continue;
      if (this.#factsOf(item) !== this.#factsOf(doomed)) return undefined;
      pairs.push({ doomed, item });
    }
    return { from: directory.name, to, type: "directory", pairs, items };
  }
}

/** Whether an item is a file with content. */
function isFull({ type, size }: UploadItem): boolean {
  return type === "file" && size > 0;
}
