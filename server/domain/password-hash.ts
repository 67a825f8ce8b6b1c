// The forms in which hashes of passwords are kept, ours and those of other systems: how they are written, and within which bounds
// they are taken. Pure: nothing is hashed here.

/** A hash as it is written, read. */
export interface PasswordHash {
  readonly params: HashParams;
  /** What stands before the salt: the kind and its parameters. Hashes of one form take the same time. */
  readonly form: string;
  /** In base64 without padding; bcrypt has an alphabet of its own. */
  readonly salt: string;
  readonly digest: string;
}

export type HashParams =
  | { readonly kind: 'argon2id'; readonly memoryKiB: number; readonly iterations: number; readonly lanes: number }
  /** The work is 2^cost. */
  | { readonly kind: 'bcrypt'; readonly cost: number }
  /** RFC 7914: N is 2^logN. */
  | { readonly kind: 'scrypt'; readonly logN: number; readonly r: number; readonly p: number };

/** What an account's password may be kept as, in words for who imports one. */
export const hashForms =
  'takes argon2id ($argon2id$v=19$m=19456,t=2,p=1$salt$hash), bcrypt ($2b$10$...) or scrypt ($scrypt$ln=17,r=8,p=1$salt$hash), within the bounds of the contract: none that takes more than about 2 s';

const mostMemoryKiB = 256 * 1024;
const mostLanes = 16;
/** 2^22 are about 1.5 s, on a thread that others wait for; OWASP's strongest parameters take a quarter of it. */
const mostScryptWork = 2 ** 22;
/** No system is known to use more than 32; it keeps what p lanes take, 128·r·p, small beside the rest. */
const mostBlocks = 256;
/** RFC 9106, 3.1 for the least; @node-rs/argon2 takes no longer ones. */
const saltBytes = [8, 48] as const;
/** A shorter digest would let other passwords in by chance. */
const digestBytes = [16, 64] as const;

/** A hash that can be compared with; undefined for what is none, or is beyond the bounds. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  return text.startsWith('$2') ? parseBcrypt(text) : parsePhc(text);
}

// Only in the spelling that every implementation writes: no bits beyond the 16 bytes of salt and the 23 of the digest.
const bcrypt =
  /^(?<form>\$2[aby]\$(?<cost>\d\d))\$(?<salt>[./A-Za-z0-9]{21}[.Oeu])(?<digest>[./A-Za-z0-9]{30}[.CGKOSWaeimquy26])$/;

function parseBcrypt(text: string): PasswordHash | undefined {
  const found = bcrypt.exec(text)?.groups;
  const cost = Number(found?.['cost']);
  if (found === undefined || !isWithin(cost, 4, 15)) return undefined;
  return { params: { kind: 'bcrypt', cost }, ...partsOf(found) };
}

// The PHC string format: github.com/P-H-C/phc-string-format.
const phc =
  /^(?<form>\$(?:argon2id\$v=19\$m=(?<m>\d{1,7}),t=(?<t>\d{1,2}),p=(?<p>\d{1,2})|scrypt\$ln=(?<ln>\d{1,2}),r=(?<r>\d{1,3}),p=(?<lanes>\d{1,2})))\$(?<salt>[A-Za-z0-9+/]+)\$(?<digest>[A-Za-z0-9+/]+)$/;

function parsePhc(text: string): PasswordHash | undefined {
  const found = phc.exec(text)?.groups;
  if (found === undefined) return undefined;
  // A number has one spelling.
  if (/[=,]0\d/.test(found['form'] ?? '')) return undefined;
  const params = found['m'] === undefined ? scryptOf(found) : argon2idOf(found);
  if (params === undefined) return undefined;
  const parts = partsOf(found);
  const fits = isWithin(base64Bytes(parts.salt), ...saltBytes) && isWithin(base64Bytes(parts.digest), ...digestBytes);
  return fits ? { params, ...parts } : undefined;
}

type Groups = Readonly<Record<string, string | undefined>>;

function argon2idOf({ m, t, p }: Groups): HashParams | undefined {
  const [memoryKiB, iterations, lanes] = [Number(m), Number(t), Number(p)];
  const fits =
    isWithin(lanes, 1, mostLanes) && isWithin(memoryKiB, 8 * lanes, mostMemoryKiB) && isWithin(iterations, 1, 10);
  return fits ? { kind: 'argon2id', memoryKiB, iterations, lanes } : undefined;
}

function scryptOf({ ln, r: blocks, lanes }: Groups): HashParams | undefined {
  const [logN, r, p] = [Number(ln), Number(blocks), Number(lanes)];
  const fits =
    isWithin(r, 1, mostBlocks) &&
    isWithin(p, 1, mostLanes) &&
    // RFC 7914, 2: N is below 2^(128·r/8).
    isWithin(logN, 1, 16 * r - 1) &&
    scryptMemoryKiB(logN, r) <= mostMemoryKiB &&
    2 ** logN * r * p <= mostScryptWork;
  return fits ? { kind: 'scrypt', logN, r, p } : undefined;
}

const scryptMemoryKiB = (logN: number, r: number) => (128 * r * 2 ** logN) / 1024;

const partsOf = ({ form = '', salt = '', digest = '' }: Groups) => ({ form, salt, digest });

const isWithin = (value: number, least: number, most: number) => value >= least && value <= most;

/** How many bytes this is, in base64 without padding; NaN where it is not in the one spelling that they have. */
export function base64Bytes(text: string): number {
  const spare = text.length % 4;
  // The bits that are left over are zero.
  const ending = { 0: /./, 1: /^$/, 2: /[AQgw]$/, 3: /[AEIMQUYcgkosw048]$/ }[spare];
  return ending?.test(text) ? Math.floor((text.length * 3) / 4) : Number.NaN;
}

/** What comparing with a hash takes: memory in KiB, and very roughly milliseconds of a core of 2024. */
export function costOf(params: HashParams): { readonly memoryKiB: number; readonly ms: number } {
  switch (params.kind) {
    case 'argon2id':
      return { memoryKiB: params.memoryKiB, ms: (params.memoryKiB * params.iterations) / 2_800 };
    case 'bcrypt':
      return { memoryKiB: 4, ms: 2 ** params.cost / 20 };
    case 'scrypt':
      return {
        memoryKiB: scryptMemoryKiB(params.logN, params.r),
        ms: (2 ** params.logN * params.r * params.p) / 2_900,
      };
  }
}
