// Starts the server and stops it on SIGTERM or SIGINT. Knows exit codes, and nothing else.

import { enableCompileCache } from 'node:module';
import type { App, AppConfig } from './app.ts';
import { type Config, ConfigError, exitCodeOfConfigError, readConfig } from './config.ts';
import { systemClock } from './platform/clock.ts';
import type { Logger } from './platform/log.ts';

/** From the signal to the exit, whatever hangs: the bound of the contract, with a little for the exit itself. */
const stopWithinMs = 9_800;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  // What follows is loaded once the settings are good, so that a wrong one is told at once. Compiling is half of a start.
  enableCompileCache();
  const [{ createLog }, { startApp }] = await Promise.all([import('./platform/log.ts'), import('./app.ts')]);
  const log = createLog(config.logLevel);
  if (config.unknownSettings.length > 0) log.warn({ settings: config.unknownSettings }, 'settings that nothing reads');
  if (config.mode === 'production') {
    const app = await startApp(complete(config), log, systemClock);
    log.info({ public: app.publicAddress, internal: app.internalAddress }, 'serving');
    stopOnSignal(log, () => app.stop());
    return;
  }
  // Only development has these parts installed.
  const { startDevelopment } = await import('./development/development.ts');
  const development = await startDevelopment(config, log);
  let app: App | undefined;
  const stop = async () => {
    await app?.stop();
    await development.stop();
  };
  try {
    app = await startApp(development.config, log, systemClock);
    process.stdout.write(await development.introduce(app));
    stopOnSignal(log, stop);
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

main().catch((error: unknown) => {
  // One line for the person who set it up; a stack trace for what nobody expected.
  const line = error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`countersign: ${line}\n`);
  process.exit(error instanceof ConfigError ? exitCodeOfConfigError : 1);
});
