// Push by Google's service, over FCM HTTP v1 by Google's own client. Takes a push and a registration, and returns what FCM
// said; it must not know what the push is about.

import { createPrivateKey } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { fcm, type fcm_v1 } from '@googleapis/fcm';
import { OAuth2Client } from 'google-auth-library';
import { SignJWT } from 'jose';
import type { PushRegistration } from '../domain/device.ts';
import { fitForRecord, retryAfter, wordsOf } from './answers.ts';
import type { Handover } from './handover.ts';
import type { Push, PushSender } from './push.ts';

export type FcmRegistration = Extract<PushRegistration, { service: 'FCM' }>;

export interface FcmSettings {
  /** These five are `project_id`, `client_email`, `private_key`, `private_key_id` and `token_uri` of Google's key file. */
  readonly projectId: string;
  readonly clientEmail: string;
  /** An RSA private key in PKCS #8 PEM. */
  readonly privateKey: string;
  readonly privateKeyId?: string | undefined;
  readonly tokenUri: string;
  /** Default: https://fcm.googleapis.com/. */
  readonly rootUrl?: string | undefined;
  /** How long a push may take, an access token that has to be got first included. Default: 5000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Whether Google only says what it would do, and no device gets anything. */
  readonly validateOnly?: boolean | undefined;
  readonly now: () => Date;
}

/** https://developers.google.com/identity/protocols/oauth2/scopes#fcm */
const scope = 'https://www.googleapis.com/auth/firebase.messaging';
/** Google answers 400 to more: 28 days. */
const longestTtlSeconds = 2_419_200;
/** An access token of Google's lives for an hour, and is renewed this long before its end. */
const renewEarlyMs = 5 * 60_000;

/** @throws if the private key is none. */
export function createFcmSender(settings: FcmSettings): PushSender<FcmRegistration> {
  const requestTimeoutMs = settings.requestTimeoutMs ?? 5_000;
  // Google closes a connection that was idle for minutes: we do before, so that no push is lost on one.
  const connections = { keepAlive: true, timeout: 60_000, maxSockets: 256 };
  const agents = { http: new HttpAgent(connections), https: new HttpsAgent(connections) };
  const options = {
    agent: ({ protocol }: { readonly protocol: string }) => (protocol === 'http:' ? agents.http : agents.https),
    // Who calls decides on retries.
    retry: false,
    // Every status is an answer to read; only the lack of one throws.
    validateStatus: () => true,
    responseType: 'json' as const,
  };
  // Its own login with a service account ignores `token_uri`. It asks the handler each time, which keeps the token by our clock.
  const auth = new OAuth2Client({ eagerRefreshThresholdMillis: Number.MAX_SAFE_INTEGER });
  const tokens = createTokens(settings, (url, body) =>
    auth.transporter.request<unknown>({
      ...options,
      url,
      method: 'POST',
      data: body.toString(),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      signal: AbortSignal.timeout(requestTimeoutMs),
    }),
  );
  auth.refreshHandler = tokens.get;
  const client = fcm({ version: 'v1', auth });

  const validateOnly = settings.validateOnly ? { validateOnly: true } : {};

  const attempt = async (token: string, push: Push): Promise<Handover> => {
    const deadline = AbortSignal.timeout(requestTimeoutMs);
    try {
      const requestBody = { message: messageOf(token, push, settings.now()), ...validateOnly };
      const response = await client.projects.messages.send(
        { parent: `projects/${settings.projectId}`, requestBody },
        { ...options, signal: deadline, ...(settings.rootUrl === undefined ? {} : { rootUrl: settings.rootUrl }) },
      );
      const { status, data, headers } = response;
      // A token that FCM does not take any more is not kept for the rest of its hour.
      if (status === 401) tokens.forget(String(response.config.headers?.['Authorization']).replace(/^Bearer /, ''));
      return handover(status, data, headers['retry-after'], settings.now());
    } catch (error) {
      if (error instanceof NoAccessToken) return error.handover;
      if (deadline.aborted) return { kind: 'unreachable', answer: `no answer within ${requestTimeoutMs} ms` };
      return { kind: 'unreachable', answer: wordsOf(error) };
    }
  };
  return {
    send: async ({ token }, push) => {
      const result = await attempt(token, push);
      return { ...result, answer: fitForRecord(result.answer, token) };
    },
    close: async () => {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages */
function messageOf(token: string, push: Push, now: Date): fcm_v1.Schema$Message {
  const secondsLeft = Math.floor((push.expireTime.getTime() - now.getTime()) / 1000);
  return {
    token,
    data: { ...push.data, delivery_id: push.id },
    android: {
      priority: 'HIGH',
      ttl: `${Math.min(Math.max(secondsLeft, 0), longestTtlSeconds)}s`,
      collapseKey: push.collapseId,
      ...(push.notification === undefined
        ? {}
        : {
            notification: {
              tag: push.collapseId,
              defaultSound: true,
              notificationPriority: push.urgent ? 'PRIORITY_MAX' : 'PRIORITY_HIGH',
            },
          }),
    },
    ...(push.notification === undefined ? {} : { notification: { ...push.notification } }),
  };
}

/** https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode, for who must do what. */
function handover(status: number, data: unknown, retryAfterHeader: string | undefined, now: Date): Handover {
  if (status === 200) {
    const name = text(data, 'name');
    return { kind: 'accepted', answer: name === undefined ? '200' : `200 ${name}` };
  }
  const error = isRecord(data) ? data['error'] : undefined;
  // FCM's own code is in the details, and says more than the canonical one beside it.
  const details = isRecord(error) && Array.isArray(error['details']) ? (error['details'] as readonly unknown[]) : [];
  const detail = details.find((found) => text(found, '@type')?.endsWith('google.firebase.fcm.v1.FcmError'));
  const code = text(detail, 'errorCode') ?? text(error, 'status');
  const message = text(error, 'message');
  const answer = [[status, code].filter(Boolean).join(' '), message].filter(Boolean).join(': ');
  if (code === 'UNREGISTERED') return { kind: 'unregistered', answer };
  // The token belongs to another app, or is none, or the message is malformed.
  if (code === 'SENDER_ID_MISMATCH') return { kind: 'refused', answer };
  // 401 and 403 are about our own credentials, a 404 without FCM's code about our project: an operator will mend them.
  if ([401, 403, 404, 429].includes(status) || status >= 500) {
    return { kind: 'retry', answer, ...retryAfter(retryAfterHeader, now) };
  }
  return { kind: 'refused', answer };
}

/** Why a push could not even be tried. */
class NoAccessToken extends Error {
  readonly handover: Handover;
  constructor(handover: Handover) {
    super(handover.answer);
    this.handover = handover;
  }
}

interface AccessToken {
  readonly access_token: string;
  /** Milliseconds since 1970. */
  readonly expiry_date: number;
}

interface Tokens {
  /** @throws NoAccessToken */
  get(): Promise<AccessToken>;
  forget(accessToken: string): void;
}

type Post = (
  url: string,
  body: URLSearchParams,
) => Promise<{ readonly status: number; readonly data: unknown; readonly headers: Readonly<Record<string, string>> }>;

/** The access token of a service account: RFC 7523, and https://developers.google.com/identity/protocols/oauth2/service-account. */
function createTokens(settings: FcmSettings, post: Post): Tokens {
  const { tokenUri, now } = settings;
  const key = createPrivateKey(settings.privateKey);
  let held: AccessToken | undefined;
  /** The exchange under way: however many wait for it, there is one. */
  let exchange: Promise<AccessToken> | undefined;

  const ask = async (): Promise<AccessToken> => {
    const issued = Math.floor(now().getTime() / 1000);
    const assertion = await new SignJWT({ scope })
      .setProtectedHeader({
        alg: 'RS256',
        typ: 'JWT',
        ...(settings.privateKeyId === undefined ? {} : { kid: settings.privateKeyId }),
      })
      .setIssuer(settings.clientEmail)
      .setAudience(tokenUri)
      .setIssuedAt(issued)
      .setExpirationTime(issued + 3600)
      .sign(key);
    const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
    const { status, data, headers } = await post(tokenUri, body).catch((error: unknown) => {
      throw new NoAccessToken({ kind: 'unreachable', answer: `token endpoint: ${wordsOf(error)}` });
    });
    const token = text(data, 'access_token');
    if (status !== 200 || token === undefined) {
      // RFC 6749, 5.2. A refusal is of our own credentials, which an operator will mend.
      const words = [text(data, 'error'), text(data, 'error_description')].filter(Boolean).join(': ');
      const answer = `token endpoint: ${[status, words].filter(Boolean).join(' ')}`;
      throw new NoAccessToken({ kind: 'retry', answer, ...retryAfter(headers['retry-after'], now()) });
    }
    const seconds = isRecord(data) ? Number(data['expires_in']) : Number.NaN;
    held = { access_token: token, expiry_date: now().getTime() + (Number.isNaN(seconds) ? 3600 : seconds) * 1000 };
    return held;
  };
  return {
    get: () => {
      const leftMs = held === undefined ? 0 : held.expiry_date - now().getTime();
      if (held !== undefined && leftMs > renewEarlyMs) return Promise.resolve(held);
      exchange ??= ask().finally(() => {
        exchange = undefined;
      });
      if (held === undefined || leftMs <= (settings.requestTimeoutMs ?? 5_000)) return exchange;
      // While the old one is good, nobody waits for the new one, nor is held up by a token endpoint that is down.
      exchange.catch(() => {});
      return Promise.resolve(held);
    },
    forget: (accessToken) => {
      if (held?.access_token === accessToken) held = undefined;
    },
  };
}

function text(value: unknown, key: string): string | undefined {
  const found = isRecord(value) ? value[key] : undefined;
  return typeof found === 'string' && found !== '' ? found : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
