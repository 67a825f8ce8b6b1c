// What the suites of the session checker share: keys, tokens of any kind, a clock that is moved, and checkers that end with
// their test.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { SecureServerOptions } from 'node:http2';
import { Code } from '@connectrpc/connect';
import { onTestFinished } from 'vitest';
import {
  createSessionChecker,
  type SessionChecker,
  type SessionCheckerOptions,
} from '../../../clients/service/checker.ts';
import type { Clock } from '../../../clients/service/clock.ts';
import type { KeyEntry } from '../../../server/platform/key-entries.ts';
import { keyRingOf } from '../../../server/platform/key-ring.ts';
import { createAccessTokens } from '../../../server/platform/keys.ts';
import { type SessionsServer, startSessionsServer } from '../../support/sessions-server.ts';

export const serviceToken = 'a-service-token';
export const issuer = 'https://login.example.com';
export const audience = 'shop';

export const invalid = (cause: string) => ({
  reason: 'SESSION_INVALID',
  code: Code.Unauthenticated,
  reasonMetadata: { cause },
});
export const unavailable = { reason: 'DEPENDENCY_UNAVAILABLE', code: Code.Unavailable };
export const patience = 20_000;

export const namedKey = (keyId: string, byte: number): KeyEntry => ({ keyId, key: Buffer.alloc(32, byte) });
export const firstKey = namedKey('first', 1);
export const secondKey = namedKey('second', 2);

export interface MovedClock extends Clock {
  advance(ms: number): void;
}

export function createMovedClock(): MovedClock {
  let offset = 0;
  return {
    now: () => Date.now() + offset,
    monotonic: () => performance.now() + offset,
    advance: (ms) => {
      offset += ms;
    },
  };
}

let sessions = 0;
export const newSession = () => `session-${++sessions}`;

/** As the server makes it. */
export function tokenOf(
  sessionId: string,
  { key = firstKey, audience: to = audience, issuer: by = issuer, issuedAt = Date.now(), lifeMs = 300_000 } = {},
): string {
  const tokens = createAccessTokens(
    keyRingOf(() => [key]),
    { issuer: by, audience: to, lifetimeMs: lifeMs },
  );
  return tokens.sign({
    accountId: 'anna',
    sessionId,
    deviceId: 'phone',
    amr: ['pwd', 'otp'],
    generation: 1,
    issueTime: new Date(issuedAt),
    expireTime: new Date(issuedAt + lifeMs),
  }) as string;
}

/** The token with another header, signed anew by `signWith`. */
export function withHeader(
  token: string,
  change: Readonly<Record<string, unknown>>,
  signWith: (signed: Buffer) => Buffer,
): string {
  const [head = '', payload] = token.split('.');
  const header = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), ...change };
  const signed = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}`;
  return `${signed}.${signWith(Buffer.from(signed)).toString('base64url')}`;
}

const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex');
const privateKey = ({ key }: KeyEntry) =>
  createPrivateKey({ key: Buffer.concat([pkcs8Head, key]), format: 'der', type: 'pkcs8' });
export const signedBy = (key: KeyEntry) => (signed: Buffer) => sign(null, signed, privateKey(key));
export const publicBytes = (key: KeyEntry) =>
  createPublicKey(privateKey(key)).export({ format: 'der', type: 'spki' }).subarray(-32);

/** A server of the first key, which ends with the test. */
export async function startServer(tls?: SecureServerOptions): Promise<SessionsServer> {
  const server = await startSessionsServer([firstKey], serviceToken, tls);
  onTestFinished(() => server.goDown());
  return server;
}

/** A checker of that server, which ends with the test. */
export function checkerOf(
  { url }: Pick<SessionsServer, 'url'>,
  options: Partial<SessionCheckerOptions> = {},
  clock?: Clock,
): SessionChecker {
  const checker = createSessionChecker({ baseUrl: url, serviceToken, issuer, audience, ...options }, clock);
  onTestFinished(() => checker.close());
  return checker;
}
