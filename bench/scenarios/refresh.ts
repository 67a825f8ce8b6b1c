// RefreshSession, beside the transaction that VerifyCode is compared with.

import { createAccounts } from '../accounts.ts';
import { contest, flowWarmUpMs } from '../contest.ts';
import { lendInTurn } from '../lend.ts';
import { from, paths, refreshFrame, refreshTokenOf } from '../requests.ts';
import { type Scenario, standingsTable } from '../scenario.ts';
import { threeStatements } from './verify.ts';

export const refresh: Scenario = {
  name: 'refresh',
  title: 'RefreshSession, 16 at once',
  async run({ contestants, database, options }) {
    const [product, connect] = [await contestants.product(), await contestants.floor('connect')];
    const devices = await createAccounts(database, {
      prefix: 'refresh-',
      accounts: 800,
      devicesEach: 1,
      hash: 'plain',
    });
    const lend = lendInTurn(
      devices.map((device) => ({ headers: from(device), frame: refreshFrame(device.refreshToken) })),
    );
    const renew = () =>
      lend(async (held) => {
        const answer = await product.public.call(paths.refresh, held.headers, held.frame);
        held.frame = refreshFrame(refreshTokenOf(answer));
      });
    const standings = await contest(
      [{ name: 'Countersign', cpuMs: product.cpuMs, call: renew }, threeStatements(connect)],
      { ...options, firstWarmUpMs: flowWarmUpMs, workers: 16 },
    );
    return { tables: [standingsTable(refresh.title, standings)], targets: [], notes: [] };
  },
};
