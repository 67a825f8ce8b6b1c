// Pages (AIP-158): how many, and opaque tokens that name where the last one ended.

import { DomainError } from '../domain/errors.ts';

const defaultSize = 20;
const largestSize = 100;

/** The size of a page: 20 where unset, at most 100. Negative ones are refused by the contract's rules. */
export function pageSize(requested: number): number {
  return requested === 0 ? defaultSize : Math.min(requested, largestSize);
}

/** Makes and reads the tokens of one list; one of another list, or a made-up one, is REQUEST_INVALID. */
export function pageTokens<T>(
  list: string,
  pattern: RegExp,
  codec: { write(position: T): string; read(text: string): T },
) {
  return {
    write: (position: T | undefined): string =>
      position === undefined ? '' : Buffer.from(`${list}:${codec.write(position)}`).toString('base64url'),
    read: (token: string): T | undefined => {
      if (token === '') return undefined;
      const [name, text, ...rest] = Buffer.from(token, 'base64url').toString('utf8').split(':');
      if (name !== list || text === undefined || rest.length > 0 || !pattern.test(text)) {
        const violations = [{ field: 'page_token', description: 'must be the next_page_token of the page before' }];
        throw new DomainError({ reason: 'REQUEST_INVALID', violations });
      }
      return codec.read(text);
    },
  };
}

export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The tokens of a list by UUID. With a filter, of which the hash is given, each filter is a list of its own. */
export function idTokens(list: string, filterHash?: Uint8Array) {
  const suffix = filterHash === undefined ? '' : ` ${Buffer.from(filterHash).toString('base64url')}`;
  return pageTokens<string>(`${list}${suffix}`, uuid, { write: (id) => id, read: (text) => text });
}
