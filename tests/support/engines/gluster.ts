/**
 * GlusterFS: one brick on a directory of this machine, for tests that mount it twice, as two machines would.
 *
 * There is no glusterd, so the graphs of translators that it would give to the brick and to the clients are written
 * here, with what a new volume has of them.
 *
 * @module
 */

import type { Engine, EngineKind, Site } from "./engine.ts";

/** A translator: its name, its type, and its options. */
type Translator = readonly [name: string, type: string, options?: Record<string, string>];

/** A graph in which each translator stands on the one before. */
function graph(translators: readonly Translator[]): string {
  return translators.map(([name, type, options = {}], at) => {
    const lines = Object.entries(options).map(([key, value]) => `  option ${key} ${value}`);
    const below = at === 0 ? [] : [`  subvolumes ${translators[at - 1]![0]}`];
    return [`volume ${name}`, `  type ${type}`, ...lines, ...below, "end-volume", ""].join("\n");
  }).join("\n");
}

const SOCKET = { "transport-type": "tcp", "transport.address-family": "inet" };

async function make({ dir, port, launch }: Site) {
  const brick = `${dir}/brick`;
  await Deno.mkdir(brick);
  await Deno.writeTextFile(
    `${dir}/brick.vol`,
    graph([
      ["posix", "storage/posix", { directory: brick }],
      ["access-control", "features/access-control"],
      ["locks", "features/locks"],
      ["upcall", "features/upcall", { "cache-invalidation": "off" }],
      ["brick-threads", "performance/io-threads"],
      ["brick", "debug/io-stats"],
      ["server", "protocol/server", {
        ...SOCKET,
        "transport.socket.bind-address": "127.0.0.1",
        "transport.socket.listen-port": `${port}`,
        "auth.addr.brick.allow": "127.0.0.1",
        "auth-path": "brick",
      }],
    ]),
  );
  await Deno.writeTextFile(
    `${dir}/client.vol`,
    graph([
      ["client", "protocol/client", {
        ...SOCKET,
        "remote-host": "127.0.0.1",
        "remote-port": `${port}`,
        "remote-subvolume": "brick",
      }],
      ["dht", "cluster/distribute"],
      ["utime", "features/utime", { noatime: "on" }],
      ["write-behind", "performance/write-behind"],
      ["open-behind", "performance/open-behind"],
      ["quick-read", "performance/quick-read"],
      ["md-cache", "performance/md-cache"],
      ["io-threads", "performance/io-threads"],
      ["files", "debug/io-stats"],
    ]),
  );
  const command = ["glusterfsd", "-N", "-f", `${dir}/brick.vol`, "-l", `${dir}/brick.own.log`];
  const daemon = { name: "brick", command };
  await launch(daemon);
  return [daemon];
}

/** GlusterFS on a directory of temporary files. It does not speak S3. */
export const GLUSTER: EngineKind = {
  name: "glusterfs",
  needs: ["glusterfsd", "glusterfs"],
  ports: 1,
  gateway: "brick",
  answering: 0,
  make,
};

/** The command that mounts it at a path for as long as it runs. */
export function glusterFuse({ dir }: Engine, path: string): [string, ...string[]] {
  return ["glusterfs", "-N", "-f", `${dir}/client.vol`, "-l", `${dir}/client.own.log`, path];
}
