// Writes common-passwords.txt: the 10,000 commonest passwords of 8 characters or more that zxcvbn knows, in the form of
// breached-passwords.ts. Run by `npm run generate:common-passwords`; the source is MIT licensed, see common-passwords.license.txt.

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dictionary } from '@zxcvbn-ts/language-common';

const commonest = (dictionary['passwords-common'] ?? []).map(String).filter((password) => password.length >= 8);
const hashes = commonest
  .slice(0, 10_000)
  .map((password) => createHash('sha1').update(password).digest('hex').toUpperCase());
await writeFile(new URL('./common-passwords.txt', import.meta.url), `${hashes.sort().join('\n')}\n`);
