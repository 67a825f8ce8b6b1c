// `buf curl`, which learns everything from the server's reflection: no schema file.

import { execFile } from 'node:child_process';
import { type Answer, type Driver, detailsOfJson, refusalOf } from './driver.ts';

export const bufCurl = (): Driver => ({
  call: (url, { service, method, request, headers }) =>
    new Promise((resolve, reject) => {
      const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
      const args = ['curl', '-v', ...named, '-d', JSON.stringify(request)];
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

/** With -v, lines that begin with buf: stand around the error's JSON; call #1 is reflection's, #2 the RPC's. */
function refused(stderr: string): Answer {
  const lines = stderr.split('\n');
  const json = JSON.parse(lines.filter((line) => !line.startsWith('buf: ')).join('\n'));
  const minimum = /^buf: < \(#2\) countersign-minimum-version: (\S+)/im.exec(stderr)?.[1];
  return refusalOf(json.code, detailsOfJson(json), minimum);
}
