// That the mail server of the tests answers as the RFCs say that one does, to a client that knows them.

import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MailServer, startMailServer } from './mail-server.ts';
import { times } from './stand-in.ts';

let mail: MailServer;
beforeAll(async () => {
  mail = await startMailServer();
});
afterAll(() => mail.stop());

const send = (to: string) => {
  const transport = createTransport({ url: mail.url, socketTimeout: 2_000 });
  return transport.sendMail({ from: 'no-reply@example.com', to, subject: 'Code', text: '\n123456\n' });
};
const outcomes = (to: string) => mail.attemptsOf(to).map(({ outcome }) => outcome);

test('a mail is kept, with the time of its arrival', async () => {
  const before = performance.now();
  expect((await send('anna@example.com')).response).toMatch(/^250 /);
  const [kept] = await mail.waitFor('anna@example.com');
  expect(kept?.at).toBeGreaterThan(before);
  expect(await mail.codeFor('anna@example.com')).toBe('123456');
});

test('a greylisted address is taken at the third try', async () => {
  const to = 'grey@example.com';
  mail.behave(to, times(2, 'greylisted'));
  for (let tries = 0; tries < 2; tries += 1) {
    await expect(send(to)).rejects.toMatchObject({
      responseCode: 451,
      response: expect.stringMatching(/^451 4\.7\.1 /),
    });
  }
  await send(to);
  expect(outcomes(to)).toEqual(['451', '451', '250']);
  expect(mail.mails.filter((kept) => kept.to === to)).toHaveLength(1);
});

test.each([
  ['unknown-user', 550, /^550 5\.1\.1 /],
  ['refused-after-data', 554, /^554 5\.7\.1 /],
  ['deferred-after-data', 451, /^451 4\.3\.0 /],
] as const)('%s is answered %i', async (behaviour, responseCode, words) => {
  const to = `${behaviour}@example.com`;
  mail.behave(to, behaviour);
  await expect(send(to)).rejects.toMatchObject({ responseCode, response: expect.stringMatching(words) });
  expect(outcomes(to)).toEqual([String(responseCode)]);
  expect(mail.mails.filter((kept) => kept.to === to)).toEqual([]);
});

test('a slow server answers late', async () => {
  mail.behave('slow@example.com', { slowMs: 300 });
  const begun = performance.now();
  await send('slow@example.com');
  expect(performance.now() - begun).toBeGreaterThanOrEqual(295);
});

test.each([
  ['drop-before', 0],
  ['drop-after', 1],
] as const)('a connection that breaks (%s) leaves %i mails', async (behaviour, count) => {
  const to = `${behaviour}@example.com`;
  mail.behave(to, [behaviour]);
  await expect(send(to)).rejects.not.toHaveProperty('responseCode');
  expect(mail.mails.filter((kept) => kept.to === to)).toHaveLength(count);
  await send(to);
  expect(outcomes(to)).toEqual([behaviour, '250']);
});

test('a busy server greets with 421', async () => {
  mail.refuseConnections(1);
  await expect(send('busy@example.com')).rejects.toThrow(/421/);
  await send('busy@example.com');
});

test('a server that is down comes back at the same address, with what it had', async () => {
  await mail.pause();
  await expect(send('late@example.com')).rejects.toMatchObject({ code: 'ESOCKET' });
  await mail.resume();
  await send('late@example.com');
  expect(mail.mails.length).toBeGreaterThan(1);
});
