// What the suites of accounts in another system share: a directory, a server that asks it, people, and what is asked for them.

import { Code } from '@connectrpc/connect';
import { expect } from 'vitest';
import { RevocationReason } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { secrets } from '../../server/platform/secrets.ts';
import {
  type Asked,
  type Behaviour,
  type DirectoryStandIn,
  type Method,
  startDirectoryStandIn,
} from '../support/directory-stand-in.ts';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer, type TestAccount, type TestServer } from '../support/server.ts';

export const token = 'the-token-of-the-directory';

/** One directory and one server for a file, with people of its own. */
export function remoteSite() {
  const people: (TestAccount & { readonly locale: string })[] = [];

  /** One more person with an account, whom the server has not heard of. */
  function somebody(): TestAccount {
    const number = people.length + 1;
    const person = {
      accountId: `user/${number} ü`,
      email: `person${number}@example.com`,
      password: `s3cret of person ${number}`,
      locale: '',
    };
    people.push(person);
    return person;
  }

  /** As a directory that is well. */
  function honest({ method, ...asked }: Asked): Behaviour {
    const { accountId, email, password } = asked;
    const found = people.find((person) =>
      method === 'getAccount' ? person.accountId === accountId : person.email === email.trim().toLowerCase(),
    );
    return { account: method !== 'verifyPassword' || found?.password === password ? found : undefined };
  }

  /** The same, but for one method. */
  const but = (method: Method, behaviour: Behaviour) => (asked: Asked) =>
    asked.method === method ? behaviour : honest(asked);

  let directory: DirectoryStandIn;
  let server: TestServer;

  /** Before the tests of a file. */
  async function start() {
    directory = await startDirectoryStandIn();
    directory.behave(honest);
    server = await startTestServer({
      COUNTERSIGN_DIRECTORY_URL: directory.url,
      COUNTERSIGN_DIRECTORY_TOKEN: token,
      COUNTERSIGN_DIRECTORY_PATIENCE: '20s',
    });
    return { directory, server };
  }
  async function stop() {
    await server?.stop();
    await directory?.stop();
  }

  const signIn = ({ email, password }: Pick<TestAccount, 'email' | 'password'>, at = server) =>
    at.appClient().twoStepAuth.signIn({ email, password, device: iphone });

  const getAccount = ({ accountId }: TestAccount, at = server) =>
    at.service.accounts.getAccount({ key: { case: 'accountId', value: accountId } });
  const lookUp = ({ email }: TestAccount, at = server) =>
    at.service.accounts.getAccount({ key: { case: 'email', value: email } });

  const passwordChanged = ({ accountId }: TestAccount, at = server) =>
    at.service.sessions.revokeSessions({ accountId, reason: RevocationReason.PASSWORD_CHANGED });

  /** The call is refused as an outage; its caller got nothing, paid nothing, and the log says nothing of a person. */
  async function expectOutage(call: Promise<unknown>, { accountId, email, password }: TestAccount, at = server) {
    const error = await refusal(call);
    expect(error).toMatchObject({ code: Code.Unavailable, reason: 'DEPENDENCY_UNAVAILABLE' });
    expect(error.retryAfter).toBeGreaterThan(0);
    expect(error.localizedMessage).toBe('This does not work right now. Please try again in a moment.');
    const got = `select 'session' from session where account_id = $1 union all select 'challenge' from challenge where account_id = $1`;
    expect(await at.query(got, [accountId])).toEqual([]);
    const guesses = await at.query('select guesses from password_guesses where email_hash = $1', [
      secrets.hashOf(email),
    ]);
    expect(guesses.flatMap((row) => row['guesses'])).toEqual([]);
    const text = at.log.join('\n');
    for (const secret of [password, email, 'words of its own', token]) expect(text).not.toContain(secret);
  }

  /** What a file asks for once its tests have run. */
  async function expectNoSecretKept() {
    const kept = [...server.log];
    for (const { table } of await server.query(`select format('%I', relname) as table from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`)) {
      const rows = await server.query(`select t::text as row from ${table} t`);
      kept.push(...rows.map(({ row }) => String(row)));
    }
    const text = kept.join('\n');
    expect(text).toContain(people[0]?.accountId);
    expect([token, ...people.map(({ password }) => password)].filter((secret) => text.includes(secret))).toEqual([]);
  }

  const calls = { signIn, getAccount, lookUp, passwordChanged };
  return { somebody, honest, but, start, stop, ...calls, expectOutage, expectNoSecretKept };
}
