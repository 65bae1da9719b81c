/**
 * Owns running asynchronous work one piece at a time, in the order of the calls. Does not own a time limit: work that never
 * ends holds up everything queued behind it.
 */

/** Starts `work` once all earlier work has settled, and settles as it does. A failure is its caller's alone: the next work runs. */
export type SerialQueue = <T>(work: () => Promise<T>) => Promise<T>;

export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
