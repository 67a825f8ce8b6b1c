// A service that checks sessions with the SDK, in a process that `checkingServices` began: it answers what it is asked, and ends
// by itself once its checker is closed.

import { setTimeout as sleep } from 'node:timers/promises';
import { CountersignError, createSessionChecker } from '../../clients/service/index.ts';
import { type Message, monotonicMs, type Question, type Verdict } from './session-checkers.ts';

const checker = createSessionChecker(JSON.parse(process.argv[2] ?? ''));
const send = (message: Message) => void process.send?.(message);
let revoked = Promise.withResolvers<void>();
checker.onRevoked(({ sessionId }) => {
  revoked.resolve();
  revoked = Promise.withResolvers();
  send({ told: sessionId });
});

const check = async (token: string, fresh = false): Promise<Verdict> => {
  try {
    const { sessionId } = await checker.check(token, { fresh });
    return { sessionId };
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return { reason: error.reason, cause: error.reasonMetadata['cause'] ?? '' };
  }
};
const untilRefused = async (token: string): Promise<number> => {
  for (;;) {
    const told = revoked.promise;
    if ('reason' in (await check(token))) return monotonicMs();
    await Promise.race([told, sleep(1)]);
  }
};
const answerTo = (question: Question): Promise<unknown> | unknown => {
  if (question.ask === 'check') return check(question.token, question.fresh);
  if (question.ask === 'untilRefused') return untilRefused(question.token);
  return checker.staleness();
};
process.on('message', async (question: Question & { readonly number: number }) => {
  send({ answer: question.number, value: await answerTo(question) });
});
process.once('disconnect', () => void checker.close());
await checker.ready(30_000);
send({ answer: 0, value: undefined });
