/** Being interrupted: a bench that is asked to end still puts everything away. */

const { promise, reject } = Promise.withResolvers<never>();
promise.catch(() => {});

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => reject(new Error(`ended by ${signal}`)));

/** Work that fails as soon as the process is asked to end. What it started is then for the caller to end. */
export async function untilInterrupted<T>(work: Promise<T>): Promise<T> {
  return Promise.race([work, promise]);
}
