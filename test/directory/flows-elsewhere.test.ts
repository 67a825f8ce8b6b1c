// The suites of what people do, once more, word for word, over accounts that live in another system: the example's.

import { describe } from 'vitest';
import { keepAccountsElsewhere } from '../support/server.ts';

keepAccountsElsewhere();

describe.each([
  'alerts',
  'codes-by-push',
  'codes-in-app',
  'login-activity',
  'report',
  'sessions',
  'settings',
  'sign-in',
  'support',
  'trusted-devices',
  'unusual',
  'wrong-codes',
])('%s', async (suite) => {
  await import(`../flows/${suite}.test.ts`);
});
