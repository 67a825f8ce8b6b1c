// Which commands there are, with their arguments, options and examples. It must not load what they do.

import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { type Environment, parseDuration } from '../environment.ts';
import type { ConnectionOptions } from './connection.ts';
import type { Answer } from './output.ts';

/** Prints what a command answers. */
export type Show = (work: () => Promise<Answer>, options: { readonly json: boolean }) => Promise<void>;

interface Common extends ConnectionOptions {
  readonly json: boolean;
}

const account = 'EMAIL|ID';
const accountMeaning = 'the address or the id of an account; `id:…` where an id has an @';

export function createProgram(env: Environment, show: Show): Command {
  const program = new Command('countersign')
    .description('Looks after a Countersign server: accounts, sessions, why a code did not arrive, keys, settings.')
    .addHelpText(
      'after',
      `
Where the server is: --url or COUNTERSIGN_INTERNAL_URL (default http://127.0.0.1:9090). As whom: COUNTERSIGN_SERVICE_TOKEN,
--token-file, or the name in --client-cert; with none of them, on the machine of \`npm start\`, its own token.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server is not reachable, 78 a setting is missing or wrong.`,
    );
  const accounts = program.command('accounts').description('creates, imports, shows, unlocks and deletes accounts');
  const sessions = program.command('sessions').description('lists and ends sessions');
  const keys = program.command('keys').description('makes, lists and rotates keys');
  const tokens = program.command('tokens').description('makes service tokens');

  remote(accounts, 'create')
    .description('creates an account; the password is asked for, or comes by standard input (scope accounts)')
    .requiredOption('--email <address>', 'its e-mail address')
    .option('--locale <tag>', 'the language of its messages, such as de or pt-BR', '')
    .option('--password-stdin', 'reads the password from standard input')
    .addHelpText(
      'after',
      examples(
        'countersign accounts create --email anna@example.com --locale de',
        'pass show anna | countersign accounts create --email anna@example.com --password-stdin',
      ),
    )
    .action((options: Common & { email: string; locale: string; passwordStdin?: true }) =>
      show(async () => (await import('./accounts.ts')).createAccount(options, env), options),
    );

  remote(accounts, 'import')
    .description('takes over accounts of another system with the hashes of their passwords (scope accounts)')
    .argument(
      '<file>',
      'JSON Lines or CSV with a header: account_id, email, locale, password_hash; - reads standard input',
    )
    .option('--dry-run', 'only checks the file')
    .addOption(durationOption('--patience', 'how long a server that is out of reach is asked again', '2m'))
    .addHelpText(
      'after',
      `
It may be repeated: an account that is there stays as it is. Lines that are malformed, or whose address or id belongs to another
account, are left out and told; then the exit code is 1.
${examples(
  'countersign accounts import --dry-run users.csv',
  'countersign accounts import users.jsonl',
  'zcat users.csv.gz | countersign accounts import --json -',
)}`,
    )
    .action((file: string, options: Common & { dryRun?: true; patience: number }) =>
      show(async () => (await import('./import.ts')).importAccounts(file, options, env), options),
    );

  remote(accounts, 'show')
    .description(
      'tells how an account stands: two-step verification, devices, newest challenges (scope support; with accounts, its whole address too)',
    )
    .addArgument(new Argument(`<${account}>`, accountMeaning))
    .addHelpText('after', examples('countersign accounts show anna@example.com'))
    .action((name: string, options: Common) =>
      show(async () => (await import('./accounts.ts')).showAccount(name, options, env), options),
    );

  remote(accounts, 'unlock')
    .description('forgets the wrong codes of an account, and so lifts a lock or a wait (scope accounts)')
    .addArgument(new Argument(`<${account}>`, accountMeaning))
    .option(
      '--forget-devices',
      'puts its trusted devices out, too: for who has none left, and is known to be the owner',
    )
    .addHelpText('after', examples('countersign accounts unlock anna@example.com'))
    .action((name: string, options: Common & { forgetDevices?: true }) =>
      show(async () => (await import('./accounts.ts')).unlockAccount(name, options, env), options),
    );

  remote(accounts, 'delete')
    .description('erases an account with everything that is kept of it; there is no way back (scope accounts)')
    .argument('<ID>', 'its id')
    .requiredOption('--yes', 'says that it is meant')
    .addHelpText('after', examples('countersign accounts delete 01997a3c-5f0e-7c3b-8b0e-2f6a4d1c9e77 --yes'))
    .action((id: string, options: Common) =>
      show(async () => (await import('./accounts.ts')).deleteAccount(id, options, env), options),
    );

  remote(sessions, 'list')
    .description(
      'lists the live sessions of an account, newest first (scope sessions; by an address, accounts or support too)',
    )
    .addArgument(new Argument(`<${account}>`, accountMeaning))
    .addHelpText('after', examples('countersign sessions list anna@example.com'))
    .action((name: string, options: Common) =>
      show(async () => (await import('./sessions.ts')).listSessions(name, options, env), options),
    );

  remote(sessions, 'revoke')
    .description(
      'ends sessions of an account: all, those of one device, or one; trust stays (scope sessions; by an address, accounts or support too)',
    )
    .addArgument(new Argument(`<${account}>`, accountMeaning))
    .option('--device <id>', 'only those of this device')
    .option('--session <id>', 'only this one')
    .addOption(
      new Option('--reason <reason>', 'what the devices are told')
        .choices(['administrative', 'password-changed'])
        .default('administrative'),
    )
    .addHelpText(
      'after',
      examples(
        'countersign sessions revoke anna@example.com',
        'countersign sessions revoke anna@example.com --session 01997a3c-5f0e-7c3b-8b0e-2f6a4d1c9e77',
      ),
    )
    .action((name: string, options: Common & { device?: string; session?: string; reason: string }) =>
      show(async () => (await import('./sessions.ts')).revokeSessions(name, options, env), options),
    );

  remote(program, 'trace')
    .description(
      'tells why a code did, or did not, arrive: one challenge, with every message and every answer of a provider (scope support)',
    )
    .addArgument(new Argument(`<${account}>`, accountMeaning))
    .option('--challenge <id>', "which challenge; the account's newest by default")
    .addHelpText('after', examples('countersign trace anna@example.com'))
    .action((name: string, options: Common & { challenge?: string }) =>
      show(async () => (await import('./trace.ts')).traceChallenge(name, options, env), options),
    );

  remote(program, 'audit')
    .description('lists what internal callers did, newest first (scope support)')
    .option('--account <EMAIL|ID>', 'only what concerns this account')
    .option('--caller <name>', 'only what this caller did')
    .option('--rpc <name>', 'only this RPC, such as Accounts.SetPassword')
    .option('--since <time>', 'from then on: a duration before now, such as 24h, or 2026-07-28T10:00:00Z', timeOf)
    .option('--limit <count>', 'how many records at most', countOf, 100)
    .addHelpText(
      'after',
      examples(
        'countersign audit --since 24h',
        'countersign audit --account anna@example.com --rpc Accounts.SetPassword',
      ),
    )
    .action(
      (options: Common & { account?: string; caller?: string; rpc?: string; since?: TimeOption; limit: number }) =>
        show(async () => (await import('./audit.ts')).listAudit(options, env, new Date()), options),
    );

  local(tokens, 'new')
    .description('makes a service token; it is shown once, and only its SHA-256 goes into the settings')
    .argument('<NAME>', 'who is going to call with it')
    .requiredOption('--scopes <scopes>', 'what it is for: accounts, sessions, support, legacy, joined by +')
    .addHelpText('after', examples('countersign tokens new billing --scopes accounts+sessions'))
    .action((name: string, options: { json: boolean; scopes: string }) =>
      show(async () => (await import('./tokens.ts')).newToken(name, options.scopes), options),
    );

  local(keys, 'new')
    .description('prints a fresh key as an entry for COUNTERSIGN_CODE_KEYS, COUNTERSIGN_SIGNING_KEYS or a file of keys')
    .addHelpText('after', examples('(umask 077; countersign keys new > /etc/countersign/signing-keys)'))
    .action((options: { json: boolean }) => show(async () => (await import('./keys.ts')).newKey(new Date()), options));

  local(keys, 'list')
    .description('lists the keys of a file with the times from which they are used; the keys themselves stay there')
    .requiredOption('--file <path>', 'the file of keys')
    .addHelpText('after', examples('countersign keys list --file /etc/countersign/signing-keys'))
    .action((options: { json: boolean; file: string }) =>
      show(async () => (await import('./keys.ts')).listKeys(options.file, new Date()), options),
    );

  local(keys, 'rotate')
    .description('puts a new key into a file, which is used some time later, and takes out those that are over')
    .requiredOption('--file <path>', 'the file of keys; comments in it are lost')
    .addOption(durationOption('--use-after', 'until then every replica must have the file', '10m'))
    .addOption(
      durationOption(
        '--drop-after',
        'for how long a replaced key is kept: for a week what a code key has made is good, for 30 days an idle session',
        '31d',
      ),
    )
    .addHelpText(
      'after',
      `
A key that has got into wrong hands is replaced with --use-after 10s.
${examples('countersign keys rotate --file /etc/countersign/signing-keys')}`,
    )
    .action((options: { json: boolean; file: string; useAfter: number; dropAfter: number }) =>
      show(async () => (await import('./keys.ts')).rotateKeys(options, new Date()), options),
    );

  local(program, 'doctor')
    .description('checks the settings in its environment and everything that they lead to; changes nothing')
    .option('--only <checks>', 'only these, separated by commas', (text) => text.split(','))
    .option('--dns <address>', "asks this DNS server instead of the system's, such as 192.0.2.53:53")
    .addHelpText(
      'after',
      `
Run it with the environment of the server, on its machine. It exits with 1 if anything is said to \`fail\`.
${examples(
  'set -a; . /etc/countersign/env; set +a; countersign doctor',
  'countersign doctor --only database,mail --json',
)}`,
    )
    .action((options: { json: boolean; only?: readonly string[]; dns?: string }) =>
      show(async () => (await import('./doctor.ts')).examine(options, env), options),
    );

  finish(program);
  return program;
}

/** A command that asks no server. */
function local(parent: Command, name: string): Command {
  return parent.command(name).option('--json', 'prints one JSON document', false);
}

function remote(parent: Command, name: string): Command {
  return local(parent, name)
    .option('--url <url>', 'where the internal listener is', urlOf)
    .option('--token-file <path>', 'a file with the service token')
    .option('--ca <path>', "PEM: the authorities to trust instead of the system's")
    .option('--client-cert <path>', 'PEM: the certificate to show, where the listener asks for one')
    .option('--client-key <path>', 'PEM: its key');
}

/** Wrong usage is thrown, and told by who prints every other failure. */
function finish(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError()
    .helpCommand(false);
  for (const each of command.commands) finish(each);
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function durationOption(name: string, meaning: string, fallback: string): Option {
  return new Option(`${name} <duration>`, meaning).argParser(durationOf).default(durationOf(fallback), fallback);
}

function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('It takes a duration such as 30s, 10m, 24h or 7d.');
  return ms;
}

/** A moment, or how long before now. */
export type TimeOption = { readonly agoMs: number } | { readonly time: Date };

function timeOf(text: string): TimeOption {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return { agoMs };
  const time = new Date(text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError('It takes a duration such as 24h, or a time such as 2026-07-28T10:00:00Z.');
  }
  return { time };
}

function urlOf(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text;
  throw new InvalidArgumentError('It takes a URL that begins with http:// or https://.');
}

function countOf(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It takes a whole number from 1 to 999999.');
  return Number(text);
}
