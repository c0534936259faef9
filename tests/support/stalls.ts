/**
 * Senders that are held back.
 *
 * @module
 */

/** How long nothing is taken by a peer that holds its sender back, in milliseconds. */
const STALL_MS = 300;

/** A sender that is held back, or has sent everything. */
export interface Stalled {
  /** How many pieces were taken by then. */
  readonly taken: number;
  /** Resolves when all pieces are taken; fails as sending does. */
  readonly finished: Promise<void>;
}

/** Sends so many pieces, and resolves when for a while none is taken any more, or all are; sending goes on. */
export async function untilStalled(send: () => Promise<void>, count: number): Promise<Stalled> {
  let taken = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = Promise.withResolvers<void>();
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(stalled.resolve, STALL_MS);
  };
  watch();
  const finished = (async () => {
    for (; taken < count; taken++) {
      await send();
      watch();
    }
  })().finally(() => stalled.resolve());
  finished.catch(() => {});
  await stalled.promise;
  clearTimeout(timer);
  return { taken, finished: finished.finally(() => clearTimeout(timer)) };
}
