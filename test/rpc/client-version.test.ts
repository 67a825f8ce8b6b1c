// The version gate, through the wire: who is let in, what the others are told, and what a minimum to come does.

import { Code } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Platform } from '../../gen/countersign/v1/device_pb.ts';
import { refusal } from '../support/refusal.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

type App = Parameters<TestServer['appClient']>[0];

/** What the gate says to this app: GetChallenge with a token that is none gets CHALLENGE_UNKNOWN behind it. */
const asked = (server: TestServer, app: App) =>
  refusal(server.appClient(app).twoStepAuth.getChallenge({ challengeToken: 'none' }));

const letIn = 'CHALLENGE_UNKNOWN';

describe('with the default minimum of 2.3', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.stop());

  test.each([
    '2.3',
    '2.3.0',
    '2.3.0.0',
    '2.3.1',
    '2.3.1.4',
    '2.3+1',
    '2.3.1-alpha',
    '2.10.0-beta+7',
    '3',
    '02.03',
    '999999999',
  ])('version %s is served', async (clientVersion) => {
    const error = await asked(server, { clientVersion });
    expect(error.reason).toBe(letIn);
    expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
  });

  test.each(['2.3-beta', '2.3.0-rc.1+7', '2.2.999', '2.2', '2', '1.9.9.9', '0'])(
    'version %s is refused as too old',
    async (clientVersion) => {
      const error = await asked(server, { clientVersion, platform: 'android' });
      expect(error).toMatchObject({ code: Code.FailedPrecondition, reason: 'CLIENT_VERSION_UNSUPPORTED' });
      expect(error.requirement).toMatchObject({
        platform: Platform.ANDROID,
        clientVersion,
        minimumVersion: '2.3',
        updateUrl: '',
      });
      expect(error.rawMessage).toContain(clientVersion);
      expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
    },
  );

  test.each([
    '2.3.1.4.5',
    '2.3.',
    'v2.3',
    'latest',
    '2.3-01',
    '2.3-',
    '2.3, 2.3',
    '2.3 beta',
    '4294967296000',
    '9'.repeat(5_000),
    `2.3-${'a'.repeat(5_000)}`,
  ])('%s is no version', async (clientVersion) => {
    const error = await asked(server, { clientVersion });
    expect(error).toMatchObject({ code: Code.InvalidArgument, reason: 'CLIENT_VERSION_INVALID' });
    expect(error.requirement).toMatchObject({
      platform: Platform.IOS,
      clientVersion: clientVersion.slice(0, 100),
      minimumVersion: '2.3',
    });
  });

  test('an empty version is a missing one, and a claim of an unknown platform is no claim', async () => {
    const empty = await asked(server, { clientVersion: '' });
    expect(empty).toMatchObject({ code: Code.FailedPrecondition, reason: 'CLIENT_VERSION_MISSING' });
    for (const platform of ['IOS', 'windows', 'ios, ios', 'toString'] as unknown as 'ios'[]) {
      const error = await asked(server, { clientVersion: '2.3', platform });
      expect(error).toMatchObject({ code: Code.InvalidArgument, reason: 'CLIENT_VERSION_INVALID' });
      expect(error.requirement?.platform).toBe(Platform.UNSPECIFIED);
    }
  });

  test.each(['gRPC', 'gRPC-Web', 'Connect'])('the refusal is the same in %s, with its header', async (protocol) => {
    const create = {
      gRPC: createGrpcTransport,
      'gRPC-Web': (options: { baseUrl: string }) => createGrpcWebTransport({ ...options, httpVersion: '1.1' }),
      Connect: (options: { baseUrl: string }) => createConnectTransport({ ...options, httpVersion: '1.1' }),
    }[protocol];
    const error = await asked(server, {
      clientVersion: '2.2',
      transport: (needs) => {
        const options = { baseUrl: server.publicUrl, ...needs };
        if (create === undefined) throw new Error(protocol);
        return create(options);
      },
    });
    expect(error.reason).toBe('CLIENT_VERSION_UNSUPPORTED');
    expect(error.requirement).toMatchObject({ platform: Platform.IOS, clientVersion: '2.2', minimumVersion: '2.3' });
    expect(error.metadata.get('countersign-minimum-version')).toBe('2.3');
    expect(error.localizedMessage).not.toBe('');
  });

  test('a person is told in their language, and an answer that succeeds carries the minimum as well', async () => {
    const error = await asked(server, { clientVersion: '2.2', acceptLanguage: 'ru' });
    expect(error.localizedMessage).toMatch(/[а-я]/);
    const { client } = await server.signInNewDevice(await server.createAccount());
    let minimum: string | null = null;
    await client.twoStepAuth.getSettings(
      {},
      { onHeader: (header) => (minimum = header.get('countersign-minimum-version')) },
    );
    expect(minimum).toBe('2.3');
  });
});

test('each platform has its own minimum and its own place to update', async () => {
  const server = await startTestServer({
    COUNTERSIGN_MINIMUM_CLIENT_VERSION: 'ios=2.3,android=2.4',
    COUNTERSIGN_UPDATE_URL: 'ios=https://apps.example.com/ios,android=market://details?id=com.example',
  });
  onTestFinished(() => server.stop());
  const answers = async (platform: 'ios' | 'android' | 'web', clientVersion: string) => {
    const error = await asked(server, { platform, clientVersion });
    return [error.reason, error.metadata.get('countersign-minimum-version'), error.requirement?.updateUrl];
  };
  expect(await answers('ios', '2.3')).toEqual([letIn, '2.3', undefined]);
  expect(await answers('ios', '2.2')).toEqual(['CLIENT_VERSION_UNSUPPORTED', '2.3', 'https://apps.example.com/ios']);
  expect(await answers('android', '2.3.9')).toEqual([
    'CLIENT_VERSION_UNSUPPORTED',
    '2.4',
    'market://details?id=com.example',
  ]);
  expect(await answers('android', '2.4')).toEqual([letIn, '2.4', undefined]);
  // Unnamed: the default stays.
  expect(await answers('web', '2.3')).toEqual([letIn, '2.3', undefined]);
  expect(await answers('web', '2.2')).toEqual(['CLIENT_VERSION_UNSUPPORTED', '2.3', '']);
});

test('a minimum to come refuses nobody, and the log tells at the stop how many it would have', async () => {
  const server = await startTestServer({ COUNTERSIGN_PENDING_CLIENT_VERSION: 'ios=3.0,android=2.4' });
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= server.stop());
  onTestFinished(stop);
  const calls = [
    ['ios', '2.3'],
    ['ios', '2.3'],
    ['ios', '2.9.1'],
    ['ios', '3.0-beta'],
    ['ios', '3.0'],
    ['android', '2.3'],
    ['android', '2.4'],
    ['web', '2.3'],
  ] as const;
  for (const [platform, clientVersion] of calls) {
    expect((await asked(server, { platform, clientVersion })).reason).toBe(letIn);
  }
  // Refused by the minimum that is: not counted.
  expect((await asked(server, { clientVersion: '2.2' })).reason).toBe('CLIENT_VERSION_UNSUPPORTED');
  await stop();
  const counts = server.log.map((line) => JSON.parse(line)).filter((line) => line.calls !== undefined);
  expect(counts.map((line) => line.calls)).toEqual([
    { 'ios 2.3': 2, 'ios 2.9.1': 1, 'ios 3.0-beta': 1, 'android 2.3': 1 },
  ]);
  expect(counts[0].msg).toBe('calls that the pending minimum version would refuse');
});
