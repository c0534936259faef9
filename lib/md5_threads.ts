/**
 * Threads that compute md5 beside the one that moves the bytes: of a large transfer, md5 is the largest part of
 * the work, and it cannot be split, but it can be done while the next bytes are read.
 *
 * A thread keeps nothing between two pieces: it is given the state and the bytes, in memory that both see, and
 * gives the state back. So any thread serves any digest, and whoever finds none free does the work itself.
 *
 * @module
 */

/** What a thread is asked: to go on from a state (see `Md5.state`) over whole blocks. */
interface Piece {
  state: Uint32Array;
  blocks: Uint8Array<SharedArrayBuffer>;
}

/** What a thread is told first. */
interface Setup {
  module: WebAssembly.Module;
  /** Where the module wants the blocks, in bytes from the start of its memory. */
  input: number;
  /** How many bytes of them it takes at once. */
  inputBytes: number;
}

/**
 * What a thread runs: it takes a {@linkcode Setup}, then one {@linkcode Piece} after another, and answers each
 * with a state, or null where it cannot. As text it needs neither a file nor permission to read one, and no
 * bundler can change what it means.
 */
const WORK = `
let digest;
const answers = ({ module, input, inputBytes, state, blocks }) => {
  if (!module) return digest(state, blocks);
  const { memory, compress } = new WebAssembly.Instance(module).exports;
  const bytes = new Uint8Array(memory.buffer);
  const words = new Uint32Array(memory.buffer, 0, 4);
  digest = (state, blocks) => {
    words.set(state);
    for (let from = 0; from < blocks.length; from += inputBytes) {
      const part = blocks.subarray(from, from + inputBytes);
      bytes.set(part, input);
      compress(input, input + part.length);
    }
    return words.slice();
  };
  return words.slice();
};
self.onmessage = ({ data }) => {
  try {
    self.postMessage(answers(data));
  } catch {
    self.postMessage(null);
  }
};
`;

/** A thread that digests one piece at a time. */
export class Md5Thread implements Disposable {
  readonly #worker: Worker;
  /** Who waits for the answer to what the thread is doing. */
  #waiting: PromiseWithResolvers<Uint32Array> | undefined;
  readonly #end = Promise.withResolvers<void>();
  #failed = false;

  /** Starts a thread, which is busy until it is ready. */
  constructor(setup: Setup) {
    this.#worker = new Worker(`data:text/javascript,${encodeURIComponent(WORK)}`, {
      type: "module",
      name: "md5",
    });
    // Where threads cannot be had everything goes on without them.
    this.#worker.onmessage = ({ data }) => {
      if (data) this.#answer(({ resolve }) => resolve(data));
      else this.#fail();
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail();
    };
    this.#ask(setup).catch(() => {});
  }

  /** Resolves when it has ended or failed. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Whether it can be asked now. */
  get idle(): boolean {
    return !this.#waiting && !this.#failed;
  }

  /**
   * The state behind whole blocks, which must stay as they are meanwhile.
   *
   * @param state the words A, B, C and D before them
   * @throws where the thread has failed
   */
  compress(state: Uint32Array, blocks: Uint8Array<SharedArrayBuffer>): Promise<Uint32Array> {
    return this.#ask({ state, blocks });
  }

  /** Ends the thread; what it was doing fails. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.#fail();
  }

  #ask(message: Setup | Piece): Promise<Uint32Array> {
    if (this.#failed) return Promise.reject(new Error("the thread has ended"));
    this.#waiting = Promise.withResolvers();
    this.#worker.postMessage(message);
    return this.#waiting.promise;
  }

  #answer(settle: (waiting: PromiseWithResolvers<Uint32Array>) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) settle(waiting);
  }

  #fail(): void {
    this.#failed = true;
    this.#end.resolve();
    this.#answer(({ reject }) => reject(new Error("the thread ended")));
  }
}

/** More threads than this would wait for the one that moves the bytes. */
const MAX_THREADS = 4;

/** The threads of this process: as many as are of use while somebody needs them, then none. */
export class Md5Threads {
  readonly #most: number;
  readonly #start: () => Md5Thread;
  readonly #threads: Md5Thread[] = [];
  #leases = 0;

  /** Threads beside the one that this runs in, at most one for each other processor. */
  constructor(start: () => Md5Thread, most = navigator.hardwareConcurrency - 1) {
    this.#start = start;
    this.#most = Math.min(most, MAX_THREADS);
  }

  /** Announces much to be digested. Threads exist until all that was announced is disposed of. */
  lease(): Disposable {
    this.#leases++;
    if (this.#threads.length < Math.min(this.#leases, this.#most)) {
      this.#threads.push(this.#start());
    }
    return {
      [Symbol.dispose]: () => {
        if (--this.#leases > 0) return;
        for (const thread of this.#threads.splice(0)) thread[Symbol.dispose]();
      },
    };
  }

  /** How many there are. */
  get size(): number {
    return this.#threads.length;
  }

  /** A thread that has nothing to do. */
  get idle(): Md5Thread | undefined {
    return this.#threads.find((thread) => thread.idle);
  }
}
