/**
 * The tested file systems, and how each is mounted.
 *
 * @module
 */

import { SSHD, startSshd } from "../bench/peers.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { CEPH_FS, cephFuse } from "../support/engines/cephfs.ts";
import { Engine, type EngineKind, whyNoEngine } from "../support/engines/engine.ts";
import { GLUSTER, glusterFuse } from "../support/engines/gluster.ts";
import { type Command, type FileSystem, MIB, must, NotHere, type Places } from "./mounted.ts";

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
    prepareFiles(store);
    return ["rclone", "mount", ...options, "--cache-dir", `${home}/cache`, store, path];
  }, { needs: ["rclone", "fusermount3"], readOnly: true });
}

/** A file system that machines share, with servers of its own; `mount` is the command of a client. */
function distributed(
  kind: EngineKind,
  mount: (engine: Engine, path: string) => Command,
): FileSystem {
  const prepare = async ({ path }: Places, stack: AsyncDisposableStack) => {
    return mount(stack.use(await Engine.start(kind)), path);
  };
  const { name, needs } = kind;
  return { name, needs, prepare, serves: true, endless: true, twice: true };
}

/** The options by which s3fs mounts a bucket: the one of the environment, or a new one of an engine. */
async function s3fsOptions(home: string, stack: AsyncDisposableStack): Promise<[string, string]> {
  const [url, bucket, keys] = ["URL", "BUCKET", "KEYS"]
    .map((name) => Deno.env.get(`FERRY_FILESYSTEMS_S3_${name}`));
  if (url && bucket && keys) return [bucket, `url=${url},passwd_file=${keys}`];
  const why = whyNoEngine(CEPH);
  if (why !== undefined) {
    throw new NotHere(
      `FERRY_FILESYSTEMS_S3_URL, _BUCKET and _KEYS (a file, ID:SECRET) do not name a store, and ${why}`,
    );
  }
  const engine = stack.use(await Engine.start(CEPH));
  const path = `${home}/keys`;
  Deno.writeTextFileSync(path, `${engine.accessKeyId}:${engine.secretAccessKey}\n`, {
    mode: 0o600,
  });
  return [await engine.bucket(), `url=${engine.endpoint},passwd_file=${path}`];
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
  over("s3fs", async ({ path, home }, stack) => {
    const [bucket, options] = await s3fsOptions(home, stack);
    const mount = ["s3fs", bucket, path, "-o", `${options},use_path_request_style`] as const;
    must(...mount);
    prepareFiles(path);
    must("umount", path);
    return [...mount, "-f"];
  }, { readOnly: true }),
  distributed(CEPH_FS, cephFuse),
  distributed(GLUSTER, glusterFuse),
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
