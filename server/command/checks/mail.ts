// The routes that mail takes: whether each mail server is there, speaks TLS, and lets us in. No mail is sent.

import { createTransport } from 'nodemailer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { isLoopback } from '../../environment.ts';
import { type Finding, fail, ok, patienceMs, skip, warn, wordsOf } from './finding.ts';

export async function checkMail(smtpUrl: string | undefined, fallbackUrl: string | undefined): Promise<Finding[]> {
  const routes = [
    ['SMTP_URL', smtpUrl],
    ['SMTP_FALLBACK_URL', fallbackUrl],
  ] as const;
  const given = routes.flatMap(([setting, url]) => (url === undefined ? [] : [checkRoute(setting, url)]));
  if (given.length === 0) return [skip('SMTP_URL is not set: development has a mailbox of its own')];
  return (await Promise.all(given)).flat();
}

async function checkRoute(setting: string, url: string): Promise<Finding[]> {
  // nodemailer's own reading of the URL, as when a mail is sent.
  const { options } = createTransport({ url });
  const { auth } = options as { readonly auth?: { readonly user?: string; readonly pass?: string } };
  const where = `${setting}: ${new URL(url).host}`;
  const connection = new SMTPConnection({
    ...options,
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
  });
  try {
    await step(connection, (done) => connection.connect(done));
    const asked = auth?.user !== undefined;
    const encrypted = connection.secure === true;
    if (asked && connection.allowsAuth) {
      await step(connection, (done) =>
        connection.login({ credentials: { user: auth.user ?? '', pass: auth.pass ?? '' } }, done),
      );
    }
    const findings = [
      ok(`${where} answers${encrypted ? ' over TLS' : ''}${asked && connection.allowsAuth ? ' and lets us in' : ''}`),
    ];
    if (!encrypted && !isLoopback(new URL(url).hostname)) {
      findings.push(
        warn(
          `${where} speaks no TLS: codes${asked ? ' and its password' : ''} can be read on the way`,
          'use smtps://, or a mail server that offers STARTTLS',
        ),
      );
    }
    if (asked && !connection.allowsAuth) {
      findings.push(
        warn(
          `${where} takes no login, and ${setting} has one`,
          `take it out of ${setting}, or correct the host or port`,
        ),
      );
    }
    return findings;
  } catch (error) {
    return [fail(`${where}: ${wordsOf(error)}`, mendOf(error, setting))];
  } finally {
    connection.close();
  }
}

function step(connection: SMTPConnection, work: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('error', reject);
    connection.once('end', () => reject(new Error('the connection was closed')));
    work((error) => (error ? reject(error) : resolve()));
  });
}

function mendOf(error: unknown, setting: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EAUTH')
    return `correct user and password in ${setting}; special characters in them are percent-encoded`;
  if (/ssl|tls|certificate/i.test(`${code} ${wordsOf(error)}`)) {
    return `does ${setting} have the right scheme for its port (smtps:// for 465, smtp:// for 587), and is the server's certificate good?`;
  }
  return `correct host and port in ${setting}; many clouds let no mail out by port 25`;
}
