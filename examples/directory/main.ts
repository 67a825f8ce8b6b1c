// An example of a system that has its accounts already: it serves those of a JSON file to Countersign. Started by
// `npm run example:directory`.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Account, createAccounts } from './accounts.ts';
import { serveDirectory } from './server.ts';

const { DIRECTORY_PORT = '50051', DIRECTORY_TOKEN, DIRECTORY_ACCOUNTS } = process.env;
const path = DIRECTORY_ACCOUNTS ?? fileURLToPath(new URL('accounts.json', import.meta.url));
const stored = JSON.parse(await readFile(path, 'utf8')) as readonly Account[];
const directory = await serveDirectory({
  accounts: createAccounts(stored),
  token: DIRECTORY_TOKEN,
  address: `127.0.0.1:${DIRECTORY_PORT}`,
});
process.stdout.write(
  [
    `${stored.length} accounts of ${path} are served at http://127.0.0.1:${directory.port}`,
    DIRECTORY_TOKEN === undefined ? 'to anybody: DIRECTORY_TOKEN is not set' : 'to who sends DIRECTORY_TOKEN',
    'Ctrl+C stops it.',
    '',
  ].join('\n'),
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    directory.stop();
    process.exit(0);
  });
}
