// Starts the server and stops it on SIGTERM or SIGINT. Knows exit codes, and nothing else.

import { enableCompileCache } from 'node:module';
import type { AppConfig } from './app/app-config.ts';
import type { App } from './app.ts';
import { type Config, readConfig } from './config.ts';
import { ConfigError, exitCodeOfConfigError } from './environment.ts';
import { systemClock } from './platform/clock.ts';
import type { Logger } from './platform/log.ts';

/** From the signal to the exit, whatever hangs: the contract's 10 s, less what a busy machine needs for the exit itself. */
const stopWithinMs = 8_500;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  // What follows is loaded once the settings are good, so that a wrong one is told at once. Compiling is half of a start.
  enableCompileCache();
  // React, which writes the mails, has another build for its own developers, several times as slow.
  process.env['NODE_ENV'] ??= 'production';
  const { createLog } = await import('./platform/log.ts');
  const log = createLog(config.logLevel);
  if (config.unknownSettings.length > 0) log.warn({ settings: config.unknownSettings }, 'settings that nothing reads');
  if (config.mode === 'production') {
    const { startApp } = await import('./app.ts');
    const app = await startApp(complete(config), log, systemClock);
    log.info({ public: app.publicAddress, internal: app.internalAddress }, 'serving');
    stopOnSignal(log, () => app.stop());
    return;
  }
  // Only development has these parts installed. They start in processes and threads of their own, while the rest is loaded.
  const { startDevelopment } = await import('./development/development.ts').catch(refuseDevelopment);
  const [development, { startApp }] = await Promise.all([startDevelopment(config, log), import('./app.ts')]);
  let app: App | undefined;
  const stop = async () => {
    await app?.stop();
    await development.stop();
  };
  try {
    app = await startApp(development.config, log, systemClock);
    const introduction = await development.introduce(app);
    stopOnSignal(log, stop);
    process.stdout.write(introduction);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** readConfig has refused a production without any of these. */
function complete(config: Config): AppConfig {
  const { databaseUrl, smtpUrl, codeKeys, signingKeys } = config;
  if (databaseUrl === undefined || smtpUrl === undefined || codeKeys === undefined || signingKeys === undefined) {
    throw new ConfigError('production needs DATABASE_URL, SMTP_URL, COUNTERSIGN_CODE_KEYS, COUNTERSIGN_SIGNING_KEYS');
  }
  return { ...config, databaseUrl, smtpUrl, codeKeys, signingKeys };
}

/** What `npm run build` makes has none of its parts. */
function refuseDevelopment(error: unknown): never {
  const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
  if (!missing) throw error;
  throw new ConfigError('COUNTERSIGN_MODE takes production here: the parts of development are not installed');
}

function stopOnSignal(log: Logger, stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    // A second signal is somebody who does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.warn('what did not end in time is cut');
      process.exit(0);
    }, stopWithinMs);
    stop().then(
      () => process.exit(0),
      (error) => {
        log.error({ err: error }, 'did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** The one line for who set it up wrong; undefined for what nobody expected. */
function faultOfSettings(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // PostgreSQL's invalid authorization, invalid password and unknown database.
  if ('code' in error && /^(28000|28P01|3D000)$/.test(String(error.code))) {
    return `DATABASE_URL takes a database that lets its user in: ${error.message}`;
  }
  const namesSetting = /\b(COUNTERSIGN_[A-Z_]+|DATABASE_URL|SMTP_URL)\b/.test(error.message);
  return error instanceof ConfigError || (namesSetting && !error.message.includes('\n')) ? error.message : undefined;
}

main().catch((error: unknown) => {
  const fault = faultOfSettings(error);
  const words = fault ?? (error instanceof Error ? error.stack : String(error));
  process.stderr.write(`countersign: ${words}\n`);
  process.exit(fault === undefined ? 1 : exitCodeOfConfigError);
});
