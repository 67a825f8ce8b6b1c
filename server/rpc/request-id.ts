// The id that ties an answer to its line in the log: the caller's own where it sends a fit one, else ours.

import { randomUUID } from 'node:crypto';

export const requestIdHeader = 'x-request-id';

/** As a caller's own may look. */
export const requestIdForm = /^[A-Za-z0-9_.:-]{1,64}$/;

/** Reads the request id, or sets a new one in the request's headers, and returns it. */
export function ensureRequestId(header: Headers): string {
  const given = header.get(requestIdHeader);
  if (given !== null && requestIdForm.test(given)) return given;
  const made = randomUUID();
  header.set(requestIdHeader, made);
  return made;
}
