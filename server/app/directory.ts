// Where accounts live, by the settings: opened, and kept up to date. It must not know who asks.

import { createDecoys, type Draw } from '../directory/decoys.ts';
import { createDirectoryClient } from '../directory/directory-client.ts';
import { createEmbeddedDirectory } from '../directory/embedded.ts';
import { createPasswords, type Passwords } from '../directory/passwords.ts';
import { createRemoteDirectory } from '../directory/remote.ts';
import type { Deps } from '../flows/accounts.ts';
import type { Clock } from '../flows/ports.ts';
import type { Logger } from '../platform/log.ts';
import type { Database } from '../store/database.ts';
import { createDirectoryEntries, createDirectoryWriter, createMetAccounts, readHeldForms } from '../store/store.ts';
import type { AppConfig } from './app-config.ts';

/** The mix of the forms that hashes are kept in changes slowly. */
const decoysEveryMs = 600_000;
/** Where it could not be read. */
const decoysAgainMs = 5_000;

/** Where accounts live: beside our own tables, or in the customer's system, where nothing of ours writes. */
export async function openDirectory(
  config: AppConfig,
  database: Database,
  draw: Draw,
  clock: Clock,
  log: Logger,
  hashing: Passwords | undefined,
): Promise<Pick<Deps, 'directory' | 'directoryWriter'> & { readonly closeDirectory: () => void }> {
  if (config.directory !== undefined) {
    const client = createDirectoryClient(config.directory, log);
    const directory = createRemoteDirectory(client, createMetAccounts(database, clock.now));
    return { directory, directoryWriter: undefined, closeDirectory: client.close };
  }
  const passwords = hashing ?? createPasswords(config.hashesAtOnce, 200);
  const decoys = createDecoys(() => readHeldForms(database), draw, log);
  let closed = false;
  const mix = async () => {
    const read = await decoys.refresh();
    if (!closed) mixing = setTimeout(mix, read ? decoysEveryMs : decoysAgainMs);
  };
  let mixing: NodeJS.Timeout | undefined;
  await mix();
  return {
    directory: createEmbeddedDirectory(createDirectoryEntries(database), passwords, decoys),
    directoryWriter: createDirectoryWriter(database, passwords.hash, decoys.refresh),
    closeDirectory: () => {
      closed = true;
      clearTimeout(mixing);
    },
  };
}
