/**
 * Real object stores and other large programs on this machine, for tests: one node each, on loopback, in a temporary
 * directory.
 *
 * An engine ends with the process that started it, however that ends: a shell waits for that, kills the daemons and
 * removes the directory.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { encodeHex } from "@std/encoding/hex";
import { AwsClient } from "aws4fetch";
import { freePorts } from "../free_ports.ts";
import { isThere } from "../mount.ts";
import { allEnded } from "../processes.ts";

/** The key that an engine is started with. */
export interface Credentials {
  /** The id of the key. */
  readonly accessKeyId: string;
  /** The secret. */
  readonly secretAccessKey: string;
}

/** A program of an engine, which runs in the foreground. */
export interface Daemon {
  /** Its name among those of the engine. */
  readonly name: string;
  /** Its command line, which contains the path of the engine's directory. */
  readonly command: readonly string[];
}

/** Where an engine is made. */
export interface Site extends Credentials {
  /** Its directory, which is empty. */
  readonly dir: string;
  /** The first of its ports: the one of S3. */
  readonly port: number;
  /** Starts a daemon, if it does not run. */
  launch(daemon: Daemon): Promise<void>;
}

/** How engines of a kind are made. */
export interface EngineKind {
  /** Its name, for titles of tests. */
  readonly name: string;
  /** The commands that it consists of. */
  readonly needs: readonly string[];
  /** The form of its key's id. Default: undefined, any. */
  readonly accessKeyId?: string;
  /** How many consecutive ports it uses. */
  readonly ports: number;
  /** The daemon that speaks S3. */
  readonly gateway: string;
  /** How many of its ports, from the first on, answer to HTTP once all of it works. */
  readonly answering: number;
  /** Makes its files, and returns its daemons in the order in which they are started. */
  make(site: Site): Promise<readonly Daemon[]>;
}

/** What is known of an engine that runs. */
interface Description extends Credentials {
  readonly dir: string;
  readonly port: number;
  readonly daemons: readonly Daemon[];
}

/** An object store that all tests of a process may use, each with a bucket of its own. */
export interface SharedEngine extends Credentials {
  /** Its URL: `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** Its region. */
  readonly region: string;
  /** Makes a bucket with a new name, which it returns. */
  bucket(): Promise<string>;
}

/** An engine that one test has for itself until it disposes of this. */
export interface BorrowedEngine extends AsyncDisposable {
  /** Its URL: `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** Its directory, in which its files and its logs are. */
  readonly dir: string;
}

/** How long an engine may take to start, in milliseconds; it takes seconds where the machine is not busy. */
const START_MS = 180_000;

/** How often an engine is made where another program takes one of its ports meanwhile. */
const ATTEMPTS = 3;

const POLL_MS = 50;

/** Why there can be no engine of a kind here; undefined where there can be. */
export function whyNoEngine(kind: EngineKind): string | undefined {
  if (Deno.build.os !== "linux") return "only Linux has the engines";
  const missing = kind.needs.find((need) => !isThere(need));
  return missing && `no ${missing} here`;
}

/** A test that is ignored, with the reason, where there can be no engine of that kind. */
export function testWithEngine(
  kind: EngineKind,
  criterion: string,
  run: () => Promise<void>,
): void {
  const why = whyNoEngine(kind);
  const reason = why === undefined ? "" : ` (ignored: ${why})`;
  Deno.test({ name: criterion + reason, ignore: why !== undefined, fn: run });
}

/** A running object store that belongs to one test. */
export class Engine implements SharedEngine, AsyncDisposable {
  readonly #kind: EngineKind;
  readonly #description: Description;
  readonly endpoint: string;
  readonly region = "us-east-1";
  readonly accessKeyId: string;
  readonly secretAccessKey: string;

  private constructor(kind: EngineKind, description: Description) {
    this.#kind = kind;
    this.#description = description;
    this.endpoint = `http://127.0.0.1:${description.port}`;
    this.accessKeyId = description.accessKeyId;
    this.secretAccessKey = description.secretAccessKey;
  }

  /** Starts an engine. */
  static async start(kind: EngineKind): Promise<Engine> {
    const dir = await Deno.makeTempDir({ prefix: `ferry-${kind.name}-` });
    return await Engine.#make(kind, dir);
  }

  /**
   * The engine that all tests of this process share. The first one that asks for it starts it; it ends with the process.
   */
  static async shared(kind: EngineKind): Promise<SharedEngine> {
    // Test files that run at once know of each other only through files.
    const dir = `${tmpdir()}/ferry-${kind.name}-of-${Deno.pid}`;
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    using lock = await Deno.open(`${dir}/lock`, { create: true, write: true });
    await lock.lock(true);
    return await Engine.#madeOnce(kind, dir);
  }

  /**
   * An engine that nobody else uses until it is given back by disposal; later tests of this process use it again. All of
   * its daemons run, even if an earlier test has killed some.
   */
  static async borrowed(kind: EngineKind): Promise<BorrowedEngine> {
    for (let number = 1;; number++) {
      const dir = `${tmpdir()}/ferry-${kind.name}-${number}-of-${Deno.pid}`;
      const taken = `${dir}/taken`;
      await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
      try {
        await Deno.mkdir(taken);
      } catch (error) {
        if (error instanceof Deno.errors.AlreadyExists) continue;
        throw error;
      }
      const engine = await Engine.#madeOnce(kind, dir);
      await engine.restart();
      const { endpoint, dir: own } = engine;
      return { endpoint, dir: own, [Symbol.asyncDispose]: () => Deno.remove(taken) };
    }
  }

  /** The engine in a directory that nobody else looks into meanwhile; it is made if there is none. */
  static async #madeOnce(kind: EngineKind, dir: string): Promise<Engine> {
    const path = `${dir}/description`;
    const written = await Deno.readTextFile(path).catch(() => undefined);
    if (written !== undefined) return new Engine(kind, JSON.parse(written));
    const engine = await Engine.#make(kind, dir);
    await Deno.writeTextFile(path, JSON.stringify(engine.#description), { mode: 0o600 });
    return engine;
  }

  static async #make(kind: EngineKind, parent: string): Promise<Engine> {
    await keep(parent);
    for (let attempt = 1;; attempt++) {
      const dir = `${parent}/${attempt}`;
      await Deno.mkdir(dir);
      const port = freePorts(kind.ports);
      const key: Credentials = {
        accessKeyId: kind.accessKeyId ?? randomText(20).toUpperCase(),
        secretAccessKey: randomText(40),
      };
      const launch = (daemon: Daemon) => launched(dir, daemon);
      try {
        const daemons = await kind.make({ dir, port, ...key, launch });
        const engine = new Engine(kind, { dir, port, ...key, daemons });
        await engine.restart();
        return engine;
      } catch (error) {
        if (attempt < ATTEMPTS) continue;
        await remove(parent);
        throw error;
      }
    }
  }

  /** Its directory, in which its files and its logs are. */
  get dir(): string {
    return this.#description.dir;
  }

  async bucket(): Promise<string> {
    const name = `bucket-${randomText(12)}`;
    const client = new AwsClient({ ...this.#description, service: "s3", region: this.region });
    const response = await client.fetch(`${this.endpoint}/${name}`, { method: "PUT" });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${this.#kind.name} made no bucket: ${answer}`);
    return name;
  }

  /**
   * Kills daemons with SIGKILL, and waits for their ends. Default: the one that speaks S3. What others have not written
   * to the disk is lost.
   */
  async kill(...names: readonly string[]): Promise<void> {
    const killed = names.length === 0 ? [this.#kind.gateway] : names;
    await allEnded(await Promise.all(killed.map((name) => killDaemon(this.dir, name))));
  }

  /** Starts the daemons that do not run, and waits until all work. */
  async restart(): Promise<void> {
    const { dir, daemons } = this.#description;
    for (const daemon of daemons) await launched(dir, daemon);
    const deadline = Date.now() + START_MS;
    while (!await this.#works()) {
      const dead = Date.now() > deadline ? "nothing" : await this.#dead();
      if (dead !== undefined) {
        throw new Error(`${this.#kind.name} does not work: ${await lastLine(dir, dead)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #works(): Promise<boolean> {
    const { port } = this.#description;
    try {
      for (let at = port; at < port + this.#kind.answering; at++) {
        await (await fetch(`http://127.0.0.1:${at}/`)).body?.cancel();
      }
      return true;
    } catch {
      return false;
    }
  }

  /** The name of a daemon that has ended; undefined where all run. */
  async #dead(): Promise<string | undefined> {
    for (const { name } of this.#description.daemons) {
      if (await pidOf(this.dir, name) === undefined) return name;
    }
    return undefined;
  }

  /** Kills all of it and removes its directory. */
  async stop(): Promise<void> {
    await remove(this.dir.replace(/\/\d+$/, ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Runs a command to its end. */
export async function runTool(command: string, ...args: string[]): Promise<string> {
  const options = { args, stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const { success, stdout, stderr } = await new Deno.Command(command, options).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout);
}

/** Runs a shell script; `$1` and so on are its arguments. */
function shell(script: string, ...args: string[]): Promise<string> {
  return runTool("sh", "-c", script, "sh", ...args);
}

/**
 * The process of a daemon is identified by its pid file, and by its command line, because another process may have got
 * the pid.
 */
const PID_OF = `pid_of() {
  pid=$(cat "$1" 2>/dev/null) && tr '\\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$dir/" && echo "$pid"
}`;

/** Starts a daemon of the engine in a directory, if it does not run; it outlives the test that starts it. */
async function launched(dir: string, { name, command }: Daemon): Promise<void> {
  const script = `dir=$1 name=$2; shift 2; ${PID_OF}
    pid_of "$dir/$name.pid" >/dev/null && exit
    setsid "$@" </dev/null >>"$dir/$name.log" 2>&1 &
    echo $! >"$dir/$name.pid"`;
  await shell(script, dir, name, ...command);
}

/** The process of a daemon; undefined where it does not run. */
async function pidOf(dir: string, name: string): Promise<number | undefined> {
  const pid = await shell(`dir=$1; ${PID_OF}; pid_of "$1/$2.pid" || true`, dir, name);
  return pid === "" ? undefined : Number(pid);
}

async function killDaemon(dir: string, name: string): Promise<number> {
  const pid = await pidOf(dir, name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  Deno.kill(pid, "SIGKILL");
  return pid;
}

/** Ends what runs in the directories below `$1`, and removes that. */
const REMOVE = `${PID_OF}
  for file in "$1"/*/*.pid; do
    dir=$(dirname "$file")
    kill -KILL $(pid_of "$file") 2>/dev/null
  done
  # What a daemon was writing when it was killed may appear meanwhile.
  until rm -rf "$1" 2>/dev/null; do sleep 0.1; done`;

async function remove(parent: string): Promise<void> {
  await shell(REMOVE, parent);
}

/** Has a directory of engines removed when this process has ended; a zombie has no command line any more. */
async function keep(parent: string): Promise<void> {
  const wait = `while [ -d "$1" ] && grep -q . "/proc/$2/cmdline" 2>/dev/null; do sleep 0.5; done`;
  const script = `setsid sh -c "$3" sh "$1" "$2" </dev/null >/dev/null 2>&1 &`;
  await shell(script, parent, String(Deno.pid), `${wait}\n${REMOVE}`);
}

async function lastLine(dir: string, name: string): Promise<string> {
  const log = await Deno.readTextFile(`${dir}/${name}.log`).catch(() => "");
  return `${name}: ${log.trim().split("\n").at(-1)}`;
}

/** Random hexadecimal digits. */
function randomText(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length / 2));
  return encodeHex(bytes);
}
