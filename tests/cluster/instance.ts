/**
 * One of several servers, which is killed and started again at the same address.
 *
 * @module
 */

import { freePorts } from "../support/free_ports.ts";
import { Ferryd } from "../support/programs.ts";

/** What all instances have in common. */
export interface InstanceOptions {
  /** What they serve. */
  readonly root: string;
  /** Further arguments. */
  readonly args: readonly string[];
  /** Further variables of the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** A server at an address that stays the same. */
export class Instance implements AsyncDisposable {
  /** Its name. */
  readonly name: string;
  /** Its port. */
  readonly port = freePorts(1);
  readonly #options: InstanceOptions;
  #running: Ferryd | undefined;
  /** What it has logged, without the last run if that goes on. */
  log = "";

  /** An instance that does not run yet. */
  constructor(name: string, options: InstanceOptions) {
    this.name = name;
    this.#options = options;
  }

  /** Whether it runs. */
  get runs(): boolean {
    return this.#running !== undefined;
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    const { root, args, env } = this.#options;
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    this.#running = await Ferryd.start(root, [...listen, ...args], { env });
  }

  /** Ends it, with SIGTERM as a restart does or with SIGKILL as a failure, and waits for the end. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number> {
    const running = this.#running;
    if (!running) throw new Error(`${this.name} does not run`);
    this.#running = undefined;
    const { code, stderr } = await running.stop(signal);
    this.log += stderr;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.runs) await this.end("SIGKILL");
  }
}
