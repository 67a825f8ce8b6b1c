// What is wrong with an environment: all of it, each thing once, and nothing that only follows from another.

import { expect, test } from 'vitest';
import { diagnose } from '../../server/command/diagnose.ts';
import { productionEnv } from '../support/processes.ts';

const production = productionEnv({ databaseUrl: 'postgres://127.0.0.1/x', smtpUrl: 'smtp://127.0.0.1' });
const faultsOf = (changes: Readonly<Record<string, string>>) =>
  diagnose({ ...production, ...changes }).faults.map(({ message }) => message);
const noFile = '/nowhere';

test('there is nothing wrong with what is good', () => {
  expect(faultsOf({})).toEqual([]);
});

test.each<readonly [what: string, changes: Readonly<Record<string, string>>, faults: readonly RegExp[]]>([
  [
    'a key of APNs',
    {
      COUNTERSIGN_APNS_KEY: noFile,
      COUNTERSIGN_APNS_KEY_ID: 'ABCDEFGHIJ',
      COUNTERSIGN_APNS_TEAM_ID: 'ABCDEFGHIJ',
    },
    [/^COUNTERSIGN_APNS_KEY takes .*ENOENT/],
  ],
  [
    'a certificate',
    {
      COUNTERSIGN_INTERNAL_ADDRESS: '0.0.0.0:9090',
      COUNTERSIGN_INTERNAL_TLS_CERT: noFile,
      COUNTERSIGN_INTERNAL_TLS_KEY: noFile,
    },
    [/^COUNTERSIGN_INTERNAL_TLS_CERT takes/, /^COUNTERSIGN_INTERNAL_TLS_KEY takes/],
  ],
  [
    'a directory',
    { COUNTERSIGN_DIRECTORY_URL: 'ldap://x', COUNTERSIGN_DIRECTORY_TOKEN: '0123456789abcdef' },
    [/^COUNTERSIGN_DIRECTORY_URL takes/],
  ],
  [
    'a file of keys',
    { COUNTERSIGN_CODE_KEYS: '', COUNTERSIGN_CODE_KEYS_FILE: noFile },
    [/^COUNTERSIGN_CODE_KEYS_FILE takes/],
  ],
  [
    'a file of service tokens beside them',
    { COUNTERSIGN_SERVICE_TOKENS_FILE: noFile, COUNTERSIGN_CODE_DIGITS: '3' },
    [/^COUNTERSIGN_SERVICE_TOKENS_FILE takes/, /^COUNTERSIGN_CODE_DIGITS takes/],
  ],
  [
    'what is missing, beside what is unfit',
    { COUNTERSIGN_APNS_KEY_ID: 'ABCDEFGHIJ', COUNTERSIGN_PUBLIC_URL: 'http://auth.example.com' },
    [/^COUNTERSIGN_APNS_KEY is missing: COUNTERSIGN_APNS_KEY_ID needs it/, /^COUNTERSIGN_PUBLIC_URL takes .*https/],
  ],
  [
    'a password that is not percent-encoded',
    { SMTP_URL: 'smtp://anna:pa%ss@127.0.0.1', DATABASE_URL: 'postgres://an%na@127.0.0.1/x' },
    [/^DATABASE_URL takes .*percent-encoded/, /^SMTP_URL takes .*percent-encoded/],
  ],
])('%s: that is told, and nothing that follows from it', (_what, changes, faults) => {
  expect(faultsOf(changes)).toEqual(faults.map((fault) => expect.stringMatching(fault)));
});
