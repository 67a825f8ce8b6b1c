// Mail by SMTP. Takes a composed message and an address, and returns what the mail server said; knows no account.

import { createTransport } from 'nodemailer';
import type { ComposedMessage } from './compose.ts';

/** What became of a hand-over: the provider's answer is a value, in its own words. */
export type Handover =
  | { readonly kind: 'accepted'; readonly answer: string }
  | { readonly kind: 'retry'; readonly answer: string }
  | { readonly kind: 'refused'; readonly answer: string };

export interface Mailer {
  /** Hands a message over; `id` names it, so that the same one sent twice can be recognised. Never throws. */
  send(to: string, id: string, message: ComposedMessage): Promise<Handover>;
  close(): void;
}

export interface MailSettings {
  /** `smtp://user:password@host:587` or `smtps://…`. */
  readonly smtpUrl: string;
  /** `Name <no-reply@example.com>` or the address alone. */
  readonly from: string;
}

export function createMailer(settings: MailSettings): Mailer {
  const transport = createTransport({
    url: settings.smtpUrl,
    pool: true,
    maxConnections: 5,
    // The job tries again, and knows that it does.
    maxRequeues: 0,
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    socketTimeout: 10_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = settings.from.match(/@([^\s>]+)/)?.[1] ?? 'localhost';
  return {
    send: async (to, id, message) => {
      try {
        const sent = await transport.sendMail({
          // An object, so that nothing in the address is read as a second one.
          to: { name: '', address: to },
          from: settings.from,
          messageId: `<${id}@${domain}>`,
          // RFC 3834: no out-of-office answers to a program.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          ...message,
        });
        return { kind: 'accepted', answer: sent.response };
      } catch (error) {
        return failure(error);
      }
    },
    close: () => transport.close(),
  };
}

/** RFC 5321, 4.2.1: 5yz is final, 4yz and an unreachable server are worth another try. */
function failure(error: unknown): Handover {
  const code = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : 0;
  const words =
    error instanceof Error && 'response' in error && typeof error.response === 'string'
      ? error.response
      : error instanceof Error
        ? error.message
        : String(error);
  // 535 and the like speak of our own credentials, which an operator will mend.
  const final = code >= 500 && code !== 530 && code !== 534 && code !== 535 && code !== 538;
  return { kind: final ? 'refused' : 'retry', answer: words };
}
