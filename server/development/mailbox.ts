// The development mailbox: maildev, an SMTP server that shows what it gets on a web page and at GET /api/email.
// It must not know what the mails are for, and passes none on.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PartialMailDevConfig } from 'maildev';
import type { Logger } from 'pino';

export interface MailboxAddress {
  host: string;
  /** 0 takes any free port. */
  port: number;
}

export interface MailboxOptions {
  webAddress: MailboxAddress;
  smtpAddress: MailboxAddress;
  log: Logger;
}

export interface Mailbox {
  /** Of the page, without a slash at the end; the mails as JSON are at `${webUrl}/api/email`. */
  webUrl: string;
  smtpUrl: string;
  /** Resolves when it takes mails. maildev takes a second to load, which nothing else has to wait for. */
  ready: Promise<void>;
  /** Its mails go with it. May be called again. */
  stop(): Promise<void>;
}

/** The oldest go first. */
const MAX_EMAILS = 500;
const MAX_MESSAGE_BYTES = 1_000_000;

/** @throws Error when an address can't be had; the message names it and its setting. `ready` rejects where maildev fails. */
export async function startMailbox({ webAddress, smtpAddress, log }: MailboxOptions): Promise<Mailbox> {
  // Tried first: maildev's own error does not tell which of the two it was.
  const web = await claim(webAddress, 'COUNTERSIGN_MAILBOX_ADDRESS');
  const smtp = await claim(smtpAddress, 'COUNTERSIGN_MAILBOX_SMTP_ADDRESS');
  // maildev writes each mail to a file, and by default all of them on a machine share one folder.
  const mailDirectory = await mkdtemp(join(tmpdir(), 'countersign-mailbox-'));
  const workerData: PartialMailDevConfig = {
    web,
    webIp: webAddress.host,
    smtp,
    ip: smtpAddress.host,
    mailDirectory,
    maxEmails: MAX_EMAILS,
    maxMessageSize: MAX_MESSAGE_BYTES,
    silent: true,
  };
  const worker = new Worker(new URL('./mailbox-worker.ts', import.meta.url), {
    workerData,
    stdout: true,
    stderr: true,
  });
  worker.stdout.resume();
  worker.stderr.resume();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= worker.terminate().then(() => rm(mailDirectory, { recursive: true, force: true }));
    return stopped;
  };

  const ready = once(worker, 'message').then(
    () => void worker.on('error', (error) => log.error({ err: error }, 'the development mailbox has failed')),
    async (cause) => {
      await stop();
      throw new Error(
        'The development mailbox (maildev) did not start. ' +
          'Run `npm ci` with development dependencies, or set SMTP_URL to a mail server.',
        { cause },
      );
    },
  );
  return {
    webUrl: `http://${hostAndPort(webAddress.host, web)}`,
    smtpUrl: `smtp://${hostAndPort(smtpAddress.host, smtp)}`,
    ready,
    stop,
  };
}

/** Returns the port, which any free one stands for where it is 0. */
async function claim({ host, port }: MailboxAddress, setting: string): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, resolve);
    });
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    throw new Error(
      `The development mailbox can't listen on ${hostAndPort(host, port)}${taken ? ', which is taken' : ''}. ` +
        `Set ${setting} to another address.`,
      { cause: error },
    );
  }
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : port;
}

function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
