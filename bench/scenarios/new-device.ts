// A whole sign-in on a new device: the password, the code as it comes on an open stream of a trusted device, the answer.

import { createAccounts, type SignedInDevice } from '../accounts.ts';
import { contest, flowWarmUpMs } from '../contest.ts';
import { lendInTurn } from '../lend.ts';
import type { GrpcClient } from '../load.ts';
import { challengeOf, from, paths, requireFirstField, signInFrame, verifyFrame } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';
import { type Watching, watch } from '../watching.ts';

/** So many that an account opens fewer challenges than its hour allows. */
const accounts = 400;

export const newDevice: Scenario = {
  name: 'new-device',
  title: 'Sign-in on a new device, 16 at once',
  async run({ contestants, database, options }) {
    const product = await contestants.product();
    const peer = await contestants.peer();
    const devices = await createAccounts(database, { prefix: 'new-device-', accounts, devicesEach: 1, hash: 'plain' });
    const watching = await watch(product.public, devices, database);
    const lend = lendInTurn(devices);
    const standings = await contest(
      [
        {
          name: 'Countersign',
          cpuMs: product.cpuMs,
          call: () => lend((owner) => signInOnNewDevice(product.public, watching, owner)),
        },
        ...(peer === undefined ? [] : [{ name: 'better-auth', cpuMs: peer.cpuMs, call: () => peer.newDeviceSignIn() }]),
      ],
      { ...options, firstWarmUpMs: flowWarmUpMs, workers: 16, sliceMs: 800 },
    );
    watching.close();
    return {
      tables: [standingsTable(newDevice.title, standings)],
      targets: atLeast(5, standings, 'Countersign', 'better-auth'),
      notes: [
        `SignIn, the code from an open WatchDevice stream (${accounts} are open), VerifyCode; better-auth: sign-in, send-otp, ` +
          'verify-otp, with the code handed to its driver at once.',
      ],
    };
  },
};

const requireSession = requireFirstField(1, 2);

export async function signInOnNewDevice(
  client: GrpcClient,
  watching: Watching,
  owner: Pick<SignedInDevice, 'accountId' | 'email' | 'ipAddress'>,
): Promise<void> {
  const arriving = watching.nextCode(owner.accountId);
  const [answer, [arrived]] = await Promise.all([
    client.call(paths.signIn, from(owner), signInFrame(owner.email)),
    arriving,
  ]);
  const frame = verifyFrame(challengeOf(answer).challengeToken, arrived?.code ?? '');
  requireSession(await client.call(paths.verifyCode, from(owner), frame));
}
