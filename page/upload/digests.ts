/// <reference lib="dom" />
/**
 * MD5 digests of files, which workers compute.
 *
 * @module
 */

import { UploadFailure } from "./failure.ts";
import type { Ask, Told } from "./md5_worker.ts";

/** The digest of one file, which goes forward through the file. */
export interface FileDigest {
  /**
   * The MD5 of the first bytes in hexadecimal.
   *
   * @throws {UploadFailure} `unreadable` if the file cannot be read, or was changed since it was chosen
   */
  at(offset: number): Promise<string>;
  /** Has the first bytes digested, so that a later answer takes less long. */
  advance(offset: number): void;
  /** Ends the work on it. */
  end(): void;
}

/** A worker, as far as it is needed here. */
export interface DigestWorker {
  postMessage(ask: Ask): void;
  onmessage: ((event: MessageEvent<Told>) => void) | null;
}

interface Waiting {
  resolve(md5: string): void;
  reject(error: UploadFailure): void;
}

/** Starts digests. */
export class Digests {
  readonly #workers: DigestWorker[] = [];
  readonly #start: () => DigestWorker;
  readonly #most: number;
  readonly #waiting = new Map<number, Waiting[]>();
  #jobs = 0;

  /**
   * @param start starts a worker
   * @param most the number of workers at most
   */
  constructor(start: () => DigestWorker, most: number) {
    this.#start = start;
    this.#most = most;
  }

  /** Begins with a file. */
  of(blob: Blob): FileDigest {
    const job = this.#jobs++;
    const worker = this.#worker(job);
    const waiting: Waiting[] = [];
    this.#waiting.set(job, waiting);
    worker.postMessage({ job, blob });
    const known = new Map<number, Promise<string>>();
    let furthest = 0;
    const at = (to: number) => {
      const before = known.get(to);
      if (before) return before;
      furthest = Math.max(furthest, to);
      const answer = new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }));
      // It may be asked for long before it is awaited.
      answer.catch(() => {});
      known.set(to, answer);
      worker.postMessage({ job, to });
      return answer;
    };
    return {
      at,
      advance: (to) => {
        if (to > furthest) at(to);
      },
      end: () => {
        this.#waiting.delete(job);
        worker.postMessage({ job, end: true });
      },
    };
  }

  #worker(job: number): DigestWorker {
    const at = job % this.#most;
    const running = this.#workers[at];
    if (running) return running;
    const worker = this.#start();
    worker.onmessage = ({ data }) => this.#told(data);
    this.#workers[at] = worker;
    return worker;
  }

  #told(told: Told): void {
    const waiting = this.#waiting.get(told.job);
    if (waiting === undefined) return;
    if ("unreadable" in told) {
      const failure = new UploadFailure("unreadable", { title: told.unreadable });
      for (const { reject } of waiting.splice(0)) reject(failure);
      return;
    }
    // The worker answers in the order of the questions.
    waiting.shift()?.resolve(told.md5);
  }
}
