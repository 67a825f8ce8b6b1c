// What the edge itself answers, in each protocol, as the files that HAProxy sends: made by what makes the server's refusals, so
// that a client reads both alike. It must not know when one is sent.

import { Code, ConnectError } from '@connectrpc/connect';
import { DomainError, type Refusal } from '../server/domain/errors.ts';
import { renderDenyPage } from '../server/rpc/deny-page.ts';
import { toConnectError } from '../server/rpc/errors.ts';
import type { Answer } from '../server/rpc/exchange.ts';
import { pageHeader } from '../server/rpc/link-page.ts';
import { readMaxBytes } from '../server/rpc/routes.ts';
import { plainRefusal, refusal, type Wire } from '../server/rpc/wire.ts';
import type { Brand } from '../server/texts/look.ts';

/** Marks them on their way through HAProxy's rules, which take it off. */
export const ownAnswerHeader = 'x-countersign-edge';

/** ms. The edge counts a minute by a sliding average: a part of it is free again much sooner. */
const rateLimitedMs = 10_000;
/** ms. A replica that is up is known to be within less. */
const unavailableMs = 1_000;

const away: Refusal = { reason: 'DEPENDENCY_UNAVAILABLE', retryAfterMs: unavailableMs };
const onTheWire = (message: string, code: Code) => new ConnectError(message, code);

/** By the status that HAProxy's rules and HAProxy itself know them by; the status that is sent depends on the protocol. */
const refusals: Readonly<Record<number, { readonly thrown: unknown; readonly plainStatus?: number }>> = {
  400: { thrown: onTheWire('a call is no request to upgrade', Code.InvalidArgument) },
  404: { thrown: onTheWire('no such RPC here', Code.Unimplemented), plainStatus: 404 },
  408: { thrown: onTheWire('the body took too long', Code.DeadlineExceeded) },
  413: { thrown: onTheWire(`the message is larger than ${readMaxBytes} bytes`, Code.ResourceExhausted) },
  429: { thrown: new DomainError({ reason: 'RATE_LIMITED', retryAfterMs: rateLimitedMs }) },
  500: { thrown: new Error('the edge could not go on') },
  502: { thrown: new DomainError(away) },
  503: { thrown: new DomainError(away) },
  504: { thrown: new DomainError(away) },
};

const wires: Readonly<Record<string, Wire>> = {
  grpc: { protocol: 'grpc', binary: true, stream: false, framed: true },
  'grpc-web': { protocol: 'grpc-web', binary: true, stream: false, framed: true },
  connect: { protocol: 'connect', binary: true, stream: false, framed: false },
  'connect-streams': { protocol: 'connect', binary: true, stream: true, framed: true },
};

export interface AnswerFile {
  /** As the names of HAProxy's backends and of its groups of answers. */
  readonly group: string;
  readonly status: number;
  /** A whole HTTP/1.1 answer. */
  readonly bytes: Uint8Array;
}

export function answerFiles(brand: Brand): readonly AnswerFile[] {
  const statuses = Object.keys(refusals).map(Number);
  const pages = statuses.map((status) => ({ group: 'pages', status, bytes: inHttp1(page(status, brand)) }));
  return [...answersToCalls(), ...pages];
}

function answersToCalls(): readonly AnswerFile[] {
  return Object.entries(wires).flatMap(([group, wire]) =>
    Object.entries(refusals).map(([status, { thrown, plainStatus }]) => {
      const error = toConnectError(thrown);
      const answer =
        plainStatus !== undefined && wire.protocol === 'connect' && !wire.stream
          ? plainRefusal(plainStatus, error)
          : refusal(wire, error);
      return { group, status: Number(status), bytes: inHttp1(answer) };
    }),
  );
}

/** In English: the reader's language is not known here. It says to open the link once more, of whatever page. */
function page(status: number, brand: Brand): Answer {
  const html = renderDenyPage({ kind: 'unavailable' }, { locale: 'en', brand });
  // As for calls: which part behind the edge failed is nobody's business.
  return { status: status > 500 ? 503 : status, header: new Headers(pageHeader), body: Buffer.from(html) };
}

function inHttp1({ status, header, body = new Uint8Array() }: Answer): Uint8Array {
  const lines = [`HTTP/1.1 ${status} -`, ...[...header].map(([name, value]) => `${name}: ${value}`)];
  const head = [...lines, `${ownAnswerHeader}: yes`, `content-length: ${body.byteLength}`, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
