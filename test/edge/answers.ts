// What the edge itself answers, as clients and people read it: what the server would say. It must not know why.

import { Code } from '@connectrpc/connect';
import { expect } from 'vitest';
import { CountersignError } from '../../clients/errors.ts';
import { renderDenyPage } from '../../server/rpc/deny-page.ts';
import { refusalToConnectError } from '../../server/rpc/errors.ts';
import { pageHeader } from '../../server/rpc/link-page.ts';
import { renderResetPage } from '../../server/rpc/reset-page.ts';
import type { Edge, ways } from '../support/edge.ts';
import { refusal } from '../support/refusal.ts';
import type { Answer } from './http.ts';

export type Way = (typeof ways)[number] & { readonly localAddress?: string };
export const verification = { challengeToken: 'no-such-challenge', code: '123456' };
export const verifyCode = (edge: Edge, way: Way) => refusal(edge.appClient(way).twoStepAuth.verifyCode(verification));
export const watchDevice = (edge: Edge, way: Way) =>
  refusal(
    (async () => {
      for await (const _ of edge.appClient(way).trustedDevices.watchDevice({}));
    })(),
  );

/** What the server would say for the same reason. */
export function expectAsTheServer(
  error: CountersignError,
  reason: 'RATE_LIMITED' | 'DEPENDENCY_UNAVAILABLE',
  retryAfterMs: number,
) {
  const ours = new CountersignError(refusalToConnectError({ reason, retryAfterMs }, 'en'));
  const told = ({ reason, code, rawMessage, retryAfter, localizedMessage }: CountersignError) => [
    reason,
    Code[code],
    rawMessage,
    retryAfter,
    localizedMessage,
  ];
  expect(told(error)).toEqual(told(ours));
  expect(error.requestId).toMatch(/^[\w-]{36}$/);
  expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
}

/** What a person reads who has come by a link. */
export function expectPage({ status, headers, body }: Answer, wanted: number): void {
  const brand = { name: 'Countersign', color: '#1a56db', logoCid: undefined, support: undefined };
  const options = { locale: 'en', brand };
  expect([status, body]).toEqual([wanted, renderDenyPage({ kind: 'unavailable' }, options)]);
  // The one page serves both.
  expect(body).toBe(renderResetPage({ kind: 'unavailable' }, options));
  expect(headers).toMatchObject(pageHeader);
}
