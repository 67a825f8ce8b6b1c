// Mail by SMTP, over one route or two. Takes a composed message and an address, and returns what the mail server said; knows
// no account.

import { createTransport } from 'nodemailer';
import type { ComposedMessage } from './compose.ts';
import type { Handover } from './handover.ts';

export interface Mailer {
  /** Hands a message over; `id` names it, so that the same one sent twice can be recognised. Never throws. */
  send(to: string, id: string, message: ComposedMessage): Promise<Handover>;
  close(): void;
}

/** RFC 6376: who signs, and with what. */
export interface DkimSettings {
  readonly domain: string;
  readonly selector: string;
  /** PEM, RSA of at least 1,024 bits (RFC 8301). */
  readonly privateKey: string;
}

/** A picture in the mail itself: one from elsewhere would tell who reads when. */
export interface InlineImage {
  readonly contentId: string;
  readonly contentType: string;
  readonly content: Uint8Array;
}

export interface MailSettings {
  /** `smtp://user:password@host:587` or `smtps://…`, the preferred one first; at least one. */
  readonly routes: readonly string[];
  /** `Name <no-reply@example.com>` or the address alone. */
  readonly from: string;
  readonly dkim: DkimSettings | undefined;
  readonly logo: InlineImage | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly elapsedMs: () => number;
}

/** A route that could not be reached, or was busy, comes last for so long. */
const avoidMs = 30_000;

export function createMailer(settings: MailSettings): Mailer {
  const routes = settings.routes.map((url) => ({ ...openRoute(url, settings.dkim), avoidUntil: 0 }));
  const domain = settings.from.match(/@([^\s>]+)/)?.[1] ?? 'localhost';
  const attachments = settings.logo && [
    {
      cid: settings.logo.contentId,
      filename: `logo.${settings.logo.contentType.split('/')[1]}`,
      contentType: settings.logo.contentType,
      content: Buffer.from(settings.logo.content),
      contentDisposition: 'inline' as const,
    },
  ];
  return {
    send: async (to, id, message) => {
      const mail = {
        // An object, so that nothing in the address is read as a second one.
        to: { name: '', address: to },
        from: settings.from,
        messageId: `<${id}@${domain}>`,
        // RFC 3834: no out-of-office answers to a program.
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
        ...(attachments === undefined ? {} : { attachments }),
        ...message,
      };
      const now = settings.elapsedMs();
      const inTurn = [...routes].sort((a, b) => Number(a.avoidUntil > now) - Number(b.avoidUntil > now));
      const tried: Handover[] = [];
      for (const route of inTurn) {
        const handover = await handOver(route.transport, mail);
        tried.push({ ...handover, answer: `${route.name}: ${handover.answer}` });
        if (handover.kind === 'accepted' || handover.kind === 'refused') break;
        // Another server may take it now.
        route.avoidUntil = settings.elapsedMs() + avoidMs;
      }
      const last = tried.at(-1) ?? { kind: 'unreachable', answer: 'no route' };
      return { ...last, answer: tried.map(({ answer }) => answer).join('; then ') };
    },
    close: () => {
      for (const { transport } of routes) transport.close();
    },
  };
}

function openRoute(url: string, dkim: DkimSettings | undefined) {
  const transport = createTransport({
    url,
    pool: true,
    // As many as mails are handed over at once: none waits here after it was looked at.
    maxConnections: 8,
    // The job tries again, and knows that it does.
    maxRequeues: 0,
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    socketTimeout: 10_000,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(dkim === undefined
      ? {}
      : { dkim: { domainName: dkim.domain, keySelector: dkim.selector, privateKey: dkim.privateKey } }),
  });
  return { name: new URL(url).host, transport };
}

type Route = ReturnType<typeof openRoute>;

async function handOver(
  transport: Route['transport'],
  mail: Parameters<Route['transport']['sendMail']>[0],
): Promise<Handover> {
  try {
    const sent = await transport.sendMail(mail);
    return { kind: 'accepted', answer: sent.response };
  } catch (error) {
    return failure(error);
  }
}

/**
 * RFC 5321, 4.2.1: 5yz is final, 4yz and an unreachable server are worth another try. But only what is said of the recipient
 * or of the message is final: a server that refuses us or our credentials, an operator will mend, and another may take it.
 */
function failure(error: unknown): Handover {
  const code = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : 0;
  const command = error instanceof Error && 'command' in error ? error.command : undefined;
  const words =
    error instanceof Error && 'response' in error && typeof error.response === 'string'
      ? error.response
      : error instanceof Error
        ? error.message
        : String(error);
  if (!(code >= 400)) return { kind: 'unreachable', answer: words };
  const final = code >= 500 && (command === 'RCPT TO' || command === 'DATA');
  return { kind: final ? 'refused' : 'retry', answer: words };
}
