/**
 * File systems that are mounted for the checks.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { isThere, run } from "../support/mount.ts";
import { TempDir } from "../support/programs.ts";

/** How long a user-space file system may take to be mounted or to end, in milliseconds. */
const DEADLINE_MS = 60_000;

/** The default size of an image or a store, in MiB. */
export const MIB = 128;

/** The paths that a file system is made from; {@linkcode Mounted} makes them. */
export interface Places {
  /** The mount point: an empty directory. */
  path: string;
  /** A sparse file, for file systems on a block device. */
  image: string;
  /** A tmpfs of the same size, for file systems that show the files of another one. */
  store: string;
  /** A second tmpfs. */
  other: string;
  /** A directory on disk for keys and configurations. */
  home: string;
}

/** A program that serves a file system for as long as it runs, and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** A file system of the table. */
export interface FileSystem {
  /** Its name in the table and in `--only`. */
  name: string;
  /** The commands that it needs. */
  needs: readonly string[];
  /** The size of its image and stores in MiB. */
  mib?: number;
  /** Whether it is one of those that `--quick` tries. */
  quick?: true;
  /** Whether it is mounted read-only, with {@linkcode PREPARED} in it. */
  readOnly?: true;
  /** Whether its files are kept in the stores, so that it is full when they are. */
  inStores?: true;
  /** Whether it loses its files when it is unmounted. */
  forgets?: true;
  /**
   * Prepares the mount, and returns the command that mounts it. What is put on the stack is disposed of after the last
   * unmount.
   */
  prepare(places: Places, stack: AsyncDisposableStack): Promise<Command> | Command;
  /** Whether that command runs for as long as the file system is mounted. */
  serves?: true;
  /** Whether it cannot be filled here. */
  endless?: true;
  /** Whether a second mount of the same files stands for another machine. */
  twice?: true;
  /** The command that makes another file system, such as a subvolume, at a path in it. */
  divide?: Command;
  /** The directory in which its files are visible without it. */
  source?(places: Places): string;
}

/** The reason why a file system cannot be mounted here. */
export class NotHere extends Error {}

/** Runs a command to its end. */
export function must(command: string, ...args: string[]): void {
  const { success, stderr } = run(command, ...args);
  if (!success) throw new NotHere(`${command}: ${reasonIn(stderr)}`);
}

/** The line of an output that contains the error. */
function reasonIn(stderr: string): string {
  const lines = stderr.trim().split("\n").filter((line) => !line.includes("dmesg(1)"));
  return lines.at(-1)?.replace(/^mount: \S+: /, "").trim() || "it failed";
}

/** The device number of what is mounted at a path, or of the directory below it. */
function deviceOf(path: string): number {
  return Deno.statSync(path).dev;
}

/** A program that serves a mount. */
interface Server {
  readonly command: string;
  readonly child: Deno.ChildProcess;
  /** Its standard error, when it has ended. */
  readonly said: Promise<string>;
  running: boolean;
}

function serve([command, ...args]: Command): Server {
  const options = { args, stdin: "null", stdout: "null", stderr: "piped" } as const;
  const child = new Deno.Command(command, options).spawn();
  const said = new Response(child.stderr).text().finally(() => server.running = false);
  const server: Server = { command, child, said, running: true };
  return server;
}

/**
 * Tells whether a file system answers at a path, by the device number of the directory that its
 * mount point is in. One that is mounted before it is connected to its servers, such as GlusterFS,
 * does not answer at first.
 */
function isMounted(path: string, above: number): boolean {
  try {
    return deviceOf(path) !== above;
  } catch (error) {
    if (error instanceof Deno.errors.NotConnected) return false;
    throw error;
  }
}

/** Waits until a program has mounted its file system at a path. */
async function untilMounted(server: Server, path: string): Promise<void> {
  const above = deviceOf(path.slice(0, path.lastIndexOf("/")));
  const deadline = performance.now() + DEADLINE_MS;
  while (!isMounted(path, above)) {
    const { command, running, said } = server;
    if (!running) throw new NotHere(`${command}: ${reasonIn(await said)}`);
    if (performance.now() > deadline) throw new NotHere(`${command}: it was not mounted in time`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits for the end of a program whose file system was unmounted. */
async function ended({ child, said }: Server): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
  await child.status;
  await said;
  clearTimeout(timer);
}

/** A mounted file system, with everything that it needs. */
export class Mounted implements AsyncDisposable {
  readonly #system: FileSystem;
  readonly #places: Places;
  readonly #command: Command;
  readonly #stack: AsyncDisposableStack;
  /** The program that serves it. */
  #server: Server | undefined;

  private constructor(
    system: FileSystem,
    { places, command, stack }: {
      places: Places;
      command: Command;
      stack: AsyncDisposableStack;
    },
  ) {
    this.#system = system;
    this.#places = places;
    this.#command = command;
    this.#stack = stack;
  }

  /** Makes and mounts a file system; throws {@linkcode NotHere} where that is impossible. */
  static async open(system: FileSystem): Promise<Mounted> {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
      throw new NotHere("to mount takes Linux and root");
    }
    const missing = system.needs.find((need) => !isThere(need));
    if (missing !== undefined) throw new NotHere(`there is no ${missing}`);
    await using stack = new AsyncDisposableStack();
    const dir = stack.use(new TempDir());
    const size = system.mib ?? MIB;
    const places: Places = {
      path: dir.join("mounted"),
      image: dir.join("image"),
      store: dir.join("store"),
      other: dir.join("other"),
      home: dir.join("home"),
    };
    for (const name of ["mounted", "store", "other", "home"]) Deno.mkdirSync(dir.join(name));
    Deno.writeFileSync(places.image, new Uint8Array());
    Deno.truncateSync(places.image, size * 1024 * 1024);
    for (const path of [places.store, places.other]) {
      must("mount", "-t", "tmpfs", "-o", `size=${size}m`, "ferry", path);
      stack.defer(() => unmount(path));
    }
    const command = await system.prepare(places, stack);
    const mounted = new Mounted(system, { places, command, stack: stack.move() });
    try {
      await mounted.mount();
      return mounted;
    } catch (error) {
      await mounted[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The mount point. */
  get path(): string {
    return this.#places.path;
  }

  /** The directory in which its files are visible without it; undefined where there is none. */
  get source(): string | undefined {
    return this.#system.source?.(this.#places);
  }

  /** Fills it, as another program might, except for some bytes. */
  fill(room: number): void {
    const { path, store, other } = this.#places;
    const full = this.#system.inStores ? [store, other] : [path];
    for (const directory of full) {
      using file = Deno.openSync(`${directory}/filler`, { write: true, create: true });
      for (let size = 1024 * 1024; size >= 512;) {
        try {
          file.writeSync(new Uint8Array(size).fill(1));
        } catch {
          size /= 2;
        }
      }
      file.truncateSync(Math.max(0, file.statSync().size - room));
      file.syncSync();
    }
  }

  /** Removes the files that filled it. */
  drain(): void {
    const { path, store, other } = this.#places;
    for (const directory of [path, store, other]) {
      if (existsSync(`${directory}/filler`)) Deno.removeSync(`${directory}/filler`);
    }
    // Some file systems free the space only when the removal has been written.
    must("sync", "-f", path);
  }

  /** Kills the program that serves it, and waits for its end; false where the kernel serves it. */
  async killServer(): Promise<boolean> {
    if (!this.#server) return false;
    this.#server.child.kill("SIGKILL");
    await this.#server.child.status;
    return true;
  }

  /** Mounts it. */
  async mount(): Promise<void> {
    const [command, ...args] = this.#command;
    if (!this.#system.serves) return must(command, ...args);
    this.#server = serve(this.#command);
    await untilMounted(this.#server, this.path);
  }

  /**
   * Mounts the same files at another path too, as another machine would, until all is unmounted; undefined where that
   * stands for no other machine.
   */
  async mountAgain(): Promise<string | undefined> {
    if (!this.#system.twice) return undefined;
    const path = `${this.path}-again`;
    Deno.mkdirSync(path);
    const [command, ...args] = this.#command;
    const server = serve([command, ...args.map((arg) => arg === this.path ? path : arg)]);
    this.#stack.defer(async () => {
      unmount(path);
      await ended(server);
    });
    await untilMounted(server, path);
    return path;
  }

  /** Unmounts it, and waits until all data is written. */
  async unmount(): Promise<void> {
    unmount(this.path);
    if (this.#server) await ended(this.#server);
    this.#server = undefined;
  }

  /** Unmounts it and removes everything that was made for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    await this.#stack.disposeAsync();
  }
}

/** Unmounts a path, even where it is in use; does nothing where nothing is mounted. */
function unmount(path: string): void {
  // A path that cannot be accessed is a file system whose program has ended.
  if (!run("mountpoint", "-q", path).success && existsSync(path)) return;
  if (!run("umount", path).success) must("umount", "-l", path);
}
