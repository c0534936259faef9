/**
 * CephFS: a Ceph cluster with a metadata server, for tests that mount it twice, as two machines would.
 *
 * @module
 */

import { CEPH } from "./ceph.ts";
import { type Engine, type EngineKind, runTool, type Site } from "./engine.ts";

/** How long the metadata server may take to become active, in milliseconds. */
const ACTIVE_MS = 60_000;

const POLL_MS = 200;

/** The shortest session timeout that it takes, in seconds. */
const SESSION_S = 30;

async function make(site: Site) {
  const [mon, osd] = await CEPH.make(site);
  const conf = `${site.dir}/ceph.conf`;
  const ceph = (...args: string[]) => runTool("timeout", "60", "ceph", "-c", conf, ...args);
  await Deno.mkdir(`${site.dir}/mds`);
  await Deno.writeTextFile(conf, `[mds]\nmds data = ${site.dir}/mds\n`, { append: true });
  const all = ["mon", "allow *", "osd", "allow *", "mds", "allow *"];
  await ceph("auth", "caps", "client.admin", ...all);
  const key = await ceph(
    "auth",
    "get-or-create",
    "mds.a",
    "mon",
    "allow profile mds",
    ...all.slice(2),
  );
  await Deno.writeTextFile(`${site.dir}/keyring`, key, { append: true });
  for (const pool of ["fs_meta", "fs_data"]) await ceph("osd", "pool", "create", pool, "4");
  await ceph("fs", "new", "fs", "fs_meta", "fs_data");
  // How long it waits for a client that has ended; the default is 60.
  await ceph("fs", "set", "fs", "session_timeout", `${SESSION_S}`);
  const mds = { name: "mds", command: ["ceph-mds", "-c", conf, "-i", "a", "-f"] };
  await site.launch(mds);
  for (const until = Date.now() + ACTIVE_MS; !(await ceph("mds", "stat")).includes("up:active");) {
    if (Date.now() > until) throw new Error("the metadata server does not become active");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return [mon!, osd!, mds];
}

/** CephFS that keeps its files in memory. It does not speak S3. */
export const CEPH_FS: EngineKind = {
  ...CEPH,
  name: "cephfs",
  needs: [...CEPH.needs, "ceph-mds", "ceph-fuse"],
  gateway: "mds",
  answering: 0,
  make,
};

/** The command that mounts it at a path for as long as it runs. */
export function cephFuse({ dir }: Engine, path: string): [string, ...string[]] {
  return ["ceph-fuse", "-c", `${dir}/ceph.conf`, "-n", "client.admin", "-f", path];
}
