// Who an internal caller is, by its service token or the names in its client certificate, and what it may do. Only SHA-256 of tokens
// are known here.

import { hash, timingSafeEqual } from 'node:crypto';

export const scopes = ['accounts', 'sessions', 'support', 'legacy'] as const;
export type Scope = (typeof scopes)[number];

/** What one way of being known permits. A caller may have several. */
export interface ServiceGrant {
  /** The caller's name, as it is logged. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256 of the token; null where a client certificate with the caller's name stands for it. */
  readonly hash: Uint8Array | null;
}

/** What there is now; a file of them may change. */
export interface ServiceGrants {
  current(): readonly ServiceGrant[];
  /** Called after `current` has changed. */
  onChange(listener: () => void): void;
}

export const serviceTokensForm = `name:scope+scope:sha256 of the token in hex, or name:scope+scope:certificate, several separated by commas, scopes of ${scopes.join(', ')}`;

// A name may have colons, as a SPIFFE ID has: what stands behind it has none.
const nameForm = /[\w.:/@-]{1,128}/.source;
const entryForm = new RegExp(`^(${nameForm}):([a-z]+(?:\\+[a-z]+)*):([0-9a-f]{64}|certificate)$`, 'i');

export const isCallerName = (text: string): boolean => new RegExp(`^${nameForm}$`).test(text);

/**
 * Reads `name:scope+scope:sha256` and `name:scope+scope:certificate`, separated by commas or line ends; from a `#` on, a line is a
 * comment.
 * @throws Error that says in which line what is wrong, and quotes nothing.
 */
export function parseServiceTokens(text: string): readonly ServiceGrant[] {
  const tokens = new Set<string>();
  const grants = text.split('\n').flatMap((line, index) =>
    line
      .replace(/#.*/s, '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map((entry): ServiceGrant => {
        const [, name, granted = '', proof = ''] = entryForm.exec(entry) ?? [];
        const known = granted.split('+').map((each) => scopes.find((scope) => scope === each));
        if (name === undefined || known.includes(undefined)) {
          throw new Error(`line ${index + 1}: it takes ${serviceTokensForm}`);
        }
        const isToken = proof.toLowerCase() !== 'certificate';
        // Which of the two it stands for would be a guess.
        if (isToken && tokens.has(proof.toLowerCase()))
          throw new Error(`line ${index + 1}: that token is there already`);
        if (isToken) tokens.add(proof.toLowerCase());
        return {
          name,
          scopes: known.filter((scope) => scope !== undefined),
          hash: isToken ? Buffer.from(proof, 'hex') : null,
        };
      }),
  );
  if (grants.length === 0) throw new Error(`it is empty; it takes ${serviceTokensForm}`);
  return grants;
}

/** Whether it can be sent as a bearer token (RFC 6750, 2.1: token68). */
export function isBearerToken(text: string): boolean {
  return /^[\w\-.~+/]+=*$/.test(text);
}

export function hashServiceToken(token: string): Uint8Array {
  return hash('sha256', token, 'buffer');
}

/** Who somebody is, and what that permits. */
export type Service = Pick<ServiceGrant, 'name' | 'scopes'>;

/** The caller that holds this token; every known one is compared. */
export function findByToken(known: readonly ServiceGrant[], token: string): Service | undefined {
  const presented = hashServiceToken(token);
  return known.reduce<Service | undefined>(
    (found, each) => (each.hash !== null && timingSafeEqual(each.hash, presented) ? each : found),
    undefined,
  );
}

/** The first caller that a certificate with these names (DNS names and URIs, verified) stands for, with all that it may. */
export function findByCertificate(known: readonly ServiceGrant[], names: readonly string[]): Service | undefined {
  const matching = known.filter((each) => each.hash === null && names.includes(each.name));
  const name = matching[0]?.name;
  if (name === undefined) return undefined;
  return { name, scopes: matching.filter((each) => each.name === name).flatMap((each) => each.scopes) };
}
