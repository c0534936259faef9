/// <reference lib="dom" />
/**
 * Computes MD5 digests of files in a thread of its own. It answers each {@linkcode Ask} for an offset with a
 * {@linkcode Told}: the digest of the bytes before that offset.
 *
 * @module
 */

import { Md5, Md5Engine } from "../../lib/digest/md5.ts";

/** What the worker is sent. */
export type Ask =
  /** A file, with a number for it. */
  | { readonly job: number; readonly blob: Blob }
  /** The digest of the file's first bytes is wanted. */
  | { readonly job: number; readonly to: number }
  /** Nothing more is wanted of the file. */
  | { readonly job: number; readonly end: true };

/** What the worker sends. */
export type Told =
  | { readonly job: number; readonly to: number; readonly md5: string }
  /** The file cannot be read, or is not what it was when it was chosen. */
  | { readonly job: number; readonly unreadable: string };

/** How much of a file is read at once. */
const READ_BYTES = 4 * 1024 * 1024;

interface Job {
  readonly blob: Blob;
  md5: Md5;
  /** The last work on it: what is asked next waits for that. */
  last: Promise<void>;
  ended: boolean;
}

const engine = new Md5Engine();
const jobs = new Map<number, Job>();

function tell(told: Told): void {
  // The types of a page know `postMessage` of windows only.
  (self as unknown as { postMessage(told: Told): void }).postMessage(told);
}

async function digest(number: number, job: Job, to: number): Promise<void> {
  // Only an upload that is begun anew asks for fewer bytes than before.
  if (job.md5.size > to) job.md5 = new Md5(engine);
  const { blob, md5 } = job;
  const read = (from: number) => blob.slice(from, Math.min(from + READ_BYTES, to)).arrayBuffer();
  try {
    let next = md5.size < to ? read(md5.size) : undefined;
    while (next !== undefined && !job.ended) {
      const bytes = new Uint8Array(await next);
      const after = md5.size + bytes.length;
      // The next part is read while this one is digested.
      next = after < to ? read(after) : undefined;
      md5.update(bytes);
    }
    if (!job.ended) tell({ job: number, to, md5: md5.clone().hex() });
  } catch (error) {
    if (!job.ended) tell({ job: number, unreadable: String(error) });
  }
}

self.addEventListener("message", (event: MessageEvent<Ask>) => {
  const ask = event.data;
  if ("blob" in ask) {
    const last = Promise.resolve();
    jobs.set(ask.job, { blob: ask.blob, md5: new Md5(engine), last, ended: false });
    return;
  }
  const job = jobs.get(ask.job);
  if (job === undefined) return;
  if ("to" in ask) {
    job.last = job.last.then(() => digest(ask.job, job, ask.to));
  } else {
    job.ended = true;
    jobs.delete(ask.job);
  }
});
