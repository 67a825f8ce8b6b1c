// A real SMTP server that keeps what it gets; it stands in for the customer's.

import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { vi } from 'vitest';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly raw: string;
}

export interface MailServer {
  readonly url: string;
  /** Every mail so far, oldest first. */
  readonly mails: readonly Mail[];
  /** The mails to an address, once there are `count` of them. */
  waitFor(address: string, count?: number): Promise<readonly Mail[]>;
  /** The code in the newest mail to an address, once there are `count` mails with one. */
  codeFor(address: string, count?: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startMailServer(): Promise<MailServer> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', async () => {
        const raw = Buffer.concat(chunks);
        const parsed = await PostalMime.parse(raw);
        for (const { address } of session.envelope.rcptTo) {
          mails.push({
            to: address,
            subject: parsed.subject ?? '',
            text: parsed.text ?? '',
            html: parsed.html ?? '',
            raw: raw.toString('utf8'),
          });
        }
        callback();
      });
    },
  });
  // A client that leaves in the middle is none of a test's failures.
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.server.address();
  const port = typeof address === 'object' ? address?.port : undefined;

  const waitFor = (to: string, count = 1) =>
    vi.waitFor(
      () => {
        const found = mails.filter((mail) => mail.to === to);
        if (found.length < count) throw new Error(`${found.length} of ${count} mails to ${to}`);
        return found;
      },
      { timeout: 10_000, interval: 10 },
    );
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    waitFor,
    codeFor: async (to, count = 1) => {
      const found = await vi.waitFor(
        () => {
          const codes = mails.filter((mail) => mail.to === to).flatMap((mail) => codeIn(mail) ?? []);
          if (codes.length < count) throw new Error(`${codes.length} of ${count} codes to ${to}`);
          return codes;
        },
        { timeout: 10_000, interval: 10 },
      );
      return found.at(-1) ?? '';
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The code of a mail: the digits that stand alone on a line of its text. */
export function codeIn(mail: Mail): string | undefined {
  return /^\s*(\d{6,9})\s*$/m.exec(mail.text)?.[1];
}
