// The development mailbox, over real SMTP and HTTP.

import { createServer } from 'node:net';
import { createTransport } from 'nodemailer';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type Mailbox, startMailbox } from '../../server/development/mailbox.ts';

const log = pino({ level: 'silent' });
const anyPort = { host: '127.0.0.1', port: 0 };
const mailboxes: Mailbox[] = [];

async function start(addresses: { webAddress?: typeof anyPort; smtpAddress?: typeof anyPort } = {}): Promise<Mailbox> {
  const mailbox = await startMailbox({ webAddress: anyPort, smtpAddress: anyPort, ...addresses, log });
  mailboxes.push(mailbox);
  await mailbox.ready;
  return mailbox;
}

afterEach(async () => {
  await Promise.all(mailboxes.splice(0).map((mailbox) => mailbox.stop()));
});

test('a mail that is sent can be read on the page and over the REST API', async () => {
  const mailbox = await start();
  const transport = createTransport(mailbox.smtpUrl, { from: 'no-reply@example.com' });
  await transport.sendMail({ to: 'jo@example.com', subject: 'Your code', text: 'It is 123456.' });
  transport.close();

  const emails = await (await fetch(`${mailbox.webUrl}/api/email`)).json();
  expect(emails).toMatchObject([{ subject: 'Your code', to: [{ address: 'jo@example.com' }] }]);
  expect(JSON.stringify(emails)).toContain('123456');
  const page = await fetch(mailbox.webUrl, { headers: { accept: 'text/html' } });
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toContain('text/html');
});

test('stopping is quick and frees the addresses, even while a client is connected', async () => {
  const mailbox = await start();
  const transport = createTransport(`${mailbox.smtpUrl}?pool=true`, { from: 'no-reply@example.com' });
  await transport.sendMail({ to: 'jo@example.com', subject: 'Hello', text: 'Hello' });
  const started = performance.now();
  await mailbox.stop();
  expect(performance.now() - started).toBeLessThan(1_000);
  transport.close();
  await expect(fetch(mailbox.webUrl)).rejects.toThrow();
  await start({ smtpAddress: { host: '127.0.0.1', port: Number(new URL(mailbox.smtpUrl).port) } });
});

test('a taken address is refused by name, with the setting that changes it, and nothing stays behind', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const taken = { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
  await expect(start({ webAddress: taken })).rejects.toThrow(
    new RegExp(`127.0.0.1:${taken.port}, which is taken.*COUNTERSIGN_MAILBOX_ADDRESS `),
  );
  await expect(start({ smtpAddress: taken })).rejects.toThrow(/taken.*COUNTERSIGN_MAILBOX_SMTP_ADDRESS /);
  await new Promise((resolve) => other.close(resolve));
});
