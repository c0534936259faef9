/**
 * A thread that computes MD5 while the main thread transfers the next bytes. MD5 is the largest part of the work of a
 * large transfer. It cannot be split, but it can be done in parallel to the rest.
 *
 * The memory with the bytes is transferred to the thread and back, so that nothing is copied: copying from memory that
 * two threads share takes several times as long.
 *
 * @module
 */

import { INPUT_BYTES, INPUT_OFFSET, md5Module } from "./md5_module.ts";

/** A request to a thread: to digest whole blocks. */
interface Task {
  bytes: Uint8Array<ArrayBuffer>;
  /** The words A, B, C and D to start from; undefined for those after the last task. */
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
 * The program of a thread. Its first message contains the compiled module, and each further one is a {@linkcode Task}.
 * It answers each, with null if it fails. Since the program is a string, it needs neither a file nor permission to read
 * one, and no bundler can change it.
 */
const PROGRAM = `
let digest;
const start = ({ module, inputOffset, inputBytes }) => {
  const { memory, compress } = new WebAssembly.Instance(module).exports;
  const space = new Uint8Array(memory.buffer);
  const state = new Uint32Array(memory.buffer, 0, 4);
  digest = ({ bytes, words }) => {
    if (words) state.set(words);
    for (let from = 0; from < bytes.length; from += inputBytes) {
      const part = bytes.subarray(from, from + inputBytes);
      space.set(part, inputOffset);
      compress(inputOffset, inputOffset + part.length);
    }
    self.postMessage({ bytes, words: state.slice() }, [bytes.buffer]);
  };
  self.postMessage({});
};
self.onmessage = ({ data }) => {
  try {
    if (data.module) start(data);
    else digest(data);
  } catch {
    self.postMessage(null);
  }
};
`;

/** Options of {@linkcode Md5Thread.start}. */
export interface Md5ThreadOptions {
  /** The compression function. Default: {@linkcode md5Module}. */
  module?: WebAssembly.Module;
  /** Called once when the thread has ended. */
  onEnd?: () => void;
}

/** A thread for one digest. */
export class Md5Thread implements Disposable {
  readonly #worker: Worker;
  readonly #waiting: PromiseWithResolvers<DigestedBlocks>[] = [];
  readonly #started = Promise.withResolvers<boolean>();
  #state: "starting" | "ready" | "ended" = "starting";
  readonly #onEnd: () => void;

  private constructor(worker: Worker, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#worker = worker;
    worker.onmessage = ({ data }) => {
      if (data === null) this.#end();
      else if (this.#state === "starting") this.#becomeReady();
      else this.#waiting.shift()?.resolve(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end();
    };
  }

  /** Starts a thread. Disposal ends it. */
  static start({ module = md5Module(), onEnd = () => {} }: Md5ThreadOptions = {}): Md5Thread {
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(PROGRAM)}`, {
      type: "module",
      name: "md5",
    });
    const thread = new Md5Thread(worker, onEnd);
    worker.postMessage({ module, inputOffset: INPUT_OFFSET, inputBytes: INPUT_BYTES });
    return thread;
  }

  /** Whether it accepts bytes now. It never does if the system cannot start it. */
  get ready(): boolean {
    return this.#state === "ready";
  }

  /** Resolves to true when it has started, or to false if it could not be started. */
  get started(): Promise<boolean> {
    return this.#started.promise;
  }

  /**
   * Digests whole blocks, continuing after those of the last call, or from the state `words`. Calls may follow each
   * other without waiting. The memory of the bytes belongs to the thread until this resolves: meanwhile the array is
   * empty.
   *
   * @throws if the thread has ended; the bytes are lost
   */
  digest(bytes: Uint8Array<ArrayBuffer>, words?: Uint32Array): Promise<DigestedBlocks> {
    const waiting = Promise.withResolvers<DigestedBlocks>();
    if (this.#state === "ended") waiting.reject(new Error(ENDED));
    else {
      this.#waiting.push(waiting);
      const task: Task = { bytes, words };
      this.#worker.postMessage(task, [bytes.buffer]);
    }
    return waiting.promise;
  }

  #becomeReady(): void {
    this.#state = "ready";
    this.#started.resolve(true);
  }

  #end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#worker.terminate();
    this.#started.resolve(false);
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(ENDED));
    this.#onEnd();
  }

  /** Ends the thread. The bytes that it was digesting are lost. */
  [Symbol.dispose](): void {
    this.#end();
  }
}

const ENDED = "the thread that computes md5 has ended";

/** The maximum number of threads: more would only wait for the main thread, which transfers the bytes. */
const MAX_THREADS = 4;

/** The default limit of threads of a runtime. */
function defaultLimit(): number {
  return Math.min(navigator.hardwareConcurrency - 1, MAX_THREADS);
}

/** The threads of a runtime: a limited number at a time. */
export class Md5Threads {
  readonly #limit: number;
  #count = 0;

  /** @param limit Default: one for each other processor, at most 4. */
  constructor(limit: number = defaultLimit()) {
    this.#limit = limit;
  }

  /** The number of running threads. */
  get size(): number {
    return this.#count;
  }

  /** Starts a thread, which ends on disposal; undefined if the limit is reached. */
  start(): Md5Thread | undefined {
    if (this.#count >= this.#limit) return undefined;
    const thread = Md5Thread.start({ onEnd: () => this.#count-- });
    this.#count++;
    return thread;
  }
}
