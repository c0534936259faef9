/**
 * OpenStack Swift with its middleware for S3: the servers of accounts, containers and objects, memcached, and the proxy.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import { type Daemon, type EngineKind, runTool, type Site } from "./engine.ts";

/** The program that starts a server of Swift with the configuration of a directory. */
const PROGRAM = fromFileUrl(new URL("./swift_server.py", import.meta.url));

/** The Python of the system, which has the packages of Swift. */
const PYTHON = "/usr/bin/python3";

/** The servers behind the proxy, in the order of their ports. */
const SERVERS = ["account", "container", "object"] as const;

/** The filters of the proxy's pipeline, each with its options. */
function filters({ port, secretAccessKey }: Site): readonly (readonly string[])[] {
  return [
    ["catch_errors"],
    ["gatekeeper"],
    ["healthcheck"],
    ["memcache", `memcache_servers = 127.0.0.1:${port + 4}`],
    ["listing_formats"],
    ["bulk"],
    ["s3api", "location = us-east-1", "max_upload_part_num = 10000"],
    ["tempauth", `user_test_tester = ${secretAccessKey} .admin`],
    ["copy"],
    ["slo", "max_manifest_segments = 10000", "max_manifest_size = 16777216"],
    ["dlo"],
    ["versioned_writes", "allow_object_versioning = true"],
    ["symlink"],
  ];
}

async function make(site: Site): Promise<readonly Daemon[]> {
  const { dir, port } = site;
  await Deno.mkdir(`${dir}/devices/d`, { recursive: true });
  const user = (await runTool("id", "-un")).trim();
  const write = (name: string, ...lines: string[]) =>
    Deno.writeTextFile(`${dir}/${name}.conf`, `${lines.join("\n")}\n`);
  const common = (own: number) => [
    "[DEFAULT]",
    "bind_ip = 127.0.0.1",
    `bind_port = ${own}`,
    `user = ${user}`,
    `swift_dir = ${dir}`,
    "workers = 0",
    "log_level = WARNING",
    `log_address = ${dir}/no-syslog`,
  ];
  await write(
    "swift",
    "[swift-hash]",
    "swift_hash_path_suffix = test",
    "[storage-policy:0]",
    "name = zero",
    "default = yes",
    "[swift-constraints]",
    "max_header_size = 16384",
  );
  for (const [at, name] of SERVERS.entries()) {
    await write(
      name,
      ...common(port + 1 + at),
      `devices = ${dir}/devices`,
      "mount_check = false",
      "fallocate_reserve = 0",
      // A list has to show what was written, even on a busy machine: nothing else brings lists up to date here.
      "container_update_timeout = 30",
      "[pipeline:main]",
      `pipeline = ${name}-server`,
      `[app:${name}-server]`,
      `use = egg:swift#${name}`,
    );
  }
  await write(
    "proxy",
    ...common(port),
    "[pipeline:main]",
    `pipeline = ${filters(site).map(([name]) => name).join(" ")} proxy-server`,
    "[app:proxy-server]",
    "use = egg:swift#proxy",
    "account_autocreate = true",
    "allow_account_management = true",
    "node_timeout = 60",
    ...filters(site).flatMap(([name, ...options]) => [
      `[filter:${name}]`,
      `use = egg:swift#${name}`,
      ...options,
    ]),
  );
  await runTool(PYTHON, PROGRAM, "rings", `${dir}/${port}`);
  const server = (name: string): Daemon => ({
    name,
    command: [PYTHON, PROGRAM, "serve", `${dir}/${name}`],
  });
  const cache = [
    "memcached",
    "-l",
    "127.0.0.1",
    "-p",
    `${port + 4}`,
    "-U",
    "0",
    "-m",
    "32",
    "-t",
    "1",
  ];
  return [
    // Its pid file is not needed but that its command line names the directory.
    { name: "memcached", command: [...cache, "-u", user, "-P", `${dir}/memcached`] },
    ...SERVERS.map(server),
    server("proxy"),
  ];
}

/** Swift. All its daemons may be killed at any time: objects are on the disk. */
export const SWIFT: EngineKind = {
  name: "swift",
  needs: [
    "swift-proxy-server",
    ...SERVERS.map((name) => `swift-${name}-server`),
    "memcached",
    PYTHON,
  ],
  accessKeyId: "test:tester",
  ports: 5,
  gateway: "proxy",
  answering: 4,
  make,
};
