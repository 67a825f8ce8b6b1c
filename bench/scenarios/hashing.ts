// What password hashing takes from everything else: introspection alone, and beside sign-ins with the real hash.

import { createAccounts } from '../accounts.ts';
import { contest, median } from '../contest.ts';
import { lendInTurn } from '../lend.ts';
import { from, introspectFrame, paths, requireFirstField, signInFrame } from '../requests.ts';
import { type Scenario, standingsTable } from '../scenario.ts';
import { caller } from './introspect.ts';

const workers = 8;
const signIns = 16;
const wanted = 2;

export const hashing: Scenario = {
  name: 'hashing',
  title: `IntrospectSession, ${workers} at once, beside ${signIns} sign-ins at once with the real password hash`,
  async run({ contestants, database, options }) {
    const product = await contestants.product();
    const devices = await createAccounts(database, {
      prefix: 'hashing-',
      accounts: 400,
      devicesEach: 2,
      hash: 'argon2id',
    });
    // The first device of each account introspects, the second signs in, and does not end the first one's session.
    const introspect = caller(
      product.internal,
      devices.slice(0, 400).map(({ accessToken }) => introspectFrame(accessToken)),
    );
    const lend = lendInTurn(devices.slice(400));
    const requireSession = requireFirstField(1, 2);
    const signIn = () =>
      lend(async (device) =>
        requireSession(
          await product.public.call(paths.signIn, from(device), signInFrame(device.email, device.deviceToken)),
        ),
      );
    let signedIn = 0;
    let beside = false;
    let wave: Promise<unknown> = Promise.resolve();
    const stop = async () => {
      beside = false;
      await wave;
    };
    const start = async () => {
      await stop();
      beside = true;
      const work = async () => {
        while (beside) {
          await signIn();
          signedIn += 1;
        }
      };
      wave = Promise.all(Array.from({ length: signIns }, work));
      wave.catch(() => {});
    };
    const { cpuMs } = product;
    const standings = await contest(
      [
        { name: 'alone', cpuMs, prepare: stop, call: introspect },
        { name: 'beside sign-ins', cpuMs, prepare: start, call: introspect },
      ],
      { ...options, workers },
    );
    await stop();
    const [alone, besides] = standings.map(({ p99s }) => p99s);
    const ratio = median((besides ?? []).map((p99, round) => p99 / (alone?.[round] ?? Number.NaN)));
    return {
      tables: [standingsTable(hashing.title, standings)],
      targets: [
        {
          what: 'p99 beside sign-ins / p99 alone',
          wanted: `≤ ${wanted.toFixed(2)}`,
          measured: ratio.toFixed(2),
          reached: ratio <= wanted,
        },
      ],
      notes: [
        `The ratio is the median over the rounds. ${signedIn} sign-ins were made meanwhile; the default of hashes at once.`,
      ],
    };
  },
};
