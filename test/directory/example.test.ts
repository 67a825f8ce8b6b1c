// The example, as the README has it started: its accounts sign in, and nobody asks it without its token.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { refusal } from '../support/refusal.ts';
import { iphone, startTestServer } from '../support/server.ts';

const token = 'a-token-of-the-example';

test('the accounts of its file sign in, in their own language; without its token nobody does', async () => {
  const example = spawn(process.execPath, ['examples/directory/main.ts'], {
    env: { DIRECTORY_PORT: '0', DIRECTORY_TOKEN: token },
  });
  onTestFinished(async () => {
    const exited = once(example, 'exit');
    example.kill();
    await exited;
  });
  const url = await new Promise<string>((resolve, reject) => {
    let said = '';
    example.once('exit', () => reject(new Error(`the example ended: ${said}`)));
    for (const stream of [example.stdout, example.stderr]) {
      stream.on('data', (chunk) => {
        said += chunk;
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
        if (found !== undefined) resolve(found);
      });
    }
  });
  const env = { COUNTERSIGN_DIRECTORY_URL: url, COUNTERSIGN_DIRECTORY_PATIENCE: '20s' };
  const [server, stranger] = await Promise.all([
    startTestServer({ ...env, COUNTERSIGN_DIRECTORY_TOKEN: token }),
    startTestServer({ ...env, COUNTERSIGN_DIRECTORY_TOKEN: `${token}-` }),
  ]);
  onTestFinished(async () => {
    await Promise.all([server.stop(), stranger.stop()]);
  });
  const boris = { email: 'boris@example.com', password: 'верный конь и батарейка', device: iphone };
  const anna = { accountId: 'user-1001', email: 'anna@example.com', password: 'correct horse battery' };
  expect((await refusal(stranger.appClient().twoStepAuth.signIn(boris))).reason).toBe('DEPENDENCY_UNAVAILABLE');
  const { client } = await server.signInNewDevice(anna);
  expect((await client.account.getAccount({})).account).toMatchObject({ accountId: 'user-1001', locale: 'en' });
  const wrong = server.appClient().twoStepAuth.signIn({ ...boris, password: anna.password });
  expect((await refusal(wrong)).reason).toBe('CREDENTIALS_INCORRECT');
  await server.appClient().twoStepAuth.signIn(boris);
  const [mail] = await server.mail.waitFor(boris.email);
  expect(mail?.subject).toMatch(/[а-я]/);
});
