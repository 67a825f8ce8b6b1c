// The whole story of an account, once more, word for word, where the account lives in another system: the example's.

import { keepAccountsElsewhere } from '../support/server.ts';

keepAccountsElsewhere();
await import('./clients.test.ts');
