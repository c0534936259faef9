/**
 * Temporary servers of HTTP that ferryd is compared with.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { PROJECT } from "../support/programs.ts";
import { succeed } from "../support/interruptible.ts";
import type { Bench } from "./measure.ts";
import { freePort, type Peer, spawn, startPeer } from "./peers.ts";

/** The packages that the servers on Node.js consist of. */
const PACKAGES = ["serve-handler@6.1.8", "@tus/server@2.4.5", "@tus/file-store@2.1.1"];

const PROGRAM = `${PROJECT}tests/bench/node_http.mjs`;

/** Starts an nginx that serves the files of a directory, and takes PUTs; its own files are in `home`. */
export async function startNginx(home: string, root: string): Promise<Peer> {
  const port = freePort();
  const config = `${home}/nginx.conf`;
  const own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${home}/${name};`
  );
  Deno.writeTextFileSync(
    config,
    `daemon off;
worker_processes auto;
pid ${home}/nginx.pid;
error_log ${home}/error.log;
user ${Deno.uid() === 0 ? "root" : "nobody"};
events { worker_connections 4096; }
http {
  ${own.join("\n  ")}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    dav_methods PUT;
  }
}
`,
  );
  return await startPeer(spawn("nginx", ["-e", `${home}/error.log`, "-c", config]), port);
}

/**
 * Installs the packages of the servers on Node.js, unless that was done.
 *
 * @returns the directory that has them; undefined where there is no Node.js, or npm cannot get them
 */
export async function installNodePeers(
  { dir, installed, signal }: Bench,
): Promise<string | undefined> {
  if (!installed.has("node")) return undefined;
  const home = `${dir}/node`;
  if (isTaken(home)) return home;
  Deno.mkdirSync(home);
  const args = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", home, ...PACKAGES];
  try {
    await succeed("npm install", spawn("npm", args), signal);
    return home;
  } catch {
    Deno.removeSync(home, { recursive: true });
    signal.throwIfAborted();
    return undefined;
  }
}

/** Starts a server on Node.js over a directory. */
export async function startNodePeer(
  modules: string,
  role: "files" | "tus",
  directory: string,
): Promise<Peer> {
  const child = new Deno.Command("node", {
    args: [PROGRAM, modules, role, directory],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const { value: port } = await lines.read();
  if (port === undefined) throw new Error("a server on Node.js did not start");
  return {
    port: Number(port),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await lines.cancel();
    },
  };
}
