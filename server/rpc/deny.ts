// `/deny`: the page behind the link in an e-mail, where "it wasn't me" is said. Opening it changes nothing, since mail scanners open
// links too; only its form does.

import { isAway } from '../domain/errors.ts';
import type { Deps } from '../flows/context.ts';
import { denyByLink, lookUpDenyLink } from '../flows/denial.ts';
import type { Logger } from '../platform/log.ts';
import type { Brand } from '../texts/look.ts';
import { type DenyPageView, renderDenyPage } from './deny-page.ts';
import type { Exchange, Handler } from './exchange.ts';
import { localeOf } from './locale.ts';

export const denyPath = '/deny';

/** The link that an e-mail carries. The token stands in the query, which nothing of ours logs. */
export function denyUrl(publicUrl: string, token: string): string {
  return `${publicUrl.replace(/\/+$/, '')}${denyPath}?token=${encodeURIComponent(token)}`;
}

const header = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // The token is in the address: nothing may carry it on, and nothing may be loaded or framed.
  'referrer-policy': 'no-referrer',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
};

const statusOf: Readonly<Record<DenyPageView['kind'], number>> = {
  ask: 200,
  done: 200,
  over: 200,
  invalid: 404,
  unavailable: 503,
};

export function denyHandler(deps: Deps, brand: Brand, log: Logger): Handler {
  const viewOf = async (exchange: Exchange): Promise<{ readonly view: DenyPageView; readonly locale?: string }> => {
    if (exchange.method !== 'POST') {
      const token = new URLSearchParams(exchange.target.split('?')[1] ?? '').get('token') ?? '';
      const found = await lookUpDenyLink(deps, token);
      if (found.kind !== 'ask') return { view: found };
      const { device, origin, createTime, locale } = found.challenge;
      return { view: { kind: 'ask', token, device, time: createTime, place: origin.place }, locale };
    }
    const token = new URLSearchParams(await smallBody(exchange)).get('token') ?? '';
    const result = await denyByLink(deps, token);
    if (result.kind !== 'done') return { view: result };
    const { accountId, challengeId } = result.challenge;
    log.info({ accountId, challengeId }, 'denied by link');
    return { view: { kind: 'done', advice: result.advice }, locale: result.challenge.locale };
  };

  return (exchange) => {
    if (!['GET', 'HEAD', 'POST'].includes(exchange.method)) {
      exchange.answer({ status: 405, header: new Headers({ allow: 'GET, HEAD, POST' }), body: Buffer.from('') });
      return;
    }
    viewOf(exchange)
      .catch((error): Awaited<ReturnType<typeof viewOf>> => {
        if (isAway(error)) log.warn({ err: error }, 'the page of a link could not be made');
        else log.error({ err: error }, 'the page of a link failed');
        return { view: { kind: 'unavailable' } };
      })
      .then(({ view, locale = 'en' }) => {
        if (exchange.left) return;
        // The browser's language, or that of the mail that led here.
        const accepted = localeOf(new Headers({ 'accept-language': exchange.headers['accept-language'] ?? '' }));
        const page = renderDenyPage(view, { locale: accepted ?? locale, brand });
        const retry = view.kind === 'unavailable' ? { 'retry-after': '5' } : {};
        exchange.answer({
          status: statusOf[view.kind],
          header: new Headers({ ...header, ...retry }),
          body: Buffer.from(exchange.method === 'HEAD' ? '' : page),
        });
      })
      .catch((error) => {
        log.error({ err: error }, 'the page of a link failed');
        exchange.cut();
      });
  };
}

const mostBytes = 4_096;
const bodyTimeoutMs = 10_000;

/** A form with a token; what is larger or slower is none of ours, and says nothing. */
function smallBody(exchange: Exchange): Promise<string> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const settle = (text: string) => {
      clearTimeout(timer);
      exchange.body.off('data', onData);
      resolve(text);
    };
    const onData = (piece: Buffer) => {
      bytes += piece.byteLength;
      pieces.push(piece);
      if (bytes > mostBytes) settle('');
    };
    const timer = setTimeout(() => settle(''), bodyTimeoutMs);
    exchange.body.on('data', onData);
    exchange.body.once('end', () => settle(Buffer.concat(pieces).toString()));
    exchange.body.once('error', () => settle(''));
    exchange.body.once('close', () => settle(''));
  });
}
