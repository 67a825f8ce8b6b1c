// The server that is measured, in a process that `Parts.start` began: with production's log, which goes nowhere.

import { destination } from 'pino';
import { startApp } from '../server/app.ts';
import { systemClock } from '../server/platform/clock.ts';
import { createLog } from '../server/platform/log.ts';
import { answerParent, benchConfig } from './support.ts';

const config = benchConfig(JSON.parse(process.argv[2] ?? ''));
const app = await startApp(config, createLog(config.logLevel, destination('/dev/null')), systemClock);
answerParent({ publicUrl: app.publicAddress, internalUrl: app.internalAddress }, () => app.stop());
