// Development mode: everything that production must be given is started or made here, and kept in the data folder.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AppConfig } from '../app/app-config.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { DomainError } from '../domain/errors.ts';
import { createAccount } from '../flows/accounts.ts';
import type { KeySource } from '../platform/key-ring.ts';
import type { Logger } from '../platform/log.ts';
import { hashServiceToken, scopes } from '../platform/service-tokens.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { startMailbox } from './mailbox.ts';
import { startDevelopmentPush } from './push.ts';

export interface Development {
  readonly config: AppConfig;
  /** What a person needs to call it. */
  readonly known: { readonly serviceToken: string; readonly demoEmail: string; readonly demoPassword: string };
  readonly mailboxUrl: string | undefined;
  /** Loads the demo account, where accounts are ours, and says, for a person, where everything is. */
  introduce(app: App): Promise<string>;
  stop(): Promise<void>;
}

const demoEmail = 'demo@example.com';

/** What is made at the first start. */
interface Made {
  readonly codeKey: string;
  readonly signingKey: string;
  readonly serviceToken: string;
  readonly demoPassword: string;
}

export async function startDevelopment(config: Config, log: Logger): Promise<Development> {
  const dataDir = resolve(config.dataDir);
  await mkdir(dataDir, { recursive: true });
  const made = await readOrMake(resolve(dataDir, 'development.json'));
  const [postgres, mailbox, push] = await Promise.all([
    config.databaseUrl === undefined
      ? startEmbeddedPostgres({ dataDir: resolve(dataDir, 'postgres'), log })
      : undefined,
    config.smtpUrl === undefined
      ? startMailbox({ webAddress: config.mailboxAddress, smtpAddress: config.mailboxSmtpAddress, log })
      : undefined,
    config.devPush ? startDevelopmentPush((line) => process.stdout.write(line)) : undefined,
  ]);
  // Mails wait for it; who starts the server need not.
  mailbox?.ready.catch((error) => log.error({ err: error }, 'there is no mailbox'));
  const serviceToken = config.developmentServiceToken ?? made.serviceToken;
  return {
    config: {
      ...config,
      databaseUrl: config.databaseUrl ?? postgres?.url ?? '',
      smtpUrl: config.smtpUrl ?? mailbox?.smtpUrl ?? '',
      apns: config.apns ?? push?.apns,
      fcm: config.fcm ?? push?.fcm,
      codeKeys: config.codeKeys ?? keyMade(made.codeKey),
      signingKeys: config.signingKeys ?? keyMade(made.signingKey),
      serviceTokens: [...config.serviceTokens, { name: 'development', scopes, hash: hashServiceToken(serviceToken) }],
    },
    known: { serviceToken, demoEmail, demoPassword: made.demoPassword },
    mailboxUrl: mailbox?.webUrl,
    introduce: async (app) => {
      if (config.directory === undefined) await createDemo(app, made.demoPassword, log);
      return introduction(app, config, mailbox?.webUrl, serviceToken, made.demoPassword);
    },
    stop: async () => {
      await Promise.all([postgres?.stop(), mailbox?.stop(), push?.stop()]);
    },
  };
}

function keyMade(base64: string): KeySource {
  return { entries: [{ keyId: 'development', key: Buffer.from(base64, 'base64') }] };
}

async function createDemo(app: App, password: string, log: Logger): Promise<void> {
  // Not created in vain: its password would be judged first, which takes a second to load.
  const known = await app.deps.directory.lookUpAccount(demoEmail);
  const created =
    known === undefined &&
    (await createAccount(app.deps, { email: demoEmail, password, locale: 'en' }).then(
      () => true,
      (error) => {
        if (error instanceof DomainError && error.refusal.reason === 'ACCOUNT_EXISTS') return false;
        throw error;
      },
    ));
  log.debug({ created }, 'demo account');
}

function introduction(
  app: App,
  config: Config,
  mailboxUrl: string | undefined,
  serviceToken: string,
  demoPassword: string,
): string {
  const rows: readonly (readonly [string, string])[] = [
    ['public API', app.publicAddress],
    ['internal API', app.internalAddress],
    ['mailbox', mailboxUrl ?? 'none: SMTP_URL is set'],
    ['service token', serviceToken],
    ...(config.directory === undefined
      ? ([
          ['demo account', demoEmail],
          ['demo password', demoPassword],
        ] as const)
      : ([['accounts', config.directory.url]] as const)),
    ['data', resolve(config.dataDir)],
  ];
  const lines = rows.map(([name, value]) => `  ${name.padEnd(14)}  ${value}`);
  return ['', 'Countersign is serving (development mode).', '', ...lines, '', '  Ctrl+C stops it.', '', ''].join('\n');
}

async function readOrMake(path: string): Promise<Made> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Made;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const made: Made = {
    codeKey: randomBytes(32).toString('base64'),
    signingKey: randomBytes(32).toString('base64'),
    serviceToken: randomBytes(24).toString('base64url'),
    demoPassword: randomBytes(9).toString('base64url'),
  };
  // Whole or not at all, and for its owner alone.
  await writeFile(`${path}.new`, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return made;
}
