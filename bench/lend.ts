// Lends each of some things to one call at a time, the one that has rested longest first.

export function lendInTurn<T>(all: readonly T[]): <R>(work: (one: T) => Promise<R>) => Promise<R> {
  // A ring: as many are taken as are given back, and shifting a long array would cost.
  const free = [...all];
  let taken = 0;
  let given = 0;
  return async (work) => {
    const one = free[taken % all.length];
    if (one === undefined || taken - given >= all.length) throw new Error(`more than ${all.length} at once`);
    taken += 1;
    try {
      return await work(one);
    } finally {
      free[given % all.length] = one;
      given += 1;
    }
  };
}
