// A bounded map that keeps what was used lately, in two generations: what is used in the older one moves into the younger, and
// when that is full the older one goes as a whole. A hit costs one look-up, where a strict order of use would cost three.

export interface Recent<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  clear(): void;
  /** How many there are. */
  size(): number;
}

/** @param most how many it keeps at most; it keeps the last half of that in any case. */
export function createRecent<V>(most: number): Recent<V> {
  const half = Math.max(1, Math.floor(most / 2));
  let younger = new Map<string, V>();
  let older = new Map<string, V>();
  const set = (key: string, value: V) => {
    if (younger.size >= half && !younger.has(key)) {
      older = younger;
      younger = new Map();
    }
    younger.set(key, value);
    older.delete(key);
  };
  return {
    get: (key) => {
      const found = younger.get(key);
      if (found !== undefined) return found;
      const aged = older.get(key);
      if (aged !== undefined) set(key, aged);
      return aged;
    },
    set,
    clear: () => {
      younger = new Map();
      older = new Map();
    },
    size: () => younger.size + older.size,
  };
}
