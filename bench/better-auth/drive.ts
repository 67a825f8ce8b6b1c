// Drives `server.mjs` as its clients would, with as little work of its own as possible: it shares the machine's cores.
// It must not know better-auth's code, only what it answers.

import { Agent, type IncomingHttpHeaders, request } from 'node:http';

/** Flows of the peer. Each takes the account that has rested longest, and throws unless the answer is what it should be. */
export interface Peer {
  sessionCheck(): Promise<void>;
  /** Lists the 20 sessions of an account. */
  listSessions(): Promise<void>;
  /** Signs in on a trusted device: no code. */
  trustedSignIn(): Promise<void>;
  /** Signs in with a code on a device that becomes trusted: three requests. */
  newDeviceSignIn(): Promise<void>;
  /** Adds sessions of other accounts, until there are `count`. */
  loadSessions(count: number): Promise<void>;
  /** SQL statements that the peer has sent so far. */
  statements(): Promise<number>;
  close(): void;
}

interface Account {
  readonly email: string;
  readonly password: string;
  readonly session: string;
  /** The cookie of the trusted device, which each sign-in replaces. */
  trust: string;
}

interface Accounts {
  readonly signers: readonly Account[];
  readonly listers: readonly Account[];
  readonly sessionsPerListing: number;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Creates `accounts` that sign in and as many that list their sessions: no fewer than there are calls at once. */
export async function connectPeer(url: string, accounts: number): Promise<Peer> {
  const agent = new Agent({ keepAlive: true });
  const { hostname, port } = new URL(url);

  const send = (method: string, path: string, cookie?: string, body?: object) =>
    new Promise<Answer>((resolve, reject) => {
      const content = body === undefined ? undefined : JSON.stringify(body);
      const headers = {
        ...(cookie === undefined ? {} : { cookie }),
        ...(content === undefined
          ? {}
          : { origin: url, 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
      };
      const sent = request({ agent, hostname, port, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve({ headers: response.headers, body: text });
          else reject(new Error(`${path} answered ${response.statusCode}: ${text}`));
        });
      });
      sent.on('error', reject);
      sent.end(content);
    });
  const signIn = (account: Account, cookie?: string) =>
    send('POST', '/api/auth/sign-in/email', cookie, { email: account.email, password: account.password });

  const created: Accounts = JSON.parse((await send('POST', `/bench/accounts?count=${accounts}`)).body);
  const withSigner = inTurn(created.signers);
  const withLister = inTurn(created.listers);

  return {
    sessionCheck: () =>
      withSigner(async ({ email, session }) => {
        const { body } = await send('GET', '/api/auth/get-session', session);
        const found: { readonly user?: { readonly email: string } } | null = JSON.parse(body);
        if (found?.user?.email !== email) throw new Error(`not the session of ${email}: ${body}`);
      }),
    listSessions: () =>
      withLister(async ({ email, session }) => {
        const { body } = await send('GET', '/api/auth/list-sessions', session);
        const listed: readonly unknown[] = JSON.parse(body);
        if (listed.length !== created.sessionsPerListing) throw new Error(`not the sessions of ${email}: ${body}`);
      }),
    trustedSignIn: () =>
      withSigner(async (account) => {
        const { headers, body } = await signIn(account, account.trust);
        requireSession(account, headers, body);
        account.trust = cookieOf(headers, 'trust_device');
      }),
    newDeviceSignIn: () =>
      withSigner(async (account) => {
        const begun = await signIn(account);
        const redirected: { readonly twoFactorRedirect?: boolean } = JSON.parse(begun.body);
        if (redirected.twoFactorRedirect !== true) throw new Error(`no code wanted: ${begun.body}`);
        const challenge = cookieOf(begun.headers, 'two_factor');
        const { headers: sent } = await send('POST', '/api/auth/two-factor/send-otp', challenge, {});
        const verified = await send('POST', '/api/auth/two-factor/verify-otp', challenge, {
          code: sent['bench-otp'],
          trustDevice: true,
        });
        requireSession(account, verified.headers, verified.body);
        cookieOf(verified.headers, 'trust_device');
      }),
    loadSessions: async (count) => {
      await send('POST', `/bench/sessions?count=${count}`);
    },
    statements: async () => Number((await send('GET', '/bench/statements')).body),
    close: () => agent.destroy(),
  };
}

/** Lends each account to one call at a time. */
function inTurn(accounts: readonly Account[]): (work: (account: Account) => Promise<void>) => Promise<void> {
  const free = [...accounts];
  return async (work) => {
    const account = free.shift();
    if (account === undefined) throw new Error(`more than ${accounts.length} calls at once`);
    try {
      await work(account);
    } finally {
      free.push(account);
    }
  };
}

function requireSession({ email }: Account, headers: IncomingHttpHeaders, body: string): void {
  const { token, user }: { readonly token?: string; readonly user?: { readonly email: string } } = JSON.parse(body);
  if (!token || user?.email !== email) throw new Error(`${email} is not signed in: ${body}`);
  cookieOf(headers, 'session_token');
}

/** The cookie as it is to be sent back; throws where the answer sets none of that name, or takes it away. */
function cookieOf(headers: IncomingHttpHeaders, name: string): string {
  const prefix = `better-auth.${name}=`;
  const cookie = headers['set-cookie']?.find((line) => line.startsWith(prefix))?.split(';', 1)[0];
  if (cookie === undefined || cookie.length === prefix.length) throw new Error(`no cookie ${name}`);
  return cookie;
}
