// The customer's system, where the accounts of a test may live: the server of examples/directory, on loopback.

import { type Accounts, createAccounts } from '../../examples/directory/accounts.ts';
import { hashPassword } from '../../examples/directory/passwords.ts';
import { serveDirectory } from '../../examples/directory/server.ts';

export interface TestDirectory {
  /** The settings that lead a server here. */
  readonly env: Readonly<Record<string, string>>;
  readonly accounts: Accounts;
  /** Adds an account, or gives one a new password. */
  put(accountId: string, email: string, password: string): Promise<void>;
  stop(): void;
}

const token = 'test-directory-token-0123456789';

/** A hash of a few ms: how long one should take is not what is tested. */
const cheap = { ln: 4, r: 8, p: 1 };

export async function startTestDirectory(): Promise<TestDirectory> {
  const accounts = createAccounts();
  const { port, stop } = await serveDirectory({ accounts, token, address: '127.0.0.1:0' });
  return {
    env: {
      COUNTERSIGN_DIRECTORY_URL: `http://127.0.0.1:${port}`,
      COUNTERSIGN_DIRECTORY_TOKEN: token,
      // A test machine may be slow for reasons of its own.
      COUNTERSIGN_DIRECTORY_PATIENCE: '20s',
    },
    accounts,
    put: async (accountId, email, password) =>
      accounts.put({ accountId, email, locale: '', passwordHash: await hashPassword(password, cheap) }),
    stop,
  };
}
