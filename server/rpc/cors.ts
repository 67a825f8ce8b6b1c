// Which browser origins may call, and what they may send and see. It must not know methods or sessions.

import { cors as connectCors } from '@connectrpc/connect';

export interface Cors {
  /** The headers of an answer to a page of that origin. */
  answerHeaders(origin: string | undefined): Iterable<[string, string]>;
  /** The headers of the answer to a preflight, or undefined where the origin may not call. */
  preflightHeaders(origin: string | undefined): Iterable<[string, string]> | undefined;
}

const allowedHeaders = [
  ...connectCors.allowedHeaders,
  'Authorization',
  'Accept-Language',
  'Countersign-Client-Version',
  'Countersign-Client-Platform',
  'X-Request-Id',
].join(', ');

const exposedHeaders = [...connectCors.exposedHeaders, 'Countersign-Minimum-Version', 'X-Request-Id'].join(', ');

/** Seconds for which a browser keeps a preflight's answer; Chromium keeps none longer. */
const maxAge = '7200';

// Answers differ by origin, so a cache must keep them apart, also for origins that get nothing.
const vary: [string, string] = ['vary', 'Origin'];

/** CORS for exactly these origins (`https://app.example.com`), without credentials: callers send their own tokens. */
export function createCors(origins: Iterable<string>): Cors {
  const allowed = new Set(origins);
  const mayCall = (origin: string | undefined): origin is string => origin !== undefined && allowed.has(origin);
  return {
    answerHeaders: (origin) =>
      mayCall(origin)
        ? [['access-control-allow-origin', origin], ['access-control-expose-headers', exposedHeaders], vary]
        : [vary],
    preflightHeaders: (origin) =>
      mayCall(origin)
        ? [
            ['access-control-allow-origin', origin],
            ['access-control-allow-methods', 'POST'],
            ['access-control-allow-headers', allowedHeaders],
            ['access-control-max-age', maxAge],
            vary,
          ]
        : undefined,
  };
}
