// A directory that lies: nobody gets in by it, nobody is charged for it, and everybody is told that it is not their fault.

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { times } from '../support/at-once.ts';
import { type Answered, accountMessage, type Behaviour, type DirectoryStandIn } from '../support/directory-stand-in.ts';
import type { TestAccount, TestServer } from '../support/server.ts';
import { remoteSite } from './remote-site.ts';

const site = remoteSite();
const { somebody, honest, but, signIn, getAccount, lookUp, expectOutage } = site;

let directory: DirectoryStandIn;
let server: TestServer;

beforeAll(async () => {
  ({ directory, server } = await site.start());
});
afterAll(() => site.stop());
afterEach(() => directory.behave(honest));

type Lie = (person: TestAccount) => Behaviour;

const named =
  (more: Partial<Answered>): Lie =>
  ({ accountId, email }) => ({ bytes: accountMessage({ accountId, email, ...more }) });
const bytes =
  (...values: number[]): Lie =>
  () => ({ bytes: Uint8Array.from(values) });

/** What no directory may say, whatever it was asked. */
const lies: Readonly<Record<string, Lie>> = {
  'who does not know our token': () => ({ status: 16, words: 'words of its own' }),
  'who fails inside, and repeats what it was asked': ({ email, password }) => ({
    status: 13,
    words: `no ${password} of ${email}`,
  }),
  'who knows no such call': () => ({ status: 12 }),
  'whose proxy says that it is not there': () => ({ http: 503 }),
  'whose proxy answers with a page': ({ email }) => ({ http: 200, body: `<h1>${email}</h1>` }),
  'who breaks the call off': () => 'reset',
  'who breaks the connection off': () => 'cut',
  'who is away': () => ({ status: 14, words: 'words of its own' }),
  'whose message can not be decoded': bytes(0x0a, 0x7f, 0x61),
  'whose message has a number for the account': bytes(0x08, 0x01),
  'whose account has a number for its id': bytes(0x0a, 0x02, 0x08, 0x01),
  'whose text is not UTF-8': bytes(0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe),
  // All right but for a field that nobody knows, number 99, of 64 KiB.
  'whose message is larger than 64 KiB': ({ accountId, email }) => {
    const head = Uint8Array.of(0x9a, 0x06, 0x80, 0x80, 0x04);
    return { bytes: Buffer.concat([accountMessage({ accountId, email }), head, Buffer.alloc(64 * 1024)]) };
  },
  'whose account has no id': named({ accountId: '' }),
  'whose account has an id of 130 bytes': named({ accountId: 'ü'.repeat(65) }),
  'whose account has an id with a NUL': named({ accountId: 'user/1\0' }),
  'whose account has no address': named({ email: '' }),
  'whose account has an address that is none': named({ email: 'anna' }),
  'whose account has an address of 255 characters': named({ email: `${'a'.repeat(243)}@example.com` }),
  'whose account has two lines for an address': named({ email: 'anna@example.com\r\nbcc: x@example.com' }),
  'whose account has a language that is none': named({ locale: 'German, please' }),
};

describe.each(Object.entries(lies))('a directory %s', (_, lie) => {
  test.each(['lookUpAccount', 'verifyPassword'] as const)('lets nobody in by %s', async (method) => {
    const person = somebody();
    directory.behave(but(method, lie(person)));
    await expectOutage(signIn(person), person);
    directory.behave(honest);
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('tells of nobody by getAccount', async () => {
    const person = somebody();
    directory.behave(but('getAccount', lie(person)));
    await expectOutage(getAccount(person), person);
    expect(await server.query('select from account where account_id = $1', [person.accountId])).toEqual([]);
  });
});

describe('a directory', () => {
  test('that takes a password for another’s, or for nobody’s, lets nobody in', async () => {
    const [person, other] = [somebody(), somebody()];
    for (const account of [other, { ...person, accountId: `${person.accountId} ` }]) {
      directory.behave(but('verifyPassword', { account }));
      await expectOutage(signIn(person), person);
    }
    directory.behave(but('lookUpAccount', { account: undefined }));
    await expectOutage(signIn(person), person);
    directory.behave(but('lookUpAccount', { account: other }));
    await expectOutage(signIn(person), person);
  });

  test('that tells of another account than it was asked for tells of none', async () => {
    const [person, account] = [somebody(), somebody()];
    directory.behave(but('getAccount', { account }));
    await expectOutage(getAccount(person), person);
  });

  test('that lies of one account, however often, keeps nobody else out', async () => {
    const [person, other] = [somebody(), somebody()];
    for (const lie of [bytes(0xff), () => ({ status: 13 }), () => ({ status: 16 })] satisfies Lie[]) {
      directory.behave((asked) => (asked.email === person.email ? lie(person) : honest(asked)));
      await Promise.all(times(30, () => expectOutage(lookUp(person), person)));
      expect((await lookUp(other)).account?.accountId).toBe(other.accountId);
    }
  });

  test('whose answer about one account makes no sense holds up nobody else’s mail, and is asked again', async () => {
    const [person, other] = [somebody(), somebody()];
    let lying = true;
    directory.behave((asked) =>
      lying && asked.accountId === person.accountId ? { bytes: Uint8Array.of(0xff) } : honest(asked),
    );
    for (let opened = 0; opened < 10; opened++) await signIn(person);
    await signIn(other);
    await server.mail.codeFor(other.email);
    expect(server.mail.codeMailsTo(person.email)).toEqual([]);
    await vi.waitFor(async () => {
      const account = { case: 'email', value: person.email } as const;
      const { trace } = await server.service.support.traceChallenge({ account });
      expect(trace?.messages[0]?.explanation).toContain('the directory of accounts did not answer');
    }, 10_000);
    lying = false;
    await server.mail.codeFor(person.email, 10);
    expect(server.log.join('\n')).not.toContain(person.email);
  });
});

test('after all of this no password stands in the log or in the database, nor does the token', () =>
  site.expectNoSecretKept());
