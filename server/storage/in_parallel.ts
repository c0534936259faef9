/**
 * Runs work at the same time, and leaves none of it running behind when some of it fails.
 *
 * @module
 */

/**
 * Calls `work` for each item, for at most `most` of them at the same time. After the first failure no further item is
 * begun, and the signal that `work` is given is aborted.
 *
 * @throws the first failure, once nothing runs any more
 */
export async function inParallel<T>(
  most: number,
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T, signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const failed = new AbortController();
  const left = iteratorOf(items);
  let isOver = false;
  const worker = async () => {
    try {
      while (!isOver) {
        const { done, value } = await left.next();
        if (done) isOver = true;
        else if (!isOver) await work(value, failed.signal);
      }
    } catch (error) {
      isOver = true;
      if (!failed.signal.aborted) failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  await left.return?.();
  failed.signal.throwIfAborted();
}

function iteratorOf<T>(items: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}

/**
 * The results of all promises. Unlike `Promise.all`, it fails only when all have settled.
 *
 * @throws the failure of the first promise in the list that failed
 */
export async function settled<T extends readonly unknown[]>(
  promises: readonly [...{ [At in keyof T]: Promise<T[At]> }],
): Promise<T> {
  await Promise.allSettled(promises);
  return await Promise.all(promises) as unknown as T;
}
