/**
 * A `ferryd` that clients reach through proxies, so that their connections can be cut and the process replaced.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { FaultyPeer, randomNumbers } from "../support/faulty_peer.ts";
import { Ferryd, filesBelow } from "../support/programs.ts";
import type { Tally } from "./tally.ts";

/** How long a process serves before it is replaced, in milliseconds: at least, and how much longer at most. */
const SERVES_MS = { least: 3000, more: 12_000 };

/** What a client is connected through. */
export interface Gate {
  /** The proxy for ferry's protocol. */
  readonly ferry: FaultyPeer;
  /** The proxy for HTTP. */
  readonly http: FaultyPeer;
  /** Cuts the connections of this client. */
  cut(): void;
}

/** A server over a directory. */
export class SoakedServer implements AsyncDisposable {
  /** The directory. */
  readonly root: string;
  readonly #tally: Tally;
  readonly #gates: Gate[] = [];
  #process!: Ferryd;

  private constructor(root: string, tally: Tally) {
    this.root = root;
    this.#tally = tally;
  }

  /** Starts a server over an empty directory. */
  static async start(root: string, tally: Tally): Promise<SoakedServer> {
    const server = new SoakedServer(root, tally);
    Deno.mkdirSync(root);
    await server.#start();
    return server;
  }

  async #start(): Promise<void> {
    const http = ["--http", "127.0.0.1:0"];
    this.#process = await Ferryd.start(this.root, [...http, "--allow-exec", "echo"]);
    for (const gate of this.#gates) {
      gate.ferry.retarget(this.#process.port);
      gate.http.retarget(this.#process.portOf("http"));
    }
  }

  /** The process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** A way to the server for one more client. */
  gate(): Gate {
    const ferry = FaultyPeer.start(this.#process.port);
    const http = FaultyPeer.start(this.#process.portOf("http"));
    const cut = () => {
      ferry.retarget(this.#process.port);
      http.retarget(this.#process.portOf("http"));
    };
    const gate = { ferry, http, cut };
    this.#gates.push(gate);
    return gate;
  }

  /** Replaces the process again and again, by SIGTERM or SIGKILL, until the signal is aborted. */
  async keepReplacing(seed: number, stop: AbortSignal): Promise<void> {
    const random = randomNumbers(seed);
    for (;;) {
      await delay(SERVES_MS.least + random(SERVES_MS.more), { signal: stop }).catch(() => {});
      if (stop.aborted) return;
      const signal = random(2) ? "SIGTERM" : "SIGKILL";
      await this.#end(signal);
      this.#tally.count(`restarts, ${signal}`);
      await this.#start();
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { code, stderr } = await this.#process.stop(signal);
    const { problems } = this.#tally;
    if (signal === "SIGTERM" && code !== 0) problems.push(`ferryd ended with ${code}`);
    problems.push(...stderr.split("\n").filter((line) => /\b(ERR|ERROR|FTL|FATAL)\b/.test(line)));
  }

  /** Ends the process, and reports what is left of uploads, which must be nothing. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    for (const path of filesBelow(`${this.root}/.ferry/staging`)) {
      this.#tally.problems.push(`left in the staging area: ${path}`);
    }
  }

  /** Kills the process, and closes the ways to it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    for (const { ferry, http } of this.#gates) {
      await ferry[Symbol.asyncDispose]();
      await http[Symbol.asyncDispose]();
    }
  }
}
