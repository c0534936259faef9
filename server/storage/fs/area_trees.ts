/**
 * The staged trees in a staging area: directories that are put together there until they get their names.
 *
 * Each is a directory `ID.tree` with the tree itself, `new`, a record of it, and while it replaces another directory
 * that one, `old`.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { infoAt, isTaken } from "../../../lib/files/path_lookup.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { sameBoot } from "../../../lib/files/partial_file.ts";
import { type Directory, makeDirectory } from "./open_directory.ts";
import {
  newRecord,
  readTreeRecord,
  recordPath,
  type TreeRecord,
  writeTreeRecord,
} from "./tree_record.ts";
import { TreeContents } from "./tree_contents.ts";
import { type Amount, sumOf } from "../usage.ts";

/** The suffix of the names of such directories in an area. */
const SUFFIX = ".tree";

/** The name of the tree in its directory. */
export const NEW = "new";

/** The name of the directory that a tree replaces. */
export const OLD = "old";

/** A staged tree in an area. */
export interface KeptTree {
  /** The name of its directory in the area. */
  readonly file: string;
  /** What is recorded of it. */
  record: TreeRecord;
  /** When a client last worked on it, in milliseconds since 1970. */
  touched: number;
  /** How many clients have it open. */
  users: number;
  /** Tells the client that works on it from those before; undefined until one has begun. */
  session: string | undefined;
  /** Whether a directory had the name when a client opened it last. */
  replaces: boolean;
  /** What is known of the entries in it. */
  readonly contents: TreeContents;
}

/** What the trees need of their area. */
export interface AreaTreesHost {
  /** Opens the directory of the area, and creates it again if somebody has removed it. */
  enter(): Directory;
  /** Runs an operation in the directory of the area, and runs it again if somebody had removed the directory. */
  unlessGone<T>(run: (area: Directory) => T): T;
  /** Fails if another process has taken the area. */
  assertHeld(): void;
  /** Called when a tree is no longer open, or gone. */
  onReleased(): void;
  /** The clock. */
  readonly clock: Clock;
}

/** Whether the name of an entry of an area is that of a staged tree. */
export function isTreeName(name: string): boolean {
  return name.endsWith(SUFFIX);
}

/** The staged trees in one staging area. */
export class AreaTrees {
  readonly #host: AreaTreesHost;
  readonly #trees = new Map<string, KeptTree>();

  /** The trees of an area, none so far. */
  constructor(host: AreaTreesHost) {
    this.#host = host;
  }

  /** Whether there are any. */
  get any(): boolean {
    return this.#trees.size > 0;
  }

  /** Opens the directory of the area. */
  enter(): Directory {
    return this.#host.enter();
  }

  /** Whether a client has one open. */
  get inUse(): boolean {
    return this.#trees.values().some(({ users }) => users > 0);
  }

  /** All of them. */
  get all(): KeptTree[] {
    return [...this.#trees.values()];
  }

  /** How many there are, and the bytes in them, without what an earlier process has left. */
  get kept(): Amount {
    return sumOf(this.all.map(({ contents }) => ({ count: 1, bytes: contents.tally?.bytes ?? 0 })));
  }

  /**
   * Takes over a tree that an earlier process has left.
   *
   * @returns whether it stays; otherwise it is of no use
   */
  adopt(area: Directory, file: string): boolean {
    const info = infoAt(area.at(file));
    using own = info?.isDirectory ? area.enter(file, info) : undefined;
    if (!own) return false;
    const record = readTreeRecord(own);
    // A directory that was moved away is kept in any case, for people to find.
    if (!record) return isTaken(own.at(OLD));
    const touched = Deno.lstatSync(recordPath(own)).mtime?.getTime() ?? 0;
    const doubtful = !sameBoot(record.boot);
    this.#trees.set(file, {
      ...{ file, record, touched, users: 0, session: undefined, replaces: false },
      contents: new TreeContents({ doubtful }),
    });
    return true;
  }

  /** Makes an empty tree, which counts as open. */
  make(filename: FileName, owner: string): KeptTree {
    this.#host.assertHeld();
    const file = `${crypto.randomUUID()}${SUFFIX}`;
    const record = newRecord(filename, owner);
    this.#host.unlessGone((area) => {
      using own = makeDirectory(area, file);
      try {
        writeTreeRecord(own, record);
        // Its permission bits are those that it is published with. Nobody else gets into the directory around it.
        Deno.mkdirSync(own.at(NEW));
      } catch (error) {
        try {
          Deno.removeSync(area.at(file), { recursive: true });
        } catch {
          // The next process removes it.
        }
        throw error;
      }
    });
    const touched = this.#host.clock.now();
    const tree: KeptTree = {
      ...{ file, record, touched, users: 1, session: crypto.randomUUID(), replaces: false },
      contents: new TreeContents({ doubtful: false }),
    };
    this.#trees.set(file, tree);
    return tree;
  }

  /** The tree of an owner for a name that no client has open; it counts as open from now on. */
  takeIdle(filename: FileName, owner: string): KeptTree | undefined {
    const tree = this.all.filter(({ users, record }) =>
      users === 0 && record.filename === filename && record.owner === owner && !record.publishing
    ).sort((a, b) => b.touched - a.touched).at(0);
    if (!tree) return undefined;
    tree.users++;
    tree.session = crypto.randomUUID();
    return tree;
  }

  /** A tree by the name of its directory. */
  get(file: string): KeptTree | undefined {
    return this.#trees.get(file);
  }

  /**
   * Opens the directory of a tree.
   *
   * @throws {FerryError} `not_found` if somebody has removed it
   */
  open({ file }: KeptTree): Directory {
    this.#host.assertHeld();
    using area = this.#host.enter();
    const info = infoAt(area.at(file));
    const own = info?.isDirectory ? area.enter(file, info) : undefined;
    if (own) return own;
    throw new FerryError("not_found", "what was staged of it was removed");
  }

  /** Records something of a tree. */
  record(tree: KeptTree, change: Partial<TreeRecord>): void {
    using own = this.open(tree);
    const record = { ...tree.record, ...change };
    writeTreeRecord(own, record);
    tree.record = record;
  }

  /** Ends the use of a tree by a client. */
  close(tree: KeptTree): void {
    tree.users--;
    tree.touched = this.#host.clock.now();
    if (tree.users > 0) return;
    try {
      using own = this.open(tree);
      const now = new Date(tree.touched);
      Deno.utimeSync(recordPath(own), now, now);
    } catch {
      // It may be gone. If not, the next process takes it for older than it is.
    }
    this.#host.onReleased();
  }

  /**
   * Removes the directory of a tree, in which only the record is left, and perhaps a new one that a process was writing
   * when it was killed.
   */
  remove(tree: KeptTree): void {
    {
      using own = this.open(tree);
      for (const { name, isFile } of [...Deno.readDirSync(own.path)]) {
        if (isFile) Deno.removeSync(own.at(name));
      }
    }
    using area = this.#host.enter();
    Deno.removeSync(area.at(tree.file));
  }

  /** Forgets a tree that was published or removed. */
  forget({ file }: KeptTree): void {
    this.#trees.delete(file);
    this.#host.onReleased();
  }

  /** Forgets the trees that were removed together with the area. */
  forgetMissing(area: Directory): void {
    for (const { file } of this.all) if (!isTaken(area.at(file))) this.#trees.delete(file);
  }

  /** The trees that no client has had open for `ttl` milliseconds. */
  expired(ttl: number): KeptTree[] {
    const latest = this.#host.clock.now() - ttl;
    return this.all.filter(({ users, touched }) => users === 0 && touched <= latest);
  }
}
