// The app's client: the public services with the headers that every call needs, deadlines, typed errors, and a session
// that keeps itself fresh. It keeps nothing on disk: the app stores what `onTokens` gives it.

import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type CallOptions, type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { Account } from '../../gen/countersign/v1/account_pb.ts';
import { LoginActivity } from '../../gen/countersign/v1/login_activity_pb.ts';
import type { Session } from '../../gen/countersign/v1/session_pb.ts';
import { TrustedDevices, type WatchDeviceResponse } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import { TwoStepAuth } from '../../gen/countersign/v1/two_step_auth_pb.ts';
import { CountersignError, typedErrors } from '../errors.ts';
import { isWorthAnotherTry, pause, readable } from '../streams.ts';

export { CountersignError } from '../errors.ts';

/** An event of WatchDevice that matters to an app. */
export type WatchEvent = Exclude<WatchDeviceResponse['event'], { case: 'keepAlive' | undefined }>;

/** The secrets of a signed-in device, as they were last given. */
export type Tokens = Pick<Session, 'accessToken' | 'refreshToken'> & { readonly accessTokenExpireTime: number };

export interface AppClientOptions {
  /**
   * Makes the transport with what this client needs of it, such as
   * `(needs) => createConnectTransport({ baseUrl, ...needs })` with that of @connectrpc/connect-web.
   */
  readonly transport: (needs: { readonly interceptors: Interceptor[]; readonly defaultTimeoutMs: number }) => Transport;
  /** The app's version, such as `2.3.1`. */
  readonly clientVersion: string;
  readonly platform: 'ios' | 'android' | 'web';
  /** The languages of the person, as in accept-language. Where it is left out, a browser sends its own. */
  readonly acceptLanguage?: string;
  /** Milliseconds that a call may take; 10 s by default. */
  readonly timeoutMs?: number;
  /** What is stored from before; undefined on a device that is signed out. */
  readonly tokens?: Tokens | undefined;
  /** Told of every new pair, to store it before anything else; undefined when the session is over. */
  readonly onTokens?: (tokens: Tokens | undefined) => void;
}

export interface AppClient {
  readonly twoStepAuth: Client<typeof TwoStepAuth>;
  readonly trustedDevices: Client<typeof TrustedDevices>;
  readonly loginActivity: Client<typeof LoginActivity>;
  readonly account: Client<typeof Account>;
  /**
   * What an open app has to know, for as long as `signal` allows: WatchDevice, opened again whenever it breaks or falls
   * silent. Codes that are pending come again with each opening: go by their challenge's id. Ends after `signedOut`.
   */
  watch(signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined>;
  /** Takes the session of SignIn or VerifyCode over: later calls carry its tokens. */
  useSession(session: Session): void;
  /** The tokens that are in use. */
  readonly tokens: Tokens | undefined;
}

const defaultTimeoutMs = 10_000;
/** An access token is renewed this long before it ends, so that a slow call does not outlive it. */
const renewBeforeMs = 15_000;
/** The server says every 20 s that a stream lives: after this long it does not. */
const silenceMs = 45_000;

export function createAppClient(options: AppClientOptions): AppClient {
  let tokens = options.tokens;
  let refreshing: Promise<void> | undefined;

  const setTokens = (next: Tokens | undefined) => {
    tokens = next;
    options.onTokens?.(next);
  };
  const useSession = (session: Session) =>
    setTokens({
      accessToken: session.accessToken,
      refreshToken: session.refreshToken,
      accessTokenExpireTime: session.accessTokenExpireTime ? timestampMs(session.accessTokenExpireTime) : 0,
    });

  /** One refresh at a time: a refresh token is good once. */
  const refresh = (): Promise<void> => {
    refreshing ??= renew().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };
  const renew = async () => {
    const used = tokens;
    if (used === undefined) return;
    try {
      const { session } = await twoStepAuth.refreshSession({ refreshToken: used.refreshToken });
      if (session !== undefined && tokens === used) useSession(session);
    } catch (error) {
      if (CountersignError.is(error, 'SESSION_INVALID')) forget(used);
      throw error;
    }
  };
  /** The session of these tokens is over; one that has been opened since then is not. */
  const forget = (used: Tokens | undefined) => {
    if (tokens === used) setTokens(undefined);
  };

  const headers: Interceptor = (next) => (req) => {
    req.header.set('countersign-client-version', options.clientVersion);
    req.header.set('countersign-client-platform', options.platform);
    if (options.acceptLanguage !== undefined) req.header.set('accept-language', options.acceptLanguage);
    return next(req);
  };

  /** Calls that hold a secret of their own carry no token. */
  const withoutSession = new Set([
    'signIn',
    'sendCode',
    'verifyCode',
    'getChallenge',
    'refreshSession',
    'requestPasswordReset',
    'resetPassword',
  ]);
  const session: Interceptor = (next) => async (req) => {
    if (tokens === undefined || withoutSession.has(req.method.localName)) return next(req);
    if (Date.now() > tokens.accessTokenExpireTime - renewBeforeMs) await refresh();
    const used = tokens;
    req.header.set('authorization', `Bearer ${used?.accessToken}`);
    try {
      return await next(req);
    } catch (error) {
      if (!CountersignError.is(error, 'SESSION_INVALID')) throw error;
      if (error.reasonMetadata['cause'] !== 'EXPIRED') {
        forget(used);
        throw error;
      }
      // This device's clock is wrong, or another call has refreshed meanwhile.
      if (tokens === used) await refresh();
      req.header.set('authorization', `Bearer ${tokens?.accessToken}`);
      return next(req);
    }
  };

  async function* watch(signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    const open = (how: CallOptions) => trustedDevices.watchDevice({}, how);
    let failures = 0;
    while (!signal.aborted) {
      const used = tokens;
      let heard = 0;
      try {
        for await (const { event } of readable(open, signal, silenceMs)) {
          heard += 1;
          // The first message says that it is open; one that breaks right after it is a failure like one that does not open.
          if (heard > 1) failures = 0;
          if (event.case === undefined || event.case === 'keepAlive') continue;
          yield event;
          if (event.case !== 'signedOut') continue;
          forget(used);
          return;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (CountersignError.is(error, 'SESSION_INVALID')) {
          if (error.reasonMetadata['cause'] !== 'EXPIRED') throw error;
          // A stream is opened like any call, but refused only when it is read.
          await refresh();
          continue;
        }
        // What can't be mended by waiting, such as an app that is too old.
        if (error instanceof CountersignError && !isWorthAnotherTry(error)) throw error;
        failures += 1;
        await pause(error instanceof CountersignError ? error.retryAfter : undefined, failures, signal);
      }
    }
  }

  const transport = options.transport({
    interceptors: [session, typedErrors, headers],
    defaultTimeoutMs: options.timeoutMs ?? defaultTimeoutMs,
  });
  const twoStepAuth = createClient(TwoStepAuth, transport);
  const trustedDevices = createClient(TrustedDevices, transport);
  return {
    twoStepAuth,
    trustedDevices,
    watch,
    loginActivity: createClient(LoginActivity, transport),
    account: createClient(Account, transport),
    useSession,
    get tokens() {
      return tokens;
    },
  };
}
