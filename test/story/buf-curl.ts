// `buf curl`, which learns everything from the server's reflection: no schema file. Over TLS it reads the contract.

import { execFile } from 'node:child_process';
import { type Answer, type Driver, detailsOfJson, refusalOf, type Trust } from './driver.ts';

export const bufCurl = (trust?: Trust): Driver => ({
  call: (url, { service, method, request, headers }) =>
    new Promise((resolve, reject) => {
      const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
      const known = url.startsWith('https:') ? ['--schema', '.', '--cacert', trust?.path ?? ''] : [];
      const args = ['curl', '-v', ...known, ...named, '-d', JSON.stringify(request)];
      const target = `${url}/${service}/${method}`;
      execFile('node_modules/.bin/buf', [...args, target], { timeout: 60_000 }, (failure, stdout, stderr) => {
        try {
          // "An exit code that is the gRPC code, shifted three bits to the left"; below 8 buf itself failed.
          const exit = failure === null ? 0 : Number(failure.code);
          if (exit > 0 && !(exit >= 8)) throw new Error(`buf curl failed: ${stderr}`, { cause: failure });
          resolve(exit === 0 ? { ok: JSON.parse(stdout) } : refused(stderr));
        } catch (error) {
          reject(error);
        }
      });
    }),
  close: () => {},
});

/** With -v, lines that begin with buf: stand around the error's JSON; where there is reflection, its call comes before the RPC's. */
function refused(stderr: string): Answer {
  const lines = stderr.split('\n');
  const json = JSON.parse(lines.filter((line) => !line.startsWith('buf: ')).join('\n'));
  const minimum = [...stderr.matchAll(/^buf: < \(#\d\) countersign-minimum-version: (\S+)/gim)].at(-1)?.[1];
  return refusalOf(json.code, detailsOfJson(json), minimum);
}
