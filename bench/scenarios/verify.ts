// VerifyCode alone, beside the plainest service that could stand for it: one transaction of three statements.

import { createAccounts, type SignedInDevice } from '../accounts.ts';
import { type Contestant, contest, flowWarmUpMs } from '../contest.ts';
import type { Server } from '../contestants.ts';
import { challengeOf, codeOf, from, paths, requireFirstField, signInFrame, verifyFrame } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';

const workers = 16;
/** Opening takes longer than verifying. A slice ends before its time where there were not enough. */
const preparingShare = 2;
/** So many that an account opens fewer challenges than its hour allows, and gets no more devices than a person has. */
const accounts = 2_000;

export const verify: Scenario = {
  name: 'verify',
  title: 'VerifyCode, 16 at once',
  async run({ contestants, database, options }) {
    const [product, connect] = [await contestants.product(), await contestants.floor('connect')];
    const devices = await createAccounts(database, {
      prefix: 'verify-',
      accounts,
      devicesEach: 1,
      hash: 'plain',
      watched: true,
    });
    const standings = await contest([verifier('Countersign', product, devices), threeStatements(connect)], {
      ...options,
      firstWarmUpMs: flowWarmUpMs,
      workers,
    });
    return {
      tables: [standingsTable(verify.title, standings)],
      targets: atLeast(1, standings, 'Countersign', transactionFloor),
      notes: [
        'The transaction: begin, look up and lock a challenge, update it, insert a session, commit; five round trips.',
      ],
    };
  },
};

const requireSession = requireFirstField(1, 2);

/** Challenges are opened before each slice, by sign-ins that are not timed. */
function verifier(name: string, product: Server, devices: readonly SignedInDevice[]): Contestant {
  let turn = 0;
  let ready: { readonly frame: Buffer; readonly device: SignedInDevice }[] = [];
  const open = async (device: SignedInDevice) => {
    const answer = await product.public.call(paths.signIn, from(device), signInFrame(device.email));
    const challenge = challengeOf(answer);
    ready.push({ device, frame: verifyFrame(challenge.challengeToken, codeOf(challenge)) });
  };
  return {
    name,
    cpuMs: product.cpuMs,
    prepare: async (ms) => {
      ready = [];
      const end = performance.now() + ms * preparingShare;
      const work = async () => {
        while (performance.now() < end) {
          turn += 1;
          const device = devices[turn % devices.length];
          if (device !== undefined) await open(device);
        }
      };
      await Promise.all(Array.from({ length: workers }, work));
    },
    call: () => {
      const next = ready.pop();
      return next && product.public.call(paths.verifyCode, from(next.device), next.frame).then(requireSession);
    },
  };
}

export const transactionFloor = 'Connect, three statements';

export function threeStatements({ internal, cpuMs }: Server): Contestant {
  // As long as the product's.
  const frame = verifyFrame('c'.repeat(56), '123456');
  return {
    name: transactionFloor,
    cpuMs,
    call: () => internal.call(paths.verifyCode, from({ ipAddress: '81.2.69.7' }), frame).then(requireSession),
  };
}
