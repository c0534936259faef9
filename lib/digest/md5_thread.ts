/**
 * Threads that compute MD5 while the main thread transfers the next bytes. MD5 is the largest part of the work of a
 * large transfer. It cannot be split, but it can be done in parallel to the rest. Several digests share a thread.
 *
 * The memory with the bytes is transferred to the thread and back, so that nothing is copied: copying from memory that
 * two threads share takes several times as long.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { INPUT_BYTES, INPUT_OFFSET, md5Module } from "./md5_module.ts";

/** A request to a thread: to digest whole blocks. */
interface Task {
  /** Which digest they belong to. */
  digest: number;
  bytes: Uint8Array<ArrayBuffer>;
  /** The words A, B, C and D to start from; undefined for those after the last task of that digest. */
  words: Uint32Array | undefined;
}

/** The answer of a thread. */
export interface DigestedBlocks {
  /** The bytes, in their original memory. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The words A, B, C and D after them. */
  words: Uint32Array;
}

/**
 * The program of a thread. Its first message contains the compiled module, and each further one is a {@linkcode Task},
 * or the number of a digest that is over. It answers each task, with null if it fails. Since the program is a string, it
 * needs neither a file nor permission to read one, and no bundler can change it.
 */
const PROGRAM = `
let digest;
const states = new Map();
const start = ({ module, inputOffset, inputBytes }) => {
  const { memory, compress } = new WebAssembly.Instance(module).exports;
  const space = new Uint8Array(memory.buffer);
  const state = new Uint32Array(memory.buffer, 0, 4);
  digest = ({ digest, bytes, words }) => {
    state.set(words ?? states.get(digest));
    for (let from = 0; from < bytes.length; from += inputBytes) {
      const part = bytes.subarray(from, from + inputBytes);
      space.set(part, inputOffset);
      compress(inputOffset, inputOffset + part.length);
    }
    const after = state.slice();
    states.set(digest, after);
    self.postMessage({ bytes, words: after }, [bytes.buffer]);
  };
  self.postMessage({});
};
self.onmessage = ({ data }) => {
  try {
    if (typeof data === "number") states.delete(data);
    else if (data.module) start(data);
    else digest(data);
  } catch {
    self.postMessage(null);
  }
};
`;

/** A thread, which answers tasks in their order. */
class Md5Worker {
  readonly #worker: Worker;
  readonly #onEnd: () => void;
  readonly #waiting: PromiseWithResolvers<DigestedBlocks>[] = [];
  readonly #started = Promise.withResolvers<boolean>();
  #state: "starting" | "ready" | "ended" = "starting";
  readonly #digests = new Set<number>();
  #last = 0;

  constructor(module: WebAssembly.Module, onEnd: () => void) {
    this.#onEnd = onEnd;
    const worker = this.#worker = new Worker(
      `data:text/javascript,${encodeURIComponent(PROGRAM)}`,
      { type: "module", name: "md5" },
    );
    worker.onmessage = ({ data }) => {
      if (data === null) this.end();
      else if (this.#state === "starting") {
        this.#state = "ready";
        this.#started.resolve(true);
      } else this.#waiting.shift()?.resolve(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.end();
    };
    worker.postMessage({ module, inputOffset: INPUT_OFFSET, inputBytes: INPUT_BYTES });
  }

  /** How many digests use it. */
  get digests(): number {
    return this.#digests.size;
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get started(): Promise<boolean> {
    return this.#started.promise;
  }

  /** Begins a digest, and returns its number. */
  begin(): number {
    this.#digests.add(++this.#last);
    return this.#last;
  }

  digest(task: Task): Promise<DigestedBlocks> {
    const waiting = Promise.withResolvers<DigestedBlocks>();
    if (this.#state === "ended") waiting.reject(ended());
    else {
      this.#worker.postMessage(task, [task.bytes.buffer]);
      this.#waiting.push(waiting);
    }
    return waiting.promise;
  }

  /** Forgets a digest; ends with the last one. */
  finish(digest: number): void {
    if (!this.#digests.delete(digest)) return;
    if (this.#digests.size === 0) this.end();
    else this.#worker.postMessage(digest);
  }

  end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#worker.terminate();
    this.#started.resolve(false);
    for (const { reject } of this.#waiting.splice(0)) reject(ended());
    this.#onEnd();
  }
}

/** Options of {@linkcode Md5Thread.start}. */
export interface Md5ThreadOptions {
  /** The compression function. Default: {@linkcode md5Module}. */
  module?: WebAssembly.Module;
  /** Called once when the thread has ended. */
  onEnd?: () => void;
}

/** The use of a thread for one digest. */
export class Md5Thread implements Disposable {
  readonly #worker: Md5Worker;
  readonly #digest: number;
  #ended = false;

  /** @param worker what it is to use */
  private constructor(worker: Md5Worker) {
    this.#worker = worker;
    this.#digest = worker.begin();
  }

  /** Starts a thread for one digest. Disposal ends it. */
  static start({ module = md5Module(), onEnd = () => {} }: Md5ThreadOptions = {}): Md5Thread {
    return new Md5Thread(new Md5Worker(module, onEnd));
  }

  /** Shares a thread with other digests. */
  static on(worker: Md5Worker): Md5Thread {
    return new Md5Thread(worker);
  }

  /** Whether it accepts bytes now. It never does if the system cannot start it. */
  get ready(): boolean {
    return this.#worker.ready && !this.#ended;
  }

  /** Resolves to true when it has started, or to false if it could not be started. */
  get started(): Promise<boolean> {
    return this.#worker.started;
  }

  /**
   * Digests whole blocks, continuing after those of the last call, or from the state `words`. Calls may follow each
   * other without waiting. The memory of the bytes belongs to the thread until this resolves: meanwhile the array is
   * empty.
   *
   * @throws {FerryError} `closed` if the thread has ended; the bytes are lost
   */
  async digest(bytes: Uint8Array<ArrayBuffer>, words?: Uint32Array): Promise<DigestedBlocks> {
    if (this.#ended) throw ended();
    const digested = await this.#worker.digest({ digest: this.#digest, bytes, words });
    if (this.#ended) throw ended();
    return digested;
  }

  /** Ends the use of the thread, and the thread if nothing else uses it. The bytes that it was digesting are lost. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#worker.finish(this.#digest);
  }
}

/** The error of a digest whose thread has ended: its transfer may be repeated. */
function ended(): FerryError {
  return new FerryError("closed", "the thread that computes md5 has ended");
}

/** The maximum number of threads: more would only wait for the main thread, which transfers the bytes. */
const MAX_THREADS = 4;

/** The size in bytes of the smallest content that a thread digests, unless threads are to be used for smaller ones. */
export const THREAD_BYTES: number = 512 * 1024 * 1024;

/** Options of {@linkcode Md5Threads}. */
export interface Md5ThreadsOptions {
  /** The most threads. Default: one for each other processor, at most 4. */
  limit?: number | undefined;
  /** The size in bytes from which on a content is digested by a thread. Default: 536870912 (512 MiB). */
  least?: number | undefined;
}

/** The threads of a runtime: a limited number, which all of its digests share. */
export class Md5Threads {
  readonly #limit: number;
  readonly #workers = new Set<Md5Worker>();
  /** The size in bytes from which on a content is digested by a thread. */
  readonly least: number;

  /** Nothing is started yet. */
  constructor({ limit, least = THREAD_BYTES }: Md5ThreadsOptions = {}) {
    this.#limit = limit ?? Math.min(navigator.hardwareConcurrency - 1, MAX_THREADS);
    this.least = least;
  }

  /** The number of running threads. */
  get size(): number {
    return this.#workers.size;
  }

  /** Whether as many run as there may be, so that the next use shares one of them. */
  get allRun(): boolean {
    return this.#workers.size >= this.#limit;
  }

  /**
   * Uses a thread, until the result is disposed of: one that is started, or the one with the fewest digests if there are
   * as many as there may be. Undefined if there may be none.
   */
  start(): Md5Thread | undefined {
    if (this.#limit === 0) return undefined;
    if (this.allRun) {
      const [first, ...others] = this.#workers;
      return Md5Thread.on(others.reduce((a, b) => b.digests < a.digests ? b : a, first!));
    }
    const worker: Md5Worker = new Md5Worker(md5Module(), () => this.#workers.delete(worker));
    this.#workers.add(worker);
    return Md5Thread.on(worker);
  }
}
