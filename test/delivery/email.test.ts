// Mail by SMTP: two routes, what each answer means, and what receivers check of a mail: DKIM, SPF and DMARC, by an implementation
// that is not ours.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { authenticate } from 'mailauth';
import { afterEach, describe, expect, test } from 'vitest';
import { createMailer, type Mailer, type MailSettings } from '../../server/delivery/email.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';

const servers: MailServer[] = [];
const mailers: Mailer[] = [];
afterEach(async () => {
  for (const mailer of mailers.splice(0)) mailer.close();
  for (const server of servers.splice(0)) await server.stop();
});

async function startServer(): Promise<MailServer> {
  const server = await startMailServer();
  servers.push(server);
  return server;
}

function mailerOver(routes: readonly string[], more: Partial<MailSettings> = {}): Mailer {
  const mailer = createMailer({
    routes,
    from: 'Routerwerk <no-reply@mail.example.com>',
    dkim: undefined,
    logo: undefined,
    elapsedMs: () => performance.now(),
    ...more,
  });
  mailers.push(mailer);
  return mailer;
}

const letter = { subject: 'Your sign-in code', text: 'Für dich: 123456\n', html: '<p>Für dich: 123456</p>' };
const to = 'anna@example.net';
const closedPort = 'smtp://127.0.0.1:1';

describe('of two routes', () => {
  test('the first is taken as long as it takes mail', async () => {
    const [first, second] = [await startServer(), await startServer()];
    const mailer = mailerOver([first.url, second.url]);
    for (const id of ['a', 'b']) expect((await mailer.send(to, id, letter)).kind).toBe('accepted');
    expect([first.mails.length, second.mails.length]).toEqual([2, 0]);
  });

  test.each([
    ['is not there', async () => closedPort],
    [
      'is busy',
      async () => {
        const server = await startServer();
        server.refuseConnections(10);
        return server.url;
      },
    ],
    [
      'breaks off',
      async () => {
        const server = await startServer();
        server.behave(to, 'drop-before');
        return server.url;
      },
    ],
    [
      'says later',
      async () => {
        const server = await startServer();
        server.behave(to, 'greylisted');
        return server.url;
      },
    ],
  ])('the second takes over at once where the first %s, and both are told', async (_, open) => {
    const first = await open();
    const second = await startServer();
    const handover = await mailerOver([first, second.url]).send(to, 'a', letter);
    expect(handover.kind).toBe('accepted');
    expect(handover.answer).toMatch(new RegExp(`^${new URL(first).host}: .+; then ${new URL(second.url).host}: 250`));
    expect(second.mails).toHaveLength(1);
  });

  test.each([
    ['in its greeting', (socket: Socket) => socket.end('554 5.7.1 Your address is blocked\r\n')],
    [
      'at the sender',
      (socket: Socket) => {
        socket.write('220 hello\r\n');
        socket.on('data', (data) =>
          socket.write(/^MAIL/i.test(String(data)) ? '550 5.7.1 not from you\r\n' : '250 ok\r\n'),
        );
      },
    ],
  ])(
    'the second takes over where the first refuses us for good %s: that is none of the recipient’s',
    async (_, talk) => {
      const first = createServer((socket) => {
        socket.on('error', () => {});
        talk(socket);
      });
      first.listen(0, '127.0.0.1');
      await once(first, 'listening');
      const second = await startServer();
      const { port } = first.address() as AddressInfo;
      const handover = await mailerOver([`smtp://127.0.0.1:${port}`, second.url]).send(to, 'a', letter);
      expect(handover.kind).toBe('accepted');
      expect(handover.answer).toContain('5.7.1');
      expect(second.mails).toHaveLength(1);
      first.close();
    },
  );

  test('a first one that failed is avoided for half a minute, and then tried again', async () => {
    const [first, second] = [await startServer(), await startServer()];
    let elapsed = 0;
    const mailer = mailerOver([first.url, second.url], { elapsedMs: () => elapsed });
    first.behave(to, ['greylisted']);
    for (const id of ['a', 'b']) await mailer.send(to, id, letter);
    expect([first.mails.length, second.mails.length]).toEqual([0, 2]);
    elapsed += 30_001;
    await mailer.send(to, 'c', letter);
    expect([first.mails.length, second.mails.length]).toEqual([1, 2]);
  });

  test('a refusal for good is not asked for twice', async () => {
    const [first, second] = [await startServer(), await startServer()];
    first.behave(to, 'unknown-user');
    const handover = await mailerOver([first.url, second.url]).send(to, 'a', letter);
    expect(handover.kind).toBe('refused');
    expect(handover.answer).toContain('550 5.1.1');
    expect(second.attemptsOf(to)).toHaveLength(0);
  });

  test('with neither there, nobody is reachable, and both are told', async () => {
    const handover = await mailerOver([closedPort, 'smtp://127.0.0.1:2']).send(to, 'a', letter);
    expect(handover.kind).toBe('unreachable');
    expect(handover.answer).toMatch(/^127\.0\.0\.1:1: .*; then 127\.0\.0\.1:2: /);
  });
});

describe('a mail', () => {
  test('names itself by its delivery, is from no-reply, asks for no answer, and is text and HTML without tracking', async () => {
    const server = await startServer();
    await mailerOver([server.url]).send(to, '0197a3c2-5b00-7abc-8def-00000000039d', letter);
    const raw = server.mails[0]?.raw ?? '';
    expect(raw).toMatch(/^Message-ID: <0197a3c2-5b00-7abc-8def-00000000039d@mail\.example\.com>\r?$/m);
    expect(raw).toMatch(/^From: Routerwerk <no-reply@mail\.example\.com>\r?$/m);
    expect(raw).toMatch(/^Auto-Submitted: auto-generated\r?$/m);
    expect(raw).toMatch(/^Content-Type: multipart\/alternative/m);
    expect(raw).not.toMatch(/^(Disposition-Notification-To|Return-Receipt-To|X-Mailer)/im);
  });

  test('brings its logo along, named by its content id', async () => {
    const server = await startServer();
    const logo = { contentId: 'logo', contentType: 'image/png', content: Buffer.from('89504e470d0a1a0a', 'hex') };
    const html = '<img src="cid:logo">';
    await mailerOver([server.url], { logo }).send(to, 'a', { ...letter, html });
    const raw = server.mails[0]?.raw ?? '';
    expect(raw).toMatch(/^Content-Id: <logo>\r?$/im);
    expect(raw).toMatch(/^Content-Disposition: inline; filename=logo\.png/im);
  });
});

describe('a receiver', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const records: Readonly<Record<string, readonly string[]>> = {
    'TXT mail2026._domainkey.mail.example.com': [`v=DKIM1; k=rsa; p=${key}`],
    'TXT mail.example.com': ['v=spf1 ip4:127.0.0.1 -all'],
    'TXT _dmarc.mail.example.com': ['v=DMARC1; p=reject; adkim=s; aspf=s'],
  };
  const resolver = async (name: string, type: string) => {
    const found = records[`${type} ${name}`];
    if (found === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return found.map((text) => [text]);
  };
  const dkim = {
    domain: 'mail.example.com',
    selector: 'mail2026',
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  /** The checks of a mail as it arrived, or with a change on its way. */
  const checked = async (change = (raw: string) => raw) => {
    const server = await startServer();
    await mailerOver([server.url], { dkim }).send(to, 'a', letter);
    const { raw = '', sender = '' } = server.mails[0] ?? {};
    return authenticate(Buffer.from(change(raw)), {
      ip: '127.0.0.1',
      helo: 'mail.example.com',
      sender,
      resolver: resolver as never,
      trustReceived: false,
      strict: true,
    } as never);
  };

  test('finds a good signature of the sender’s domain, a permitted server, and both aligned', async () => {
    const { dkim: signatures, spf, dmarc } = await checked();
    expect(signatures.results).toHaveLength(1);
    expect(signatures.results[0]).toMatchObject({
      signingDomain: 'mail.example.com',
      selector: 'mail2026',
      algo: 'rsa-sha256',
      status: { result: 'pass', aligned: 'mail.example.com' },
    });
    expect(spf).toMatchObject({ status: { result: 'pass' } });
    expect(dmarc).toMatchObject({ status: { result: 'pass' } });
  });

  test.each<[string, (raw: string) => string]>([
    ['code', (raw) => raw.replaceAll('123456', '654321')],
    ['subject', (raw) => raw.replace(/^Subject: /m, 'Subject: Re: ')],
    ['sender', (raw) => raw.replace('no-reply@mail.example.com>', 'yes-reply@mail.example.com>')],
    ['recipient', (raw) => raw.replace(/^To: anna/m, 'To: ann')],
  ])('sees a changed %s', async (_, change) => {
    const { dkim: signatures } = await checked(change);
    expect(signatures.results[0]?.status.result).toBe('fail');
  });
});
