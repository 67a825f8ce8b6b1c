// Push services for development: the ones that tests use, which speak Apple's and Google's protocols on loopback. What arrives is
// said on the terminal.

import type { ApnsConfig, FcmConfig } from '../config/outside.ts';

export interface DevelopmentPush {
  readonly apns: ApnsConfig;
  readonly fcm: FcmConfig;
  stop(): Promise<void>;
}

interface Shown {
  readonly service: string;
  readonly token: string;
  readonly title: string | undefined;
  readonly body: string | undefined;
  readonly data: object;
}

/** @param say where a line goes for each push that arrives. */
export async function startDevelopmentPush(say: (line: string) => void): Promise<DevelopmentPush> {
  // They are no part of the server, and only here where the tests are.
  const [{ startApnsServer }, { startFcmServer }] = await Promise.all([
    import('../../test/support/apns-server.ts'),
    import('../../test/support/fcm-server.ts'),
  ]);
  const show = ({ service, token, title, body, data }: Shown) => {
    const words = title === undefined ? 'silent' : `${title}: ${body ?? ''}`;
    say(`push by ${service} to ${token.slice(0, 16)}: ${words} ${JSON.stringify(data)}\n`);
  };
  const [apns, fcm] = await Promise.all([
    startApnsServer({
      onPush: ({ token, payload }) => {
        const { aps, ...data } = payload as { readonly aps?: { readonly alert?: Partial<Shown> } };
        show({ service: 'APNs', token, title: aps?.alert?.title, body: aps?.alert?.body, data });
      },
    }),
    startFcmServer({
      onPush: ({ token, message: { notification, data = {} } }) =>
        show({ service: 'FCM', token, title: notification?.title, body: notification?.body, data }),
    }),
  ]);
  const { host, port, keyPem, keyId, teamId, caPem } = apns;
  const { project_id: projectId, client_email: clientEmail, private_key: privateKey, token_uri } = fcm.serviceAccount;
  const privateKeyId = fcm.serviceAccount.private_key_id;
  return {
    apns: { key: keyPem, keyId, teamId, ca: caPem, production: { host, port }, sandbox: { host, port } },
    fcm: { projectId, clientEmail, privateKey, privateKeyId, tokenUri: token_uri, rootUrl: fcm.rootUrl },
    stop: async () => {
      await Promise.all([apns.stop(), fcm.stop()]);
    },
  };
}
