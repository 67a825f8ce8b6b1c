// What DNS says of our mail: the DKIM key that ours are signed with, SPF and DMARC. Where DNS does not answer, nothing is said.

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import type { Config } from '../../config.ts';
import type { DkimSettings } from '../../delivery/email.ts';
import { type Finding, fail, ok, skip, warn } from './finding.ts';

/** The texts of a name; none where it has none; undefined where nobody answered. */
type LookUp = (name: string) => Promise<readonly string[] | undefined>;

/** @param server `host:port` of the DNS server to ask instead of the system's. */
export async function checkMailDns(
  { dkim, mailFrom }: Pick<Config, 'dkim' | 'mailFrom'>,
  server: string | undefined,
): Promise<Finding[]> {
  const domain = /@([^\s>]+)/.exec(mailFrom)?.[1]?.toLowerCase() ?? '';
  if (!domain.includes('.')) return [skip(`COUNTERSIGN_MAIL_FROM is of ${domain}, which is no domain of the internet`)];
  const resolver = new Resolver({ timeout: 1_500, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  const lookUp: LookUp = async (name) => {
    try {
      return (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      return code === 'ENODATA' || code === 'ENOTFOUND' ? [] : undefined;
    }
  };
  const found = await Promise.all([
    checkDkim(dkim, domain, lookUp),
    checkSpf(domain, lookUp),
    checkDmarc(domain, lookUp),
  ]);
  return found.flat();
}

async function checkDkim(dkim: DkimSettings | undefined, domain: string, lookUp: LookUp): Promise<Finding[]> {
  if (dkim === undefined) {
    return [
      warn(
        'mails are not signed (DKIM)',
        'set COUNTERSIGN_DKIM_KEY, COUNTERSIGN_DKIM_DOMAIN and COUNTERSIGN_DKIM_SELECTOR',
      ),
    ];
  }
  const { name, key, bits } = dkimRecord(dkim);
  const publish = `publish as TXT at ${name}: v=DKIM1; k=rsa; p=${key}`;
  const findings: Finding[] = [];
  const [published, several] = await lookUp(name).then((texts) => [texts?.find(isDkim) ?? texts?.[0], texts] as const);
  if (several === undefined) findings.push(skip(`DNS does not answer whether the DKIM key is published; ${publish}`));
  else if (published === undefined) findings.push(fail(`the DKIM key is not published at ${name}`, publish));
  else if (tagOf(published, 'p') !== key)
    findings.push(fail(`what is published at ${name} is another DKIM key`, publish));
  else findings.push(ok(`the DKIM key is published at ${name}`));
  if (bits < 1_024)
    findings.push(fail(`the DKIM key has ${bits} bits`, 'RFC 8301 wants 2,048; below 1,024 no signature counts'));
  else if (bits < 2_048) findings.push(warn(`the DKIM key has ${bits} bits`, 'RFC 8301 wants 2,048'));
  const signs = dkim.domain.toLowerCase();
  if (domain !== signs && !domain.endsWith(`.${signs}`)) {
    findings.push(
      warn(
        `mails come from ${domain} and are signed for ${signs}`,
        'DMARC wants both of one domain: change COUNTERSIGN_MAIL_FROM or COUNTERSIGN_DKIM_DOMAIN',
      ),
    );
  }
  return findings;
}

const isDkim = (text: string) => tagOf(text, 'p') !== undefined;

/** RFC 6376, 3.6.1: the name and the key of the record. */
function dkimRecord({ privateKey, selector, domain }: DkimSettings) {
  const publicKey = createPublicKey(createPrivateKey(privateKey));
  return {
    name: `${selector}._domainkey.${domain}`,
    key: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    bits: publicKey.asymmetricKeyDetails?.modulusLength ?? 0,
  };
}

/** RFC 6376, 3.2: white space in a value does not count. */
function tagOf(text: string, tag: string): string | undefined {
  const value = text.split(';').find((part) => part.split('=')[0]?.trim() === tag);
  return value?.slice(value.indexOf('=') + 1).replace(/\s+/g, '');
}

/** RFC 7208. */
async function checkSpf(domain: string, lookUp: LookUp): Promise<Finding[]> {
  const texts = await lookUp(domain);
  if (texts === undefined) return [skip(`DNS does not answer for ${domain}`)];
  const [record, ...more] = texts.filter((text) => /^v=spf1(\s|$)/i.test(text));
  const mend = `publish as TXT at ${domain}: v=spf1, what lets both mail servers send, and -all or ~all`;
  if (record === undefined) return [warn(`${domain} has no SPF record`, mend)];
  if (more.length > 0) return [warn(`${domain} has ${more.length + 1} SPF records, so that none counts`, 'leave one')];
  if (/(^|\s)\+?all(\s|$)/i.test(record))
    return [warn(`the SPF record of ${domain} lets everybody send`, 'end it with -all or ~all')];
  return [ok(`${domain} has an SPF record`)];
}

/** RFC 7489, 6.6.3: the domain's own record, or that of the domain above which it belongs to. */
async function checkDmarc(domain: string, lookUp: LookUp): Promise<Finding[]> {
  const labels = domain.split('.');
  for (let from = 0; from <= labels.length - 2; from++) {
    const name = `_dmarc.${labels.slice(from).join('.')}`;
    const texts = await lookUp(name);
    if (texts === undefined) return [skip(`DNS does not answer for ${name}`)];
    const record = texts.find((text) => /^v=DMARC1\b/.test(text));
    if (record === undefined) continue;
    const policy = tagOf(record, 'p');
    return [
      policy === 'none'
        ? warn(`the DMARC policy at ${name} is none`, 'once its reports are clean: p=quarantine or p=reject')
        : ok(`the DMARC policy at ${name} is ${policy}`),
    ];
  }
  return [
    warn(
      `${domain} has no DMARC record`,
      `publish as TXT at _dmarc.${domain}: v=DMARC1; p=none; rua=mailto:…, and later p=reject`,
    ),
  ];
}
