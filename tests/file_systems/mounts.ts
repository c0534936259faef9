/**
 * The tested file systems, and how each is mounted.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { SSHD, startSshd } from "../bench/peers.ts";
import { isThere, run } from "../support/mount.ts";
import { TempDir } from "../support/programs.ts";

/** How long a user-space file system may take to be mounted or to end, in milliseconds. */
const DEADLINE_MS = 10_000;

/** The default size of an image or a store, in MiB. */
const MIB = 128;

/** The paths that a file system is made from; {@linkcode Mounted} makes them. */
interface Places {
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
type Command = readonly [program: string, ...args: string[]];

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
  /** The command that makes another file system, such as a subvolume, at a path in it. */
  divide?: Command;
  /** The directory in which its files are visible without it. */
  source?(places: Places): string;
}

/** A file system on an image. `make` formats the image, whose path is its last argument. */
function onImage(
  name: string,
  make: Command,
  mount: (places: Places) => Command,
  rest: Partial<FileSystem> = {},
): FileSystem {
  const prepare = (places: Places) => {
    must(...make, places.image);
    return mount(places);
  };
  return { name, needs: [make[0]], prepare, ...rest };
}

/** The command by which mount(8) mounts an image. */
function byLoop(type: string): (places: Places) => Command {
  return ({ image, path }) => ["mount", "-t", type, "-o", "loop", image, path];
}

/** A user-space file system that shows the files of a directory. */
function over(
  name: string,
  prepare: FileSystem["prepare"],
  rest: Partial<FileSystem> = {},
): FileSystem {
  return { name, needs: [name], serves: true, inStores: true, prepare, ...rest };
}

/** For those that show the same files under the same names. */
const SAME_NAMES = { source: ({ store }: Places) => store };

/** `rclone mount`, with a kind of cache. */
function rclone(name: string, cache: string): FileSystem {
  const options = ["--config", "/dev/null", "--vfs-cache-mode", cache, "--vfs-write-back", "1s"];
  return over(name, ({ store, path, home }) => {
    return ["rclone", "mount", ...options, "--cache-dir", `${home}/cache`, store, path];
  }, { needs: ["rclone", "fusermount3"] });
}

/** All file systems, in the order of the table. */
export const FILE_SYSTEMS: readonly FileSystem[] = [
  onImage("ext4", ["mkfs.ext4", "-q", "-F"], byLoop("ext4"), { quick: true }),
  onImage("ext4-casefold", ["mkfs.ext4", "-q", "-F", "-O", "casefold"], byLoop("ext4")),
  onImage("xfs", ["mkfs.xfs", "-q"], byLoop("xfs"), { mib: 300 }),
  onImage("btrfs", ["mkfs.btrfs", "-q"], byLoop("btrfs"), {
    quick: true,
    mib: 200,
    divide: ["btrfs", "subvolume", "create"],
  }),
  {
    name: "tmpfs",
    needs: [],
    quick: true,
    forgets: true,
    prepare: ({ path }) => ["mount", "-t", "tmpfs", "-o", `size=${MIB}m`, "ferry", path],
  },
  {
    name: "overlayfs",
    needs: [],
    prepare: ({ store, path }) => {
      const layers = ["lower", "upper", "work"].map((layer) => {
        Deno.mkdirSync(`${store}/${layer}`);
        return `${layer}dir=${store}/${layer}`;
      });
      // A directory of the lower layer cannot be renamed directly.
      Deno.mkdirSync(`${store}/lower/root/mv/lower`, { recursive: true });
      return ["mount", "-t", "overlay", "-o", layers.join(","), "ferry", path];
    },
    source: ({ store }) => `${store}/upper`,
  },
  {
    name: "squashfs",
    needs: ["mksquashfs"],
    readOnly: true,
    prepare: (places) => {
      const { image, home } = places;
      prepareFiles(home);
      Deno.removeSync(image);
      must("mksquashfs", home, image, "-quiet", "-no-progress");
      return byLoop("squashfs")(places);
    },
  },
  onImage("vfat", ["mkfs.vfat"], byLoop("vfat"), { quick: true }),
  onImage("exfat", ["mkfs.exfat"], byLoop("exfat")),
  onImage("exfat-fuse", ["mkfs.exfat"], byLoop("exfat-fuse"), {
    needs: ["mkfs.exfat", "mount.exfat-fuse"],
  }),
  onImage("ntfs-3g", ["mkntfs", "-F", "-Q", "-q"], byLoop("ntfs-3g"), {
    needs: ["mkntfs", "ntfs-3g"],
  }),
  onImage(
    "fuse2fs",
    ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"],
    ({ image, path }) => ["fuse2fs", "-f", image, path],
    { needs: ["mkfs.ext4", "fuse2fs"], serves: true },
  ),
  over("bindfs", ({ store, path }) => ["bindfs", "-f", store, path], {
    quick: true,
    ...SAME_NAMES,
  }),
  over("sshfs", async ({ home, store, path }, stack) => {
    const { port, user, options } = stack.use(await startSshd(home));
    const ssh = `ssh_command=ssh ${options.join(" ")}`;
    return ["sshfs", "-f", "-p", `${port}`, "-o", ssh, `${user}@127.0.0.1:${store}`, path];
  }, { needs: ["sshfs", SSHD, "ssh-keygen"], ...SAME_NAMES }),
  over("mergerfs", ({ store, other, path }) => {
    return [
      "mergerfs",
      "-f",
      "-o",
      "category.create=mfs,minfreespace=0",
      `${store}:${other}`,
      path,
    ];
  }),
  over("gocryptfs", ({ store, path }) => {
    const password = ["-q", "-extpass", "echo ferry"];
    must("gocryptfs", "-init", "-scryptn", "10", ...password, store);
    return ["gocryptfs", "-fg", ...password, store, path];
  }),
  over("encfs", ({ store, path }) => {
    return ["encfs", "-f", "--standard", "--extpass=echo ferry", store, path];
  }),
  over("unionfs-fuse", ({ store, other, path }) => {
    return ["unionfs-fuse", "-f", "-o", "cow", `${store}=RW:${other}=RO`, path];
  }, SAME_NAMES),
  rclone("rclone", "off"),
  rclone("rclone-cached", "writes"),
  over("s3fs", ({ path }) => {
    const [url, bucket, keys] = ["URL", "BUCKET", "KEYS"]
      .map((name) => Deno.env.get(`FERRY_FILESYSTEMS_S3_${name}`));
    if (!url || !bucket || !keys) {
      throw new NotHere(
        "FERRY_FILESYSTEMS_S3_URL, _BUCKET and _KEYS (a file, ID:SECRET) do not name a store",
      );
    }
    const options = `url=${url},passwd_file=${keys},use_path_request_style`;
    return ["s3fs", bucket, path, "-f", "-o", options];
  }, { endless: true }),
];

/** The files of a read-only file system, with their content. */
export const PREPARED: ReadonlyMap<string, string> = new Map([
  ["root/put/small", "small\n"],
  ["root/list/one", "1\n"],
  ["root/list/below/two", "22\n"],
]);

function prepareFiles(directory: string): void {
  for (const [path, content] of PREPARED) {
    const at = `${directory}/${path}`;
    Deno.mkdirSync(at.slice(0, at.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(at, content);
  }
}

/** The reason why a file system cannot be mounted here. */
export class NotHere extends Error {}

/** Runs a command to its end. */
function must(command: string, ...args: string[]): void {
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

/** A mounted file system, with everything that it needs. */
export class Mounted implements AsyncDisposable {
  readonly #system: FileSystem;
  readonly #places: Places;
  readonly #command: Command;
  readonly #stack: AsyncDisposableStack;
  /** The program that serves it, and its standard error. */
  #server: { child: Deno.ChildProcess; ended: Promise<string> } | undefined;

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
    const hidden = deviceOf(this.path);
    const child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let running = true;
    const ended = new Response(child.stderr).text().finally(() => running = false);
    this.#server = { child, ended };
    const deadline = performance.now() + DEADLINE_MS;
    while (deviceOf(this.path) === hidden) {
      if (!running) throw new NotHere(`${command}: ${reasonIn(await ended)}`);
      if (performance.now() > deadline) throw new NotHere(`${command}: it was not mounted in time`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Unmounts it, and waits until all data is written. */
  async unmount(): Promise<void> {
    unmount(this.path);
    const server = this.#server;
    if (!server) return;
    const timer = setTimeout(() => server.child.kill("SIGKILL"), DEADLINE_MS);
    await server.child.status;
    await server.ended;
    clearTimeout(timer);
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
