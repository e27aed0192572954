/** A map that forgets what was not used for longest: memory that strangers cannot fill. */

/** A bounded map. */
export interface Recent<Key, Value> {
  /** Also marks it as used just now. */
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
  readonly size: number;
}

/** A map of at most so many entries. */
export function recent<Key, Value>(entriesMax: number): Recent<Key, Value> {
  const entries = new Map<Key, Value>();
  // Several at once: finding the oldest of a map means passing over all that were taken out before.
  const makeRoom = (): void => {
    let room = Math.ceil(entriesMax / 8);
    for (const key of entries.keys()) {
      entries.delete(key);
      if ((room -= 1) <= 0) return;
    }
  };
  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      entries.delete(key);
      if (entries.size >= entriesMax) makeRoom();
      entries.set(key, value);
    },
    delete: (key) => void entries.delete(key),
    get size() {
      return entries.size;
    },
  };
}

/** Does a thing once for all who ask for it at the same time. */
export function together<Key, Value>(
  work: (key: Key) => Promise<Value>,
): (key: Key) => Promise<Value> {
  const running = new Map<Key, Promise<Value>>();
  return (key) => {
    const begun = running.get(key);
    if (begun !== undefined) return begun;
    const made = work(key).finally(() => running.delete(key));
    running.set(key, made);
    return made;
  };
}
