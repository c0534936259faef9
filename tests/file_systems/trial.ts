/**
 * The real programs on one file system, with assertions.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { ferry, Ferryd, type Outcome, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import type { FileSystem, Mounted } from "./mounted.ts";
import { MIB } from "../support/bytes.ts";

/** The size of a file that is cut and resumed. */
export const LARGE = 20 * MIB;

/** After how many bytes it is cut. */
export const CUT_AT = 14 * MIB;

/** How long it may take until half of that is on the file system, in milliseconds. */
const RECORD_MS = 120_000;

/** The cell of a check that cannot be made. */
export const NONE = "–";

/** The warnings of ferryd at its start, and the words for them in the table. */
export const SAID: readonly (readonly [sentence: string, word: string])[] = [
  ["directories cannot be held open here", "held"],
  ["names may be lost here when the power fails", "power"],
  ["a file that is replaced here may be missing for a moment", "gap"],
  ["permission bits are not kept here", "modes"],
  ["modification times are", "times"],
];

/** A check that does not hold. */
export class Failed extends Error {}

/** An event of `ferry --json`. */
export interface Event {
  event: string;
  op?: string;
  filename?: string;
  code?: string;
  message?: string;
  md5?: string | null;
  skipped?: boolean;
  resumed_from?: number;
  received?: number;
  total_size?: number;
  type?: string;
  files?: number;
}

/** The result of `ferry --json`. */
export interface Answer {
  /** The exit status. */
  code: number;
  events: Event[];
  /** Its errors and other output, for people. */
  said: string;
}

/** The file system under test, and its server. */
export class Trial implements AsyncDisposable {
  readonly system: FileSystem;
  readonly mounted: Mounted;
  readonly signal: AbortSignal;
  /** A directory on another file system, for files to upload. */
  readonly #local = new TempDir();
  #server: Ferryd | undefined;
  /** The warnings of ferryd at its start about this file system, in the words of {@linkcode SAID}. */
  said: readonly string[] = [];
  /** Whether ferryd refuses to serve it. */
  refused = false;
  /** The acknowledged files that must exist: contents by name on the server. */
  readonly stored = new Map<string, Uint8Array>();

  constructor(
    system: FileSystem,
    { mounted, signal }: { mounted: Mounted; signal: AbortSignal },
  ) {
    this.system = system;
    this.mounted = mounted;
    this.signal = signal;
    if (system.readOnly) return;
    for (const path of [this.root, this.here]) Deno.mkdirSync(path, { recursive: true });
  }

  /** The directory that ferryd serves. */
  get root(): string {
    return `${this.mounted.path}/root`;
  }

  /** The directory for downloads: on the same file system, if that is writable. */
  get here(): string {
    return this.system.readOnly ? this.#local.path : `${this.mounted.path}/here`;
  }

  /** The directory for uploads: on the disk of the temporary files. */
  get local(): string {
    return this.#local.path;
  }

  get server(): Ferryd {
    if (!this.#server) throw new Failed("ferryd does not run");
    return this.#server;
  }

  /** Starts ferryd. */
  async start(): Promise<void> {
    this.#server = await Ferryd.start(this.root);
  }

  /** Stops ferryd, and returns its standard error. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<string> {
    const server = this.#server;
    if (!server) return "";
    this.#server = undefined;
    const { code, stderr } = await server.stop(signal);
    if (signal === "SIGTERM") this.hold(code === 0, `ferryd ended with ${code}`);
    return stderr;
  }

  /** Fails the check where a condition does not hold. */
  hold(holds: boolean, what: string): asserts holds {
    this.signal.throwIfAborted();
    if (!holds) throw new Failed(what.replaceAll(this.mounted.path, "").replaceAll(/\s+/g, " "));
  }

  /** Fails the check where the file system keeps less than ferryd has promised. */
  holdSaid(word: string): void {
    this.hold(this.said.includes(word), `ferryd did not say "${word}" at its start`);
  }

  /** Writes a file to upload, and returns its content. */
  write(name: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const path = `${this.local}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, bytes);
    return bytes;
  }

  /** Runs ferry: it uploads from the disk and downloads to the file system. */
  async run(args: string[], { server = this.server.address } = {}): Promise<Outcome> {
    this.signal.throwIfAborted();
    const cwd = args[0] === "get" ? this.here : this.local;
    return await ferry(args, { cwd, server });
  }

  /** Runs ferry, which must succeed, and returns its events. */
  async succeed(...args: string[]): Promise<Event[]> {
    const { code, events, said } = await this.try(...args);
    this.hold(code === 0, `ferry ${args.join(" ")}: ${said}`);
    return events;
  }

  /** Runs ferry and returns its exit status, its events and its errors. */
  async try(...args: string[]): Promise<Answer> {
    return await this.tryWith(this.server.address, ...args);
  }

  /** The same with another server. */
  async tryWith(server: string, ...args: string[]): Promise<Answer> {
    const { code, stdout, stderr } = await this.run([...args, "--json"], { server });
    const events = stdout.split("\n").filter((line) => line !== "").map((line) =>
      JSON.parse(line) as Event
    );
    const messages = events.filter(({ message }) => message).map(({ code, message }) =>
      `${code}: ${message}`
    );
    const said = [...messages, stderr.trim(), `exit status ${code}`].filter((text) => text !== "")
      .join("; ");
    return { code, events, said };
  }

  /** Uploads standard input. */
  async pipe(bytes: Uint8Array<ArrayBuffer>, ...args: string[]): Promise<Outcome> {
    const child = spawnFerry(["put", "-", ...args], {
      server: this.server.address,
      stdin: "piped",
    });
    // A client whose upload was refused does not read its input to the end.
    await ReadableStream.from([bytes]).pipeTo(child.stdin).catch(() => {});
    return await outcome(child);
  }

  /** Asserts that a file below the root has the given content, and remembers it for later checks. */
  holdStored(name: string, bytes: Uint8Array): void {
    this.holdFile(`${this.root}/${name}`, bytes);
    const { source } = this.mounted;
    if (source) this.holdFile(`${source}/root/${name}`, bytes);
    this.stored.set(name, bytes);
  }

  /** Asserts that a file has the given content. */
  holdFile(path: string, bytes: Uint8Array): void {
    let found: Uint8Array;
    try {
      found = Deno.readFileSync(path);
    } catch (error) {
      throw new Failed(`${this.#shown(path)} was acknowledged: ${(error as Error).message}`);
    }
    const same = equals(found, bytes);
    const size = found.length === bytes.length ? "other bytes" : `${found.length} bytes`;
    this.hold(same, `${this.#shown(path)} was acknowledged with ${bytes.length} bytes: ${size}`);
  }

  #shown(path: string): string {
    return path.replace(this.mounted.path, "").replace(this.mounted.source ?? "\0", "(source)");
  }

  /** Cuts a transfer after {@linkcode CUT_AT} bytes: by the connection, or by killing one of the programs. */
  async cut(args: string[], how: "connection" | "ferryd" | "ferry"): Promise<void> {
    const reached = Promise.withResolvers<void>();
    await using proxy = FaultyPeer.start(this.server.port, {
      faults: [{
        kind: "stall",
        direction: args[0] === "get" ? "down" : "up",
        at: CUT_AT,
        onReached: reached.resolve,
      }],
    });
    const child = spawnFerry([...args, "--retries", "0"], {
      cwd: args[0] === "get" ? this.here : this.local,
      server: proxy.address,
    });
    const ended = outcome(child);
    await Promise.race([reached.promise, ended]);
    await this.#untilRecorded(args[0] === "get");
    if (how === "ferry") child.kill("SIGKILL");
    if (how === "ferryd") {
      await this.stop("SIGKILL");
      await this.start();
    }
    proxy.retarget(this.server.port);
    const { code } = await ended;
    this.hold(code !== 0, `ferry ${args.join(" ")} ended with 0 though it was cut`);
  }

  /** Waits until a running transfer has recorded enough progress to be resumed. */
  async #untilRecorded(down: boolean): Promise<void> {
    const enough = CUT_AT / 2;
    const isRecorded = async () => {
      if (!down) {
        const uploads = await this.succeed("ls", "--partial");
        return uploads.some(({ received = 0 }) => received >= enough);
      }
      const parts = [...Deno.readDirSync(this.here)].filter(({ name }) => name.endsWith(".part"));
      return parts.some(({ name }) => Deno.statSync(`${this.here}/${name}`).size >= enough);
    };
    const deadline = performance.now() + RECORD_MS;
    while (!await isRecorded()) {
      this.hold(performance.now() < deadline, "what was cut cannot be gone on with");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Stops the server and removes the local files. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server) await this.#server[Symbol.asyncDispose]();
    await this.#local[Symbol.asyncDispose]();
  }
}

/** Incompressible bytes. */
export function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}
