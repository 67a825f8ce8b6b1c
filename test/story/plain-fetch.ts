// JSON by HTTP/1.1 and nothing else: what a shell script or a client without a library does.

import { type Driver, detailsOfJson, refusalOf } from './driver.ts';

export function plainFetch(): Driver {
  return {
    call: async (url, { service, method, request, headers }) => {
      const answer = await fetch(`${url}/${service}/${method}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      const json = JSON.parse(await answer.text());
      if (answer.ok) return { ok: json };
      return refusalOf(json.code, detailsOfJson(json), answer.headers.get('countersign-minimum-version') ?? undefined);
    },
    close: () => {},
  };
}
