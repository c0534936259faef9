/**
 * File systems that are mounted for tests.
 *
 * @module
 */

import { assert } from "@std/assert";
import { TempDir } from "./programs.ts";

/** A tmpfs of a given size, mounted in a temporary directory. */
export class Mount implements AsyncDisposable {
  readonly #dir = new TempDir();
  /** Where it is mounted. */
  readonly path: string;

  /** Mounts a tmpfs with the given options, such as `size=1m`, at a path of its own or at an existing directory. */
  constructor(options: string, path = this.#dir.path) {
    this.path = path;
    const { success, stderr } = run("mount", "-t", "tmpfs", "-o", options, "ferry", this.path);
    if (!success) {
      Deno.removeSync(this.path);
      throw new Error(`mount: ${stderr}`);
    }
  }

  /** Makes it read-only. */
  makeReadOnly(): void {
    const { success, stderr } = run("mount", "-o", "remount,ro", this.path);
    assert(success, stderr);
  }

  /** Changes its size: `16m`. */
  resize(size: string): void {
    const { success, stderr } = run("mount", "-o", `remount,size=${size}`, this.path);
    assert(success, stderr);
  }

  /** Unmounts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { success, stderr } = run("umount", this.path);
    assert(success, stderr);
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Another path to a directory, by a user-space file system that has its own inode numbers and locks. */
export class OtherPath implements AsyncDisposable {
  readonly #dir = new TempDir();
  /** The other path. */
  readonly path: string;

  /** Mounts it with bindfs(1), at a path of its own or at an existing directory. */
  constructor(directory: string, path = this.#dir.path) {
    this.path = path;
    const { success, stderr } = run("bindfs", directory, this.path);
    if (!success) {
      Deno.removeSync(this.#dir.path);
      throw new Error(`bindfs: ${stderr}`);
    }
  }

  /** Unmounts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { success, stderr } = run("umount", "-l", this.path);
    assert(success, stderr);
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A file system that is mounted by commands, over a directory or an image of its own. */
export class Mounted implements AsyncDisposable {
  readonly #dir = new TempDir();
  /** Where it is mounted. */
  readonly path = this.#dir.join("mounted");
  /** What is mounted: a directory, or an image that `make` writes. */
  readonly store = this.#dir.join("store");

  /** Mounts a file system of a kind. */
  constructor(kind: keyof typeof KINDS) {
    Deno.mkdirSync(this.path);
    for (const [command, ...args] of KINDS[kind].commands(this.path, this.store)) {
      const { success, stderr } = run(command!, ...args);
      assert(success, `${command}: ${stderr}`);
    }
  }

  /** Unmounts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { success, stderr } = run("umount", "-l", this.path);
    assert(success, stderr);
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** How file systems are mounted, and the commands and devices that this takes. */
export const KINDS = {
  /** Keeps no modes and only whole seconds, has no links, and ignores case. */
  exfat: {
    needs: ["mkfs.exfat", "mount.exfat-fuse", "/dev/fuse", "/dev/loop-control"],
    commands: (path: string, store: string): string[][] => [
      ["truncate", "--size=32M", store],
      ["mkfs.exfat", store],
      ["mount", "-t", "exfat-fuse", "-o", "loop", store, path],
    ],
  },
  /** Keeps only whole seconds. The SFTP server is run without ssh(1). */
  sshfs: {
    needs: ["sshfs", "/usr/lib/openssh/sftp-server", "/dev/fuse"],
    commands: (path: string, store: string): string[][] => [
      ["mkdir", store],
      ["sh", "-c", `printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >${store}.sh`],
      ["chmod", "+x", `${store}.sh`],
      ["sshfs", "-o", `ssh_command=${store}.sh`, `host:${store}`, path],
    ],
  },
  /** Cannot write to existing files. */
  rclone: {
    needs: ["rclone", "/dev/fuse"],
    commands: (path: string, store: string): string[][] => [
      ["mkdir", store],
      ["rclone", "mount", "--config", "/dev/null", "--daemon", `:local:${store}`, path],
    ],
  },
  /** Acknowledges what only its cache has. */
  rcloneCached: {
    needs: ["rclone", "/dev/fuse"],
    commands: (path: string, store: string): string[][] => {
      const cache = ["--vfs-cache-mode", "writes", "--cache-dir", `${store}.cache`];
      return [
        ["mkdir", store],
        ["rclone", "mount", "--config", "/dev/null", "--daemon", ...cache, `:local:${store}`, path],
      ];
    },
  },
} as const;

/** Mounts in directories of a test, which are unmounted when this is disposed of. */
export class Mounts implements AsyncDisposable {
  readonly #mounted: string[] = [];

  /**
   * Mounts something at a directory, which is made where it is missing; `command` gets the path as its last argument.
   */
  at(path: string, command: string, ...args: string[]): this {
    Deno.mkdirSync(path, { recursive: true });
    const { success, stderr } = run(command, ...args, path);
    if (!success) throw new Error(`${command}: ${stderr}`);
    this.#mounted.push(path);
    return this;
  }

  /** Mounts a tmpfs. */
  tmpfs(path: string, options = "size=64m"): this {
    return this.at(path, "mount", "-t", "tmpfs", "-o", options, "ferry");
  }

  /** Mounts a directory at another path. */
  bind(from: string, path: string): this {
    Deno.mkdirSync(from, { recursive: true });
    return this.at(path, "mount", "--bind", from);
  }

  /** Mounts a directory at another path by a user-space file system. */
  bindfs(from: string, path: string): this {
    Deno.mkdirSync(from, { recursive: true });
    return this.at(path, "bindfs", from);
  }

  /** The same by sshfs, which identifies files by their paths. The SFTP server is run without ssh(1). */
  sshfs(from: string, path: string): this {
    Deno.mkdirSync(from, { recursive: true });
    const command = `${from}.sh`;
    Deno.writeTextFileSync(command, "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n");
    Deno.chmodSync(command, 0o700);
    return this.at(path, "sshfs", "-o", `ssh_command=${command}`, `host:${from}`);
  }

  /** Mounts an overlay: a directory over an empty one, which gets what is written. */
  overlay(upper: string, path: string): this {
    const others = [`${upper}.lower`, `${upper}.work`] as const;
    for (const each of [upper, ...others]) Deno.mkdirSync(each, { recursive: true });
    const options = `lowerdir=${others[0]},upperdir=${upper},workdir=${others[1]}`;
    return this.at(path, "mount", "-t", "overlay", "-o", options, "overlay");
  }

  /** Mounts a new file system of 128 MiB in an image file; `make` formats it and gets its path as the last argument. */
  image(image: string, path: string, make: string, ...args: string[]): this {
    Deno.writeFileSync(image, new Uint8Array());
    Deno.truncateSync(image, 128 * 1024 * 1024);
    const { success, stderr } = run(make, ...args, image);
    if (!success) throw new Error(`${make}: ${stderr}`);
    return this.at(path, "mount", "-o", "loop", image);
  }

  /** Unmounts a path; files that are open in it stay open. */
  unmount(path: string): void {
    const { success, stderr } = run("umount", "-l", path);
    assert(success, stderr);
    this.#mounted.splice(this.#mounted.lastIndexOf(path), 1);
  }

  /** Kills the program that serves the file system at a path. */
  end(path: string): void {
    const { stdout } = new Deno.Command("pgrep", { args: ["-f", `(bindfs|sshfs) .*${path}$`] })
      .outputSync();
    const pids = new TextDecoder().decode(stdout).trim().split("\n").filter(Boolean);
    assert(pids.length > 0, `nothing serves ${path}`);
    // The mount is disconnected when these processes have ended, not when they are signalled.
    const wait = "kill -KILL $0 && while ps -o stat= -p $0 | grep -qv ^Z; do sleep 0.01; done";
    for (const pid of pids) run("sh", "-c", wait, pid);
  }

  /** Does the same, and unmounts the path. */
  kill(path: string): void {
    this.end(path);
    this.unmount(path);
  }

  /** Unmounts all. */
  [Symbol.asyncDispose](): Promise<void> {
    for (const path of [...this.#mounted].reverse()) this.unmount(path);
    return Promise.resolve();
  }
}

/** Runs a command to its end. */
export function run(command: string, ...args: string[]): { success: boolean; stderr: string } {
  try {
    const { success, stderr } = new Deno.Command(command, { args }).outputSync();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } catch (error) {
    return { success: false, stderr: String(error) };
  }
}

/** Why no file system can be mounted here; undefined where one can. */
async function whyNoMount(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "only Linux has tmpfs";
  if (Deno.uid() !== 0) return "only root may mount";
  try {
    await using _ = new Mount("size=64k");
    return undefined;
  } catch (error) {
    return (error as Error).message.trim();
  }
}

const noMount = await whyNoMount();

/**
 * Why a test that mounts something is skipped; undefined where it is not.
 *
 * @param needs commands and devices that it needs
 */
export function whyLeftOut(needs: readonly string[]): string | undefined {
  const missing = needs.find((need) => !isThere(need));
  return noMount ?? (missing && `no ${missing} here`);
}

/**
 * A test that is ignored, with the reason, where nothing can be mounted.
 *
 * @param needs further commands and devices that it needs
 */
export function testWithMount(
  criterion: string,
  run: () => Promise<void>,
  needs: readonly string[] = [],
): void {
  const why = whyLeftOut(needs);
  const reason = why === undefined ? "" : ` (ignored: ${why})`;
  Deno.test({ name: criterion + reason, ignore: why !== undefined, fn: run });
}

/** Whether there is a command of that name, or a file at that path. */
export function isThere(need: string): boolean {
  return run("sh", "-c", `command -v ${need} || test -e ${need}`).success;
}
