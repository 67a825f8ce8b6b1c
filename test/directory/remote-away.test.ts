// A directory that is away or does not answer: how often it is asked, how long it is waited for, and what goes on without it.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { times } from '../support/at-once.ts';
import { type Behaviour, type DirectoryStandIn, startDirectoryStandIn } from '../support/directory-stand-in.ts';
import { eventually } from '../support/eventually.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestAccount, type TestServer } from '../support/server.ts';
import { remoteSite } from './remote-site.ts';

const site = remoteSite();
const { somebody, honest, signIn, getAccount, lookUp, expectOutage } = site;

let directory: DirectoryStandIn;
let server: TestServer;

beforeAll(async () => {
  ({ directory, server } = await site.start());
});
afterAll(() => site.stop());
afterEach(() => directory.behave(honest));

describe('a directory', () => {
  test('that is away for a moment is asked again, and nobody sees it', async () => {
    const person = somebody();
    let away = 2;
    directory.behave((asked) => {
      away -= 1;
      return away >= 0 ? { status: 14 } : honest(asked);
    });
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('that stays away is asked three times', async () => {
    const person = somebody();
    directory.behave(() => ({ status: 14 }));
    await expectOutage(signIn(person), person);
    expect(directory.asked.filter(({ email }) => email === person.email)).toHaveLength(3);
  });

  test('that says no is not asked twice', async () => {
    const person = somebody();
    directory.behave(() => ({ status: 16 }));
    await expectOutage(signIn(person), person);
    expect(directory.asked.filter(({ email }) => email === person.email)).toHaveLength(1);
  });

  test('that restarts between two calls is found again, and nobody sees it', async () => {
    const person = somebody();
    await lookUp(person);
    await directory.down();
    await directory.up();
    expect((await signIn(person)).result.case).toBe('challengeGrant');
  });

  test('that is away keeps nobody from saying "it wasn’t me" by a mail’s link', async () => {
    const person = somebody();
    await signIn(person);
    await server.mail.codeFor(person.email);
    const [mail] = server.mail.codeMailsTo(person.email);
    const found = /\/deny\?token=(\S+)/.exec(mail?.text.replaceAll('\n', ' ') ?? '')?.[1] ?? '';
    directory.behave(() => ({ status: 14 }));
    const body = new URLSearchParams({ token: decodeURIComponent(found) });
    const page = await fetch(`${server.publicUrl}/deny`, { method: 'POST', body });
    expect(page.status).toBe(200);
    const denied = 'select from challenge where account_id = $1 and deny_time is not null';
    expect(await server.query(denied, [person.accountId])).toHaveLength(1);
  });
});

describe('a directory that does not answer', () => {
  let dead: DirectoryStandIn;
  let impatient: TestServer;
  beforeAll(async () => {
    dead = await startDirectoryStandIn();
    dead.behave(honest);
    impatient = await startTestServer({
      COUNTERSIGN_DIRECTORY_URL: dead.url,
      COUNTERSIGN_DIRECTORY_PATIENCE: '1s',
    });
  });
  afterAll(async () => {
    await impatient?.stop();
    await dead?.stop();
  });

  const said = (words: string) => impatient.log.filter((line) => line.includes(words)).length;
  /** Until nobody is asked any more. */
  const giveUp = async (person: TestAccount) => {
    const before = said('the directory is out of reach');
    await eventually(30_000, async () => {
      await Promise.all(times(12, () => refusal(getAccount(person, impatient))));
      expect(said('the directory is out of reach')).toBeGreaterThan(before);
    });
  };
  const comeBack = (person: TestAccount) =>
    eventually(30_000, async () => {
      expect((await getAccount(person, impatient)).account?.accountId).toBe(person.accountId);
    });

  test('is waited for no longer than the patience, then not asked at all, and then asked again by one', async () => {
    const person = somebody();
    dead.behave(() => 'silent');
    await expectOutage(signIn(person, impatient), person, impatient);
    await giveUp(person);
    await eventually(30_000, async () => {
      const before = dead.asked.length;
      await expectOutage(signIn(person, impatient), person, impatient);
      expect(dead.asked).toHaveLength(before);
    });
    expect(said('not asked, for it was out of reach a moment ago')).toBeGreaterThan(0);

    dead.behave(honest);
    await comeBack(person);
    expect(said('the directory answers again')).toBeGreaterThan(0);
    expect((await signIn(person, impatient)).result.case).toBe('challengeGrant');
    // The connection that was silent was not trusted again.
    expect(dead.connections).toBeGreaterThan(1);
  });

  test('because nobody listens is found when somebody does', async () => {
    const person = somebody();
    await dead.down();
    await expectOutage(signIn(person, impatient), person, impatient);
    expect(said('ECONNREFUSED')).toBeGreaterThan(0);
    await giveUp(person);
    await dead.up();
    await comeBack(person);
    expect((await signIn(person, impatient)).result.case).toBe('challengeGrant');
  });

  test.each([{ status: 14 }, 'silent'] satisfies Behaviour[])(
    'about one account (%j), and is asked for little else, is taken for one that is away, for a while',
    async (trouble) => {
      const [person, other] = [somebody(), somebody()];
      dead.behave((asked) => (asked.email === person.email ? trouble : honest(asked)));
      await comeBack(other);
      await eventually(30_000, async () => {
        await Promise.all(times(30, () => refusal(lookUp(person, impatient))));
        expect((await refusal(lookUp(other, impatient))).reason).toBe('DEPENDENCY_UNAVAILABLE');
      });
      await comeBack(other);
    },
  );

  test('holds up nothing that needs no address', async () => {
    const person = somebody();
    const { client } = await impatient.signInNewDevice(person);
    const { result } = await signIn(person, impatient);
    if (result.case !== 'challengeGrant') throw new Error('no challenge');
    const code = await impatient.mail.codeFor(person.email, 2);
    await dead.down();
    try {
      expect((await refusal(client.twoStepAuth.getSettings({}))).reason).toBe('DEPENDENCY_UNAVAILABLE');
      await client.twoStepAuth.refreshSession({ refreshToken: client.tokens?.refreshToken ?? '' });
      const { challengeToken } = result.value;
      const { session } = await impatient.appClient().twoStepAuth.verifyCode({ challengeToken, code });
      expect(session?.deviceToken).toBeTruthy();
    } finally {
      await dead.up();
    }
  });
});

test('after all of this no password stands in the log or in the database, nor does the token', () =>
  site.expectNoSecretKept());
