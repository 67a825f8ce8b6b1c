// Starts the server and stops it on SIGTERM or SIGINT. Knows exit codes, and nothing else.

import { type AppConfig, startApp } from './app.ts';
import { type Config, ConfigError, exitCodeOfConfigError, readConfig } from './config.ts';
import { systemClock } from './platform/clock.ts';
import { createLog, type Logger } from './platform/log.ts';

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel);
  if (config.mode === 'production') {
    const app = await startApp(complete(config), log, systemClock);
    log.info({ public: app.publicAddress, internal: app.internalAddress }, 'serving');
    stopOnSignal(log, () => app.stop());
    return;
  }
  // Only development has these parts installed.
  const { startDevelopment } = await import('./development/development.ts');
  const development = await startDevelopment(config, log);
  try {
    const app = await startApp(development.config, log, systemClock);
    process.stdout.write(await development.introduce(app));
    stopOnSignal(log, async () => {
      await app.stop();
      await development.stop();
    });
  } catch (error) {
    await development.stop();
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

function stopOnSignal(log: Logger, stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    // A second signal is somebody who does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
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

main().catch((error: unknown) => {
  // One line for the person who set it up; a stack trace for what nobody expected.
  const line = error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`countersign: ${line}\n`);
  process.exit(error instanceof ConfigError ? exitCodeOfConfigError : 1);
});
