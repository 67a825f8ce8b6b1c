// All pages of a list as one.

/** @param next returns a page, and the token of the one after it. */
export async function collect<T>(
  next: (pageToken: string, pageSize: number) => Promise<readonly [page: readonly T[], nextPageToken: string]>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const all: T[] = [];
  let token = '';
  do {
    const [page, nextToken] = await next(token, Math.min(100, limit - all.length));
    all.push(...page);
    token = nextToken;
  } while (token !== '' && all.length < limit);
  return all;
}
