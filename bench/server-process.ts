// The server that is measured, in a process that `Parts.start` began: with production's log, which goes nowhere.

import { destination } from 'pino';
import { startApp } from '../server/app.ts';
import { createPasswords, type Passwords } from '../server/directory/passwords.ts';
import { systemClock } from '../server/platform/clock.ts';
import { createLog } from '../server/platform/log.ts';
import { plainHash } from './accounts.ts';
import { answerParent, benchConfig } from './support.ts';

const config = benchConfig(JSON.parse(process.argv[2] ?? ''));
const real = createPasswords(config.hashesAtOnce, 200);
const passwords: Passwords = {
  ...real,
  // A stub where the account has one, so that flows are measured without what a hash costs by design.
  verify: async (stored, password) =>
    stored.passwordHash.startsWith(plainHash(''))
      ? stored.passwordHash === plainHash(password)
      : real.verify(stored, password),
  isOutdated: (stored, password) => !stored.passwordHash.startsWith(plainHash('')) && real.isOutdated(stored, password),
};
const log = createLog(config.logLevel, destination('/dev/null'));
const app = await startApp(config, log, systemClock, passwords);
answerParent({ publicUrl: app.publicAddress, internalUrl: app.internalAddress }, () => app.stop());
