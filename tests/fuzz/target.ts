/**
 * The servers that the fuzzer talks to, and the invariants that must hold whatever it sends.
 *
 * @module
 */

import {
  DENO,
  Ferryd,
  type Outcome,
  outcome,
  programArgs,
  TempDir,
  unrecorded,
} from "../support/programs.ts";
import { type RawAddress, RawPeer } from "../support/raw_peer.ts";
import { KEPT, type Place } from "./conversations.ts";

/** The content of files that nobody may read. */
export const SECRET = "marker-of-what-nobody-may-see";

/** How long a server may take for anything, in milliseconds: its own timeouts are a fraction of that. */
export const PATIENCE = 120_000;

const TIMEOUTS = [
  ...["--idle-timeout", "1s", "--handshake-timeout", "1s", "--exec-timeout", "1s"],
  ...["--drain-timeout", "1s"],
];

/** The roots of the servers, in order, and the listener where each is checked. */
const ROOTS = { files: "tcp", shell: "classic-exec", sealed: "inside-tls" } as const;

type Root = keyof typeof ROOTS;

/** Symbolic links that lead out of a root, or nowhere. */
const LINKS = [["link", "../outside"], ["dangling", "nowhere"]] as const;

/** Files of which parts may be kept until an upload goes on. */
const RESUMABLE = ["fuzz/t", "fuzz/u", "fuzz/v", "fuzz/w"];

/** The resources of a process at a moment. */
export interface Vitals {
  /** Resident memory in bytes. */
  memory: number;
  /** Open sockets, and open files below the root. */
  open: number;
}

/** The servers, each over a root of its own, and a directory outside of the roots. */
export class Target implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #servers: Ferryd[] = [];
  #caCerts: string[] = [];
  /** What each server had open before the first connection. */
  #idle: number[] | undefined;

  /** Starts the servers. */
  static async start(): Promise<Target> {
    const target = new Target();
    try {
      await target.#start();
      await target.#quiet();
    } catch (error) {
      await target[Symbol.asyncDispose]();
      throw error;
    }
    return target;
  }

  async #start(): Promise<void> {
    Deno.mkdirSync(this.#dir.join("outside"));
    this.#dir.write("outside/secret", SECRET);
    for (const root of Object.keys(ROOTS)) {
      Deno.mkdirSync(this.#dir.join(root));
      this.#furnish(root);
    }
    const tokens = this.#dir.join("tokens");
    const cert = ["--tls-cert", this.#dir.join("cert.pem"), "--tls-key", this.#dir.join("key.pem")];
    const token = ["--token-file", tokens, "--name", "fuzz", "--scope", "read,write,delete"];
    await succeed(["token", "new", ...token]);
    await succeed(["cert", "--host", "127.0.0.1", ...cert]);
    this.#caCerts = [Deno.readTextFileSync(this.#dir.join("cert.pem"))];
    const everything = ["--anonymous", "read,write,delete,exec,echo"];
    const exec = ["--allow-exec", "echo", "--allow-exec", "md5sum"];
    const usual = [
      ...[...TIMEOUTS, ...everything, ...exec, "--token-file", tokens],
      ...["--durability", "none", "--quota", "256MiB", "--allow-links"],
    ];
    const http = ["--http", "127.0.0.1:0"];
    const echoes = ["--tcp-echo", "127.0.0.1:0", "--udp-echo", "127.0.0.1:0"];
    const shell = ["--classic-exec", "127.0.0.1:0", "--allow-shell"];
    const options: Record<Root, string[]> = {
      files: [...usual, ...echoes, ...http],
      shell: [...TIMEOUTS, ...shell],
      sealed: [...usual, ...cert, ...http],
    };
    for (const [root, args] of Object.entries(options)) {
      this.#servers.push(await Ferryd.start(this.#dir.join(root), args));
    }
  }

  /** Makes the initial files of a root. */
  #furnish(root: string): void {
    for (const [name, bytes] of Object.entries(KEPT)) {
      const path = this.#dir.join(`${root}/${name}`);
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      Deno.writeFileSync(path, bytes);
      Deno.utimeSync(path, 1_700_000_000, 1_700_000_000);
    }
    for (const [name, target] of LINKS) {
      Deno.symlinkSync(target, this.#dir.join(`${root}/${name}`));
    }
  }

  /** The address for a kind of conversation. */
  address(place: Place): RawAddress {
    const inside = place === "inside-tls" || place === "https";
    const kind = place === "inside-tls" ? "tls" : place;
    const server = this.#servers.find(({ listening }) => listening.has(kind))!;
    const caCerts = inside ? this.#caCerts : undefined;
    return { hostname: "127.0.0.1", port: server.portOf(kind), caCerts };
  }

  /** The current resources of each server. */
  async vitals(): Promise<Vitals[]> {
    return await Promise.all(this.#servers.map(async ({ pid }) => {
      const script = `grep VmRSS /proc/${pid}/status; ls -l /proc/${pid}/fd`;
      const { stdout } = await run("sh", ["-c", script]);
      const [, kib] = /VmRSS:\s+(\d+) kB/.exec(stdout) ?? [];
      const count = (what: RegExp) => stdout.match(what)?.length ?? 0;
      // Sockets, and open files below a root: files that are being written, and directories.
      return { memory: Number(kib) * 1024, open: count(/ -> (socket:|\S*\/staging\/)/g) };
    }));
  }

  /**
   * Waits until nobody is connected, checks everything, and removes what was stored.
   *
   * @returns the problems that were found
   */
  async inspect(): Promise<string[]> {
    const problems = await this.#quiet();
    for (const [root, place] of Object.entries(ROOTS)) {
      if (!await this.#answers(place)) problems.push(`${place} does not answer any more`);
      problems.push(...this.#harm(root));
      if (place !== "classic-exec") await this.#tidy(root, place);
    }
    if (Deno.readTextFileSync(this.#dir.join("outside/secret")) !== SECRET) {
      problems.push("a file outside of the root was changed");
    }
    const outside = [...Deno.readDirSync(this.#dir.join("outside"))].map(({ name }) => name);
    if (outside.length !== 1) problems.push(`there are files outside of the root: ${outside}`);
    return problems;
  }

  /** Waits until all connections have ended, and the files that were written for them are closed or removed. */
  async #quiet(): Promise<string[]> {
    const end = performance.now() + PATIENCE;
    for (;;) {
      const now = (await this.vitals()).map(({ open }) => open);
      this.#idle ??= now;
      const left = Object.keys(ROOTS).flatMap((root) => this.#leftovers(root));
      if (left.length === 0 && now.every((count, i) => count <= this.#idle![i]!)) return [];
      if (performance.now() > end) {
        return [...left, `${now} sockets and files are open, and were ${this.#idle}`];
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #connect(place: Place): Promise<RawPeer> {
    const { port, caCerts } = this.address(place);
    return await RawPeer.connect(port, caCerts);
  }

  async #answers(place: Place): Promise<boolean> {
    try {
      using peer = await this.#connect(place);
      const late = AbortSignal.timeout(PATIENCE);
      late.addEventListener("abort", () => peer[Symbol.dispose]());
      if (place !== "classic-exec") return await peer.ask({ op: "ping" }) === "ok";
      await peer.send("echo here");
      const { body } = (await peer.receive())!;
      return new TextDecoder().decode(body) === "here\n";
    } catch {
      return false;
    }
  }

  /** Files that must not change, but have changed. */
  #harm(root: string): string[] {
    const problems: string[] = [];
    for (const [name, bytes] of Object.entries(KEPT)) {
      try {
        const path = this.#dir.join(`${root}/${name}`);
        const info = Deno.lstatSync(path);
        const now = Deno.readFileSync(path);
        const same = info.mtime?.getTime() === 1_700_000_000_000 &&
          now.length === bytes.length && now.every((byte, i) => byte === bytes[i]);
        if (!same) problems.push(`${root}/${name} was changed`);
      } catch (error) {
        problems.push(`${root}/${name}: ${error}`);
      }
    }
    const kept = [...walk(this.#dir.join(`${root}/kept`))];
    if (kept.length !== Object.keys(KEPT).length) problems.push(`${root}/kept holds ${kept}`);
    return problems;
  }

  /** Files in the staging area that cannot be resumed. */
  #leftovers(root: string): string[] {
    const staging = this.#dir.join(`${root}/.ferry/staging`);
    return unrecorded(staging).map((name) => `${root}/.ferry/staging/${name} was left behind`);
  }

  /** Removes what was stored, by requests, since the server counts what it stores. */
  async #tidy(root: string, place: Place): Promise<void> {
    using peer = await this.#connect(place);
    for (const name of RESUMABLE) await peer.ask({ op: "discard", filename: name });
    for (const { name } of [...Deno.readDirSync(this.#dir.join(root))]) {
      if (["kept", ".ferry", "link", "dangling"].includes(name)) continue;
      const code = await peer.ask({ op: "remove", filename: name, recursive: true });
      if (code !== "ok") throw new Error(`${root}/${name} cannot be removed: ${code}`);
    }
    for (const [name, target] of LINKS) {
      const path = this.#dir.join(`${root}/${name}`);
      try {
        Deno.lstatSync(path);
      } catch {
        Deno.symlinkSync(target, path);
      }
    }
  }

  /**
   * Stops the servers.
   *
   * @returns problems with how they ended, or with what they have logged
   */
  async stop(): Promise<string[]> {
    const problems: string[] = [];
    for (const server of this.#servers.splice(0)) {
      const { code, stderr } = await server.stop();
      if (code !== 0) problems.push(`ferryd ended with status ${code}: ${stderr.slice(-1000)}`);
      const flaw = /^.*(?:\("?internal"?\)|\[ERR\]|Uncaught|panicked|file:\/\/\/).*$/m.exec(stderr);
      if (flaw) problems.push(`ferryd logged: ${flaw[0].slice(0, 1000)}`);
      if (stderr.includes(SECRET)) problems.push("ferryd logged a secret");
    }
    return problems;
  }

  /** Kills the servers that are still running and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

function* walk(directory: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) yield* walk(`${directory}/${name}`);
    else yield `${directory}/${name}`;
  }
}

/** Runs a subcommand of `ferryd` to its end. */
async function succeed(args: string[]): Promise<void> {
  const { code, stderr } = await run(DENO, [...programArgs("ferryd"), ...args]);
  if (code !== 0) throw new Error(`ferryd ${args[0]} failed: ${stderr}`);
}

async function run(command: string, args: string[]): Promise<Outcome> {
  return await outcome(
    new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn(),
  );
}
