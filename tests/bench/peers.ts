/**
 * Temporary servers of the programs that ferry is compared with, run as this user.
 *
 * @module
 */

import { userInfo } from "node:os";
import { outcome } from "../support/programs.ts";

/** The path of sshd, which must be started by its absolute path. */
export const SSHD = "/usr/sbin/sshd";

/** The empty directory that sshd needs when it runs as root; it is missing where sshd never ran. */
const SSHD_DIRECTORY = "/run/sshd";

const READY_MS = 10_000;

/** A server of a peer. */
export interface Peer extends AsyncDisposable {
  /** The port. */
  readonly port: number;
}

/** Starts a program with an empty standard input. */
export function spawn(program: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The version that a program prints; undefined where it is not installed. */
export async function versionOf(program: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await outcome(spawn(program, args));
    return (stdout || stderr).split("\n", 1)[0]?.trim().replace(/\s+/g, " ");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** An rsync daemon whose module `files` is `root`; its own files are in `home`. */
export async function startRsyncDaemon(home: string, root: string): Promise<Peer> {
  const { uid, gid } = userInfo();
  const port = freePort();
  const config = `${home}/rsyncd.conf`;
  Deno.writeTextFileSync(
    config,
    `uid = ${uid}
gid = ${gid}
use chroot = no
pid file = ${home}/rsyncd.pid
lock file = ${home}/rsyncd.lock
log file = ${home}/rsyncd.log
[files]
path = ${root}
read only = no
`,
  );
  const args = ["--daemon", "--no-detach", "--address=127.0.0.1", `--port=${port}`];
  return await startPeer(spawn("rsync", [...args, `--config=${config}`]), port);
}

/** An sshd that accepts this user with a key of its own. */
export interface Sshd extends Peer {
  /** The user to log in as. */
  readonly user: string;
  /** Options for `ssh` and `scp`. */
  readonly options: readonly string[];
}

/** Starts an sshd; its keys and its configuration are in `home`. */
export async function startSshd(home: string): Promise<Sshd> {
  const { username: user, uid } = userInfo();
  const port = freePort();
  for (const key of ["host_key", "user_key"]) {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${home}/${key}`]);
  }
  Deno.copyFileSync(`${home}/user_key.pub`, `${home}/authorized_keys`);
  const config = `${home}/sshd_config`;
  Deno.writeTextFileSync(
    config,
    `ListenAddress 127.0.0.1
Port ${port}
HostKey ${home}/host_key
AuthorizedKeysFile ${home}/authorized_keys
PermitRootLogin yes
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
`,
  );
  const made = uid === 0 && makeMissing(SSHD_DIRECTORY);
  try {
    const peer = await startPeer(spawn(SSHD, ["-D", "-e", "-f", config]), port);
    return {
      port,
      user,
      options: [
        ...["-F", "none", "-i", `${home}/user_key`, "-o", "IdentitiesOnly=yes"],
        ...["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"],
        ...["-o", `UserKnownHostsFile=${home}/known_hosts`],
      ],
      async [Symbol.asyncDispose]() {
        await peer[Symbol.asyncDispose]();
        if (made) Deno.removeSync(SSHD_DIRECTORY);
      },
    };
  } catch (error) {
    if (made) Deno.removeSync(SSHD_DIRECTORY);
    throw error;
  }
}

function makeMissing(directory: string): boolean {
  try {
    Deno.mkdirSync(directory, { mode: 0o755 });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await outcome(spawn(program, args));
  if (code !== 0) throw new Error(`${program} failed: ${stderr.trim()}`);
}

/** Another program can take the port before the peer does; the peer then fails to start. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until a server accepts connections. */
export async function startPeer(child: Deno.ChildProcess, port: number): Promise<Peer> {
  let running = true;
  const ended = outcome(child).finally(() => running = false);
  const stop = async () => {
    if (running) child.kill("SIGTERM");
    await ended;
  };
  const deadline = performance.now() + READY_MS;
  while (running && performance.now() < deadline) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return { port, [Symbol.asyncDispose]: stop };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  await stop();
  throw new Error(`a peer did not start: ${(await ended).stderr.trim()}`);
}
