/**
 * A thread that computes md5 beside the one that moves the bytes: of a large transfer, md5 is the largest part of
 * the work. It cannot be split, but it can be done while the next bytes are moved.
 *
 * The memory with the bytes goes to the thread and comes back, so that nothing is copied on the way: memory that
 * two threads see at once is several times as slow to copy from.
 *
 * @module
 */

/** What a thread is asked: to digest whole blocks. */
interface Task {
  bytes: Uint8Array<ArrayBuffer>;
  /** The state to go on from (see `Md5.state`); without it, that behind the last task. */
  state: Uint32Array | undefined;
}

/** What a thread answers. */
export interface Digested {
  /** The bytes, in the memory that they came in. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The words A, B, C and D behind them. */
  state: Uint32Array;
}

/** What a thread is told first. */
export interface Setup {
  /** The function `compress` and its memory. */
  module: WebAssembly.Module;
  /** Where the module wants the blocks, in bytes from the start of its memory. */
  input: number;
  /** How many bytes of them it takes at once. */
  inputBytes: number;
}

/**
 * What a thread runs: it takes a {@linkcode Setup}, then one {@linkcode Task} after another, and answers each, or
 * says null where it cannot. As text it needs neither a file nor permission to read one, and no bundler can
 * change what it means.
 */
const WORK = `
let digest;
const start = ({ module, input, inputBytes }) => {
  const { memory, compress } = new WebAssembly.Instance(module).exports;
  const space = new Uint8Array(memory.buffer);
  const words = new Uint32Array(memory.buffer, 0, 4);
  digest = ({ bytes, state }) => {
    if (state) words.set(state);
    for (let from = 0; from < bytes.length; from += inputBytes) {
      const part = bytes.subarray(from, from + inputBytes);
      space.set(part, input);
      compress(input, input + part.length);
    }
    self.postMessage({ bytes, state: words.slice() }, [bytes.buffer]);
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

/** A thread for one digest. */
export class Md5Thread implements Disposable {
  readonly #worker: Worker;
  readonly #waiting: PromiseWithResolvers<Digested>[] = [];
  readonly #started = Promise.withResolvers<boolean>();
  #state: "starting" | "ready" | "ended" = "starting";
  readonly #onEnd: () => void;

  /** Starts a thread. */
  constructor(setup: Setup, onEnd: () => void = () => {}) {
    this.#onEnd = onEnd;
    this.#worker = new Worker(`data:text/javascript,${encodeURIComponent(WORK)}`, {
      type: "module",
      name: "md5",
    });
    this.#worker.onmessage = ({ data }) => {
      if (data === null) this.#end();
      else if (this.#state === "starting") this.#becomeReady();
      else this.#waiting.shift()?.resolve(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end();
    };
    this.#worker.postMessage(setup);
  }

  /** Whether it can be asked now. Where threads cannot be had it never can. */
  get ready(): boolean {
    return this.#state === "ready";
  }

  /** Resolves when it is known whether it can ever be asked. */
  get started(): Promise<boolean> {
    return this.#started.promise;
  }

  /**
   * Digests whole blocks behind those of the last call, or behind `state`. Calls may follow each other without
   * waiting. The bytes are the thread's until this resolves, and out of reach meanwhile.
   *
   * @throws where the thread has ended; the bytes are lost
   */
  digest(bytes: Uint8Array<ArrayBuffer>, state?: Uint32Array): Promise<Digested> {
    const waiting = Promise.withResolvers<Digested>();
    if (this.#state === "ended") waiting.reject(new Error(ENDED));
    else {
      this.#waiting.push(waiting);
      const task: Task = { bytes, state };
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

  /** Ends the thread; what it was doing fails. */
  [Symbol.dispose](): void {
    this.#end();
  }
}

const ENDED = "the thread that computes md5 has ended";

/** More threads than this would wait for the one that moves the bytes. */
const MAX_THREADS = 4;

/** The threads of this process. */
export class Md5Threads {
  readonly #most: number;
  #count = 0;
  /** What the threads are told first. */
  readonly setup: () => Setup;

  /** Threads beside the one that this runs in, at most one for each other processor. */
  constructor(setup: () => Setup, most: number = navigator.hardwareConcurrency - 1) {
    this.setup = setup;
    this.#most = Math.min(most, MAX_THREADS);
  }

  /** How many there are. */
  get size(): number {
    return this.#count;
  }

  /** Starts a thread, which ends when it is disposed of; undefined where there are enough. */
  start(): Md5Thread | undefined {
    if (this.#count >= this.#most) return undefined;
    const thread = new Md5Thread(this.setup(), () => this.#count--);
    this.#count++;
    return thread;
  }
}
