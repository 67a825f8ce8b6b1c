// COUNTERSIGN_PUBLIC_URL: whether it leads to a server of ours, as apps and the links in mails need it to.

import { connect } from 'node:tls';
import type { NamedKey } from '../../platform/key-entries.ts';
import { expiryFinding, type Finding, fail, ok, patienceMs, warn, wordsOf } from './finding.ts';

export async function checkPublicUrl(
  publicUrl: string,
  signingKeys: readonly NamedKey[] | undefined,
  now: Date,
): Promise<Finding[]> {
  const at = (path: string) => `${publicUrl.replace(/\/+$/, '')}${path}`;
  const get = (url: string) => fetch(url, { signal: AbortSignal.timeout(patienceMs), redirect: 'manual' });
  const mend =
    'a server has to run, and the proxy in front has to lead all paths of COUNTERSIGN_PUBLIC_URL to its public listener';
  const jwks = at('/.well-known/jwks.json');
  let published: readonly string[];
  try {
    const response = await get(jwks);
    if (response.status !== 200) return [fail(`${jwks} answers ${response.status}`, mend)];
    published = keyIdsOf(await response.json());
  } catch (error) {
    return [fail(`${jwks} can't be read: ${wordsOf(error)}`, mend)];
  }
  const ours = (signingKeys ?? []).map(({ keyId }) => keyId);
  const missing = ours.filter((keyId) => !published.includes(keyId));
  const findings: Finding[] = [];
  if (ours.length > 0 && missing.length === ours.length) {
    findings.push(
      fail(`${jwks} has none of our signing keys: another server is there`, 'correct COUNTERSIGN_PUBLIC_URL'),
    );
  } else if (missing.length > 0) {
    findings.push(
      warn(`${jwks} lacks our signing keys ${missing.join(', ')}`, 'a replica has older settings than these'),
    );
  } else {
    findings.push(ok(`${publicUrl} leads to a server${ours.length === 0 ? '' : ' with our signing keys'}`));
  }
  findings.push(await checkLinks(at('/deny'), get, mend), ...(await checkCertificate(new URL(publicUrl), now)));
  return findings;
}

function keyIdsOf(jwks: unknown): readonly string[] {
  const { keys } = jwks as { readonly keys?: readonly { readonly kid?: string }[] };
  return (keys ?? []).map(({ kid }) => kid ?? '');
}

/** The page behind a link of a mail, without a token: it says that the link is none, as a page. */
async function checkLinks(url: string, get: (url: string) => Promise<Response>, mend: string): Promise<Finding> {
  try {
    const { headers, status } = await get(url);
    const isOurs = headers.get('content-type')?.startsWith('text/html') && headers.get('x-robots-tag') !== null;
    return isOurs
      ? ok('the links in mails lead to their pages')
      : fail(`${url}, where links in mails lead, answers ${status}`, mend);
  } catch (error) {
    return fail(`${url}, where links in mails lead, can't be read: ${wordsOf(error)}`, mend);
  }
}

function checkCertificate({ protocol, hostname, port }: URL, now: Date): Promise<Finding[]> {
  if (protocol !== 'https:') return Promise.resolve([]);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port || 443), servername: host, timeout: patienceMs }, () => {
      const expiry = new Date(socket.getPeerCertificate().valid_to);
      socket.destroy();
      resolve([expiryFinding(`the certificate of ${hostname}`, expiry, now)]);
    });
    // The calls before have told of it.
    for (const event of ['error', 'timeout']) {
      socket.once(event, () => {
        socket.destroy();
        resolve([]);
      });
    }
  });
}
