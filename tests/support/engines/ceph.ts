/**
 * Ceph with its RADOS gateway: a monitor, an object storage daemon and the gateway.
 *
 * @module
 */

import { type Daemon, type Engine, type EngineKind, runTool, type Site } from "./engine.ts";

/** How many ports: the gateway, the monitor, and some to choose from for the messages of the others. */
const PORTS = 12;

/** The capacity of the store in memory. A large one costs nothing until it is used. */
const STORE_BYTES = 8 * 1024 ** 3;

function configuration({ dir, port }: Site, fsid: string, store: string): string {
  return `[global]
fsid = ${fsid}
mon initial members = a
mon host = [v2:127.0.0.1:${port + 1}/0]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = ${dir}/keyring
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = ${port + 2}
ms bind port max = ${port + PORTS - 1}
ms async op threads = 2
# A gateway that runs says so each second.
objecter tick interval = 1
run dir = ${dir}
admin socket =
crash dir = ${dir}/crash
log file = ${dir}/$name.own.log
log max recent = 100
# One node has room for one copy.
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon max pg per osd = 2000
# Each pool changes the map, and each change otherwise waits a second for further ones.
paxos propose interval = 0.05
paxos min wait = 0.02
[mon]
mon data = ${dir}/mon
mon cluster log file = ${dir}/cluster.log
mon data avail warn = 2
mon data avail crit = 1
[osd]
osd data = ${dir}/osd
osd objectstore = ${store}
osd op num shards = 2
osd op num threads per shard = 1
osd class update on start = false
# How long a gateway that was killed is still waited for when metadata changes.
osd client watch timeout = 5
memstore device bytes = ${STORE_BYTES}
bluestore block size = ${STORE_BYTES}
bluestore block create = true
bluestore block db create = false
bluestore block wal create = false
bluestore cache autotune = false
bluestore cache size = ${64 * 1024 ** 2}
[client.rgw.a]
# Without tcp_nodelay each small answer waits 40 ms.
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw data = ${dir}/rgw
rgw thread pool size = 32
rgw enable usage log = false
rgw run sync thread = false
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw gc processor max time = 10
`;
}

/** The entities of the cluster, and what each may do. */
const ENTITIES: readonly (readonly [name: string, ...caps: string[]])[] = [
  ["mon.", "mon", "allow *"],
  ["client.admin", "mon", "allow *", "osd", "allow *"],
  ["osd.0", "mon", "allow profile osd", "osd", "allow *"],
  ["client.rgw.a", "mon", "allow rw", "osd", "allow rwx"],
];

async function make(site: Site, store: string): Promise<readonly Daemon[]> {
  const { dir, port } = site;
  for (const name of ["mon", "osd", "rgw", "crash"]) await Deno.mkdir(`${dir}/${name}`);
  const fsid = crypto.randomUUID();
  const conf = ["-c", `${dir}/ceph.conf`];
  const keyring = `${dir}/keyring`;
  const map = `${dir}/monmap`;
  await Deno.writeTextFile(conf[1]!, configuration(site, fsid, store));
  for (const [name, ...caps] of ENTITIES) {
    const allowed = caps.flatMap((cap, at) => at % 2 === 0 ? ["--cap", cap] : [cap]);
    const creating = name === "mon." ? ["--create-keyring"] : [];
    await runTool("ceph-authtool", keyring, ...creating, "--gen-key", "-n", name, ...allowed);
  }
  const address = `[v2:127.0.0.1:${port + 1}]`;
  await runTool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, map);
  const mon = ["ceph-mon", ...conf, "-i", "a"];
  await runTool(mon[0]!, ...mon.slice(1), "--mkfs", "--keyring", keyring, "--monmap", map);
  const daemons = [
    { name: "mon", command: [...mon, "-f"] },
    { name: "osd", command: ["ceph-osd", ...conf, "-i", "0", "-f"] },
    { name: "rgw", command: ["radosgw", ...conf, "-n", "client.rgw.a", "-f"] },
  ];
  await site.launch(daemons[0]!);
  const uuid = crypto.randomUUID();
  await runTool("timeout", "60", "ceph", ...conf, "osd", "new", uuid, "0");
  await runTool("ceph-osd", ...conf, "-i", "0", "--mkfs", "--osd-uuid", uuid);
  await site.launch(daemons[1]!);
  const key = ["--access-key", site.accessKeyId, "--secret", site.secretAccessKey];
  await admin(
    dir,
    "user",
    "create",
    "--uid=test",
    "--display-name=test",
    "--max-buckets=0",
    ...key,
  );
  // A client may name the region where it makes a bucket.
  await admin(dir, "zonegroup", "modify", "--rgw-zonegroup=default", "--api-name=us-east-1");
  return daemons;
}

async function admin(dir: string, ...args: string[]): Promise<string> {
  const gateway = ["-c", `${dir}/ceph.conf`, "-n", "client.rgw.a"];
  return await runTool("timeout", "120", "radosgw-admin", ...gateway, ...args);
}

const COMMON = {
  name: "ceph",
  needs: ["radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool"],
  ports: PORTS,
  gateway: "rgw",
  answering: 1,
} as const;

/** Ceph that keeps objects in memory: they are lost with the daemon `osd`. */
export const CEPH: EngineKind = { ...COMMON, make: (site) => make(site, "memstore") };

/** Ceph that keeps objects on the disk: all its daemons may be killed at any time. */
export const CEPH_ON_DISK: EngineKind = { ...COMMON, make: (site) => make(site, "bluestore") };

/** Runs a command of `radosgw-admin` in an engine, and returns what it prints. */
export function cephAdmin(engine: Engine, ...args: string[]): Promise<string> {
  return admin(engine.dir, ...args);
}
