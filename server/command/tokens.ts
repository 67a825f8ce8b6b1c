// `countersign tokens`: a service token, and what the settings have to know of it.

import { randomBytes } from 'node:crypto';
import { hashServiceToken, isCallerName, scopes } from '../platform/service-tokens.ts';
import { exitCodes, Failure } from './failure.ts';
import type { Answer } from './output.ts';

export async function newToken(name: string, scopesGiven: string): Promise<Answer> {
  const wanted = scopesGiven.split('+');
  const unknown = wanted.find((scope) => !scopes.some((known) => known === scope));
  if (unknown !== undefined) {
    throw new Failure(exitCodes.usage, `--scopes takes some of ${scopes.join(', ')}, joined by +`);
  }
  if (!isCallerName(name)) {
    throw new Failure(exitCodes.usage, 'NAME takes up to 128 letters, digits and . _ - : / @');
  }
  const token = randomBytes(32).toString('base64url');
  const entry = `${name}:${wanted.join('+')}:${Buffer.from(hashServiceToken(token)).toString('hex')}`;
  const text = [
    `token  ${token}`,
    `entry  ${entry}`,
    '',
    'The token goes to its caller and is shown only now; the entry goes into COUNTERSIGN_SERVICE_TOKENS, or its file.',
  ].join('\n');
  return { json: { name, scopes: wanted, token, entry }, text };
}
