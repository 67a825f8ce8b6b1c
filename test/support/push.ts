// Both push services on loopback, with the settings that lead a server there.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApnsServer, startApnsServer } from './apns-server.ts';
import { type FcmServer, startFcmServer } from './fcm-server.ts';

export interface PushServers {
  readonly apns: ApnsServer;
  readonly fcm: FcmServer;
  /** What an operator would set. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** @param now by which clock the services' own tokens expire. */
export async function startPushServers(now?: () => Date): Promise<PushServers> {
  const [apns, fcm, folder] = await Promise.all([
    startApnsServer(),
    startFcmServer(now === undefined ? {} : { now }),
    mkdtemp(join(tmpdir(), 'countersign-push-')),
  ]);
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const address = `${apns.host}:${apns.port}`;
  const env = {
    COUNTERSIGN_APNS_KEY: await file('key.p8', apns.keyPem),
    COUNTERSIGN_APNS_KEY_ID: apns.keyId,
    COUNTERSIGN_APNS_TEAM_ID: apns.teamId,
    COUNTERSIGN_APNS_ADDRESS: address,
    COUNTERSIGN_APNS_SANDBOX_ADDRESS: address,
    COUNTERSIGN_APNS_CA: await file('ca.pem', apns.caPem),
    COUNTERSIGN_FCM_CREDENTIALS: await file('account.json', JSON.stringify(fcm.serviceAccount)),
    COUNTERSIGN_FCM_URL: fcm.rootUrl,
  };
  return {
    apns,
    fcm,
    env,
    stop: async () => {
      await Promise.all([apns.stop(), fcm.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
