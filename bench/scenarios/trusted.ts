// Sign-in on a trusted device: the password and the device's own secret, no code.

import { createAccounts } from '../accounts.ts';
import { contest, flowWarmUpMs } from '../contest.ts';
import { lendInTurn } from '../lend.ts';
import { from, paths, requireFirstField, signInFrame } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';

/** So many that a device's earlier sessions, which stay for a while, are as few as a person's. */
const accounts = 800;

export const trusted: Scenario = {
  name: 'trusted',
  title: 'Sign-in on a trusted device, 16 at once',
  async run({ contestants, database, options }) {
    const product = await contestants.product();
    const peer = await contestants.peer();
    const devices = await createAccounts(database, {
      prefix: 'trusted-',
      accounts,
      devicesEach: 1,
      hash: 'plain',
    });
    const requests = devices.map((device) => ({
      headers: from(device),
      frame: signInFrame(device.email, device.deviceToken),
    }));
    const requireSession = requireFirstField(1, 2);
    const lend = lendInTurn(requests);
    const signIn = () =>
      lend(async ({ headers, frame }) => requireSession(await product.public.call(paths.signIn, headers, frame)));
    const standings = await contest(
      [
        { name: 'Countersign', cpuMs: product.cpuMs, call: signIn },
        ...(peer === undefined ? [] : [{ name: 'better-auth', cpuMs: peer.cpuMs, call: () => peer.trustedSignIn() }]),
      ],
      { ...options, firstWarmUpMs: flowWarmUpMs, workers: 16, sliceMs: 800 },
    );
    return {
      tables: [standingsTable(trusted.title, standings)],
      targets: atLeast(5, standings, 'Countersign', 'better-auth'),
      notes: ['The password hash costs next to nothing on either side.'],
    };
  },
};
