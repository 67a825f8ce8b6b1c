// What a new password may lack. Pure; how guessable one is, and which were breached, the directory's room finds out.

/**
 * TOO_SHORT: fewer than 8 characters (NIST SP 800-63B-4, 3.1.1.2, for passwords beside a second factor). IS_EMAIL: the account's
 * address or a part of it. ONE_CHARACTER: one character repeated. GUESSABLE: few guesses find it. BREACHED: it is on a list of
 * passwords that were breached or are common. UNCHANGED: it is the password of now. TOO_LONG: more
 * than 1,024 bytes.
 */
export type PasswordWeakness =
  | 'TOO_SHORT'
  | 'IS_EMAIL'
  | 'ONE_CHARACTER'
  | 'GUESSABLE'
  | 'BREACHED'
  | 'UNCHANGED'
  | 'TOO_LONG';

const shortestPassword = 8;
/** Bytes of UTF-8; the contract's bound. */
const longestPassword = 1_024;

/** What can be seen of a password alone, in the order of the type; empty where nothing can. */
export function passwordWeaknesses(password: string, email: string): readonly PasswordWeakness[] {
  const weaknesses: PasswordWeakness[] = [];
  if (new TextEncoder().encode(password).length > longestPassword) weaknesses.push('TOO_LONG');
  const characters = [...password.normalize('NFKC')];
  if (characters.length < shortestPassword) weaknesses.push('TOO_SHORT');
  if (wordsOfAddress(email).includes(folded(password))) weaknesses.push('IS_EMAIL');
  if (new Set(characters).size === 1) weaknesses.push('ONE_CHARACTER');
  return weaknesses;
}

/**
 * The words that who aims at this account tries first: those of its address and of the product's name, whole and in parts, in
 * lower case. Parts of fewer than 3 letters are left out: they are in anything.
 */
export function ownWords(email: string, brandName: string): readonly string[] {
  const brand = folded(brandName);
  const words = [...wordsOfAddress(email), brand, brand.replaceAll(/\s/g, ''), ...parts(brand)];
  return [...new Set(words.filter((word) => word.length >= 3))];
}

/**
 * What is left of a password (in NFKC) when the account's own words are taken out of it, longest first. Only those of at least 4 letters:
 * shorter ones are in too many others.
 */
export function withoutOwnWords(password: string, words: readonly string[]): string {
  const long = words.filter(({ length }) => length >= 4).sort((a, b) => b.length - a.length);
  return long.reduce((rest, word) => rest.replaceAll(new RegExp(RegExp.escape(word), 'giu'), ''), password);
}

/** What a new password has to be, in English, for who writes the app that sends it. */
export function describeWeakness(weakness: PasswordWeakness): string {
  return descriptions[weakness];
}

const descriptions: Readonly<Record<PasswordWeakness, string>> = {
  TOO_SHORT: `must have at least ${shortestPassword} characters`,
  IS_EMAIL: 'must not be the e-mail address or a part of it',
  ONE_CHARACTER: 'must not be one character repeated',
  GUESSABLE:
    'must be harder to guess: take three or four words that have nothing to do with each other, or let a password manager make it; the address and the name of the product count for nothing',
  TOO_LONG: `must have at most ${longestPassword} bytes`,
  UNCHANGED: 'must be another one than the password of now',
  BREACHED:
    'must not be on a list of breached or common passwords: take another, and change it wherever else it was in use',
};

function wordsOfAddress(email: string): readonly string[] {
  const address = folded(email.trim());
  const at = address.lastIndexOf('@');
  const [local, domain] = at < 0 ? [address, ''] : [address.slice(0, at), address.slice(at + 1)];
  // Not the last label: `com` is nobody's own.
  const labels = domain.split('.').slice(0, -1);
  const words = [address, local, local.replaceAll(/[^\p{L}\p{N}]/gu, ''), domain, ...parts(local), ...labels];
  return words.filter((word) => word !== '');
}

/** The words of a text, split at whatever is no letter. */
function parts(text: string): readonly string[] {
  return text.split(/[^\p{L}\p{M}]+/u).filter((part) => part !== '');
}

function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}
