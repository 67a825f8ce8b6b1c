// The server that is measured, in a process that `Parts.start` began.

import { pino } from 'pino';
import { startApp } from '../server/app.ts';
import { systemClock } from '../server/platform/clock.ts';
import { answerParent, benchConfig } from './support.ts';

const app = await startApp(benchConfig(JSON.parse(process.argv[2] ?? '')), pino({ level: 'warn' }), systemClock);
answerParent({ publicUrl: app.publicAddress, internalUrl: app.internalAddress }, () => app.stop());
