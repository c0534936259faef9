/**
 * Roots in which other file systems are mounted.
 *
 * @module
 */

import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import type { FsStorageOptions } from "../../server/storage/fs/served_root.ts";
import { Mounts, run } from "./mount.ts";
import { TempDir } from "./programs.ts";

/** A root in which the directory `far` is on another file system than the rest. */
export class Bordered implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly mounts = new Mounts();
  readonly root = this.dir.join("root");
  storage!: FsStorage;

  private constructor() {}

  /** Makes a root, which also contains the directory `near`. */
  static async make(border: Border, options?: FsStorageOptions): Promise<Bordered> {
    await using stack = new AsyncDisposableStack();
    const made = stack.use(new Bordered());
    Deno.mkdirSync(made.root);
    await border(made.dir, made.mounts, made.root);
    Deno.mkdirSync(`${made.root}/near`, { recursive: true });
    made.open(options);
    stack.move();
    return made;
  }

  /** Opens the storage. */
  open(options: FsStorageOptions = { durability: "none" }): void {
    this.storage = FsStorage.open(this.root, options);
  }

  /** Closes the storage and opens it again. */
  async reopen(options?: FsStorageOptions): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    this.open(options);
  }

  /** The path of a name. */
  path(name: string): string {
    return `${this.root}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // There is no storage where opening it failed.
    await this.storage?.[Symbol.asyncDispose]();
    await this.mounts[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Puts `far` in a root on another file system. */
export type Border = (dir: TempDir, mounts: Mounts, root: string) => void | Promise<void>;

/** The kinds of borders between file systems, with the commands and devices that each needs. */
export const BORDERS: Readonly<Record<string, { make: Border; needs?: readonly string[] }>> = {
  "a file system in memory": {
    make: (_, mounts, root) => void mounts.tmpfs(`${root}/far`),
  },
  "another mount of the same file system": {
    make: (dir, mounts, root) => void mounts.bind(dir.join("other"), `${root}/far`),
  },
  "a file system in user space": {
    make: (dir, mounts, root) => void mounts.bindfs(dir.join("other"), `${root}/far`),
    needs: ["bindfs", "/dev/fuse"],
  },
  "a subvolume of btrfs": {
    make: (dir, mounts, root) => {
      mounts.image(dir.join("image"), root, "mkfs.btrfs", "-q");
      run("btrfs", "subvolume", "create", `${root}/far`);
    },
    needs: ["mkfs.btrfs", "/dev/loop-control"],
  },
  "a subvolume of btrfs that a file system in user space shows with the same numbers": {
    make: (dir, mounts, root) => {
      mounts.image(dir.join("image"), dir.join("below"), "mkfs.btrfs", "-q");
      run("btrfs", "subvolume", "create", dir.join("below/far"));
      mounts.bindfs(dir.join("below"), root);
    },
    needs: ["mkfs.btrfs", "/dev/loop-control", "bindfs", "/dev/fuse"],
  },
  "another branch of mergerfs": {
    make: (dir, mounts, root) => {
      mounts.tmpfs(dir.join("one"), "size=64m").tmpfs(dir.join("two"), "size=32m");
      Deno.mkdirSync(dir.join("two/far"));
      mounts.at(
        root,
        "mergerfs",
        "-o",
        "category.create=epmfs,minfreespace=0",
        `${dir.join("one")}:${dir.join("two")}`,
      );
    },
    needs: ["mergerfs", "/dev/fuse"],
  },
};
