// The pages behind the links of e-mails. Opening one changes nothing, since mail scanners open links too; only its form does. Knows
// no page: what stands on one is for its own file.

import { isAway } from '../domain/errors.ts';
import { clientAddress, type TrustedProxies } from '../platform/client-address.ts';
import type { Logger } from '../platform/log.ts';
import type { Exchange, Handler } from './exchange.ts';
import { localeOf } from './locale.ts';

export interface PageAnswer {
  readonly status: number;
  /** The language of the mail that led here, BCP 47, for browsers that ask for none of ours. */
  readonly locale?: string | undefined;
  /** A whole document in that language. */
  readonly render: (locale: string) => string;
}

export interface LinkPage {
  /** What the link shows. Must change nothing. */
  look(token: string): Promise<PageAnswer>;
  /** What its form does. */
  act(form: URLSearchParams, ipAddress: string): Promise<PageAnswer>;
  readonly unavailable: PageAnswer;
}

/** The address of a link. The token stands in the query, which nothing of ours logs. */
export function linkUrl(publicUrl: string, path: string, token: string): string {
  return `${publicUrl.replace(/\/+$/, '')}${path}?token=${encodeURIComponent(token)}`;
}

/** Of every such page. */
export const pageHeader = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // The token is in the address: nothing may carry it on, and nothing may be loaded or framed.
  'referrer-policy': 'no-referrer',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
};

export function linkPageHandler(page: LinkPage, trustedProxies: TrustedProxies, log: Logger): Handler {
  const answerTo = async (exchange: Exchange): Promise<PageAnswer> => {
    if (exchange.method !== 'POST') {
      return page.look(new URLSearchParams(exchange.target.split('?')[1] ?? '').get('token') ?? '');
    }
    const forwarded = exchange.headers['x-forwarded-for'];
    const chain = Array.isArray(forwarded) ? forwarded.join(', ') : (forwarded ?? null);
    const form = new URLSearchParams(await smallBody(exchange));
    return page.act(form, clientAddress(exchange.peerAddress, chain, trustedProxies));
  };
  return (exchange) => {
    if (!['GET', 'HEAD', 'POST'].includes(exchange.method)) {
      exchange.answer({ status: 405, header: new Headers({ allow: 'GET, HEAD, POST' }), body: Buffer.from('') });
      return;
    }
    answerTo(exchange)
      .catch((error): PageAnswer => {
        if (isAway(error)) log.warn({ err: error }, 'the page of a link could not be made');
        else log.error({ err: error }, 'the page of a link failed');
        return page.unavailable;
      })
      .then(({ status, locale = 'en', render }) => {
        if (exchange.left) return;
        const accepted = localeOf(new Headers({ 'accept-language': exchange.headers['accept-language'] ?? '' }));
        const html = render(accepted ?? locale);
        const retry = status === 503 ? { 'retry-after': '5' } : {};
        exchange.answer({
          status,
          header: new Headers({ ...pageHeader, ...retry }),
          body: Buffer.from(exchange.method === 'HEAD' ? '' : html),
        });
      })
      .catch((error) => {
        log.error({ err: error }, 'the page of a link failed');
        exchange.cut();
      });
  };
}

const mostBytes = 8_192;
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
