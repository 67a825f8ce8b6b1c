// Where accounts live elsewhere: whether that directory answers, and keeps to the contract. It is asked of an address that nobody has.

import { Directory } from '../../../gen/countersign/directory/v1/directory_pb.ts';
import type { Config } from '../../config.ts';
import { createDirectoryClient } from '../../directory/directory-client.ts';
import { type Finding, fail, ok, skip, wordsOf } from './finding.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };
/** RFC 2606, 2. */
const nobody = 'doctor@countersign.invalid';

export async function checkDirectory(settings: Config['directory']): Promise<Finding[]> {
  if (settings === undefined) return [skip('COUNTERSIGN_DIRECTORY_URL is not set: accounts live in our own tables')];
  const client = createDirectoryClient(settings, silent);
  const where = `the directory at ${new URL(settings.url).host}`;
  try {
    const { account } = await client.ask(Directory.method.lookUpAccount, { email: nobody });
    return account === undefined
      ? [ok(`${where} answers`)]
      : [
          fail(
            `${where} knows an account of ${nobody}`,
            'what LookUpAccount finds has to be that address, and nothing like it',
          ),
        ];
  } catch (error) {
    const why = error instanceof Error && error.cause !== undefined ? wordsOf(error.cause) : wordsOf(error);
    return [
      fail(
        `${where} can't be used: ${why}`,
        'is it running, does it serve countersign.directory.v1, and does it take COUNTERSIGN_DIRECTORY_TOKEN? Without it nobody signs in',
      ),
    ];
  } finally {
    client.close();
  }
}
