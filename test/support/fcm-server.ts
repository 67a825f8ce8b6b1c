// An HTTP server that speaks FCM HTTP v1 and OAuth 2.0 as Google documents them, and keeps what it takes; it stands in for
// Google's. It must not know what is pushed.
//
// Google's documents: [send] .../fcm/rest/v1/projects.messages/send, [errors] .../fcm/rest/v1/ErrorCode (both under
// firebase.google.com/docs/reference), [oauth] developers.google.com/identity/protocols/oauth2/service-account.

import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errors, jwtVerify } from 'jose';
import { type Arrival, arrivedNow, createArrivals, createScript } from './stand-in.ts';

export type FcmBehaviour =
  /** [send] 200 with the message's name. */
  | 'ok'
  /** [errors] A google.rpc.Status with FCM's own code in its details; without a code, no details. */
  | {
      readonly status: number;
      /** The canonical code, google.rpc.Code. */
      readonly canonical: string;
      readonly code?: string;
      readonly message: string;
      /** RFC 9110, 10.2.3, as it is sent. */
      readonly retryAfter?: string;
      /** Answered after so many milliseconds. */
      readonly slowMs?: number;
    }
  /** Taken, and never answered. No document promises an answer. */
  | 'stall'
  /** The connection breaks before the push is taken. */
  | 'drop-before'
  /** The push is taken, and the connection breaks before the answer. */
  | 'drop-after'
  /** What stands before Google's servers answers for them, in HTML. */
  | 'bad-gateway';

/** [errors] The codes, in the words that Google's servers use. */
export const fcmAnswers = {
  unregistered: {
    status: 404,
    canonical: 'NOT_FOUND',
    code: 'UNREGISTERED',
    message: 'Requested entity was not found.',
  },
  invalidArgument: {
    status: 400,
    canonical: 'INVALID_ARGUMENT',
    code: 'INVALID_ARGUMENT',
    message: 'The registration token is not a valid FCM registration token',
  },
  senderIdMismatch: {
    status: 403,
    canonical: 'PERMISSION_DENIED',
    code: 'SENDER_ID_MISMATCH',
    message: 'SenderId mismatch',
  },
  permissionDenied: {
    status: 403,
    canonical: 'PERMISSION_DENIED',
    message: "Permission 'cloudmessaging.messages.create' denied on resource (or it may not exist).",
  },
  thirdPartyAuthError: {
    status: 401,
    canonical: 'UNAUTHENTICATED',
    code: 'THIRD_PARTY_AUTH_ERROR',
    message: 'Request is missing required authentication credential.',
  },
  unauthenticated: {
    status: 401,
    canonical: 'UNAUTHENTICATED',
    message: 'Request had invalid authentication credentials.',
  },
  internal: { status: 500, canonical: 'INTERNAL', code: 'INTERNAL', message: 'Internal error encountered.' },
  quotaExceeded: (retryAfter?: string) => ({
    status: 429,
    canonical: 'RESOURCE_EXHAUSTED',
    code: 'QUOTA_EXCEEDED',
    message: 'Quota exceeded for quota metric.',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
  unavailable: (retryAfter?: string) => ({
    status: 503,
    canonical: 'UNAVAILABLE',
    code: 'UNAVAILABLE',
    message: 'The service is currently unavailable.',
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }),
} as const satisfies Record<string, FcmBehaviour | ((...args: never[]) => FcmBehaviour)>;

export type TokenBehaviour =
  /** [oauth] A bearer token for an hour. */
  | 'ok'
  /** RFC 6749, 5.2, with Google's status. */
  | 'invalid-grant'
  | 'unavailable'
  /** Answered after so many milliseconds. */
  | { readonly slowMs: number }
  /** A token that lives so many seconds. */
  | { readonly expiresIn: number }
  | 'drop';

export interface FcmPush extends Arrival {
  readonly token: string;
  readonly message: FcmMessage;
}

/** [send] The parts of a Message that are looked at. */
export interface FcmMessage {
  readonly token?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly notification?: { readonly title?: string; readonly body?: string };
  readonly android?: {
    readonly priority?: string;
    readonly ttl?: string;
    readonly collapseKey?: string;
    readonly notification?: Readonly<Record<string, unknown>>;
  };
}

/** One request, whatever became of it. */
export interface FcmAttempt extends Arrival {
  readonly token: string;
  /** `200`, `404 UNREGISTERED`, or the name of a behaviour without an answer. */
  readonly outcome: string;
}

/** The JSON key file of a service account, as Google gives it out. */
export interface ServiceAccount {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly token_uri: string;
}

export interface FcmServerOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** By which clock assertions and access tokens expire. Default: this machine's. */
  readonly now?: () => Date;
  readonly onPush?: (push: FcmPush) => void;
}

export interface FcmServer {
  readonly rootUrl: string;
  readonly serviceAccount: ServiceAccount;
  /** How pushes to a device are answered from now on; of a list each holds once. */
  behave(token: string, behaviour: FcmBehaviour | readonly FcmBehaviour[]): void;
  behaveAtTokenEndpoint(behaviour: TokenBehaviour | readonly TokenBehaviour[]): void;
  /** Every push that was taken, answered or not. */
  readonly pushes: readonly FcmPush[];
  readonly attempts: readonly FcmAttempt[];
  attemptsOf(token: string): readonly FcmAttempt[];
  /** The pushes to a device, once there are `count`. */
  waitFor(token: string, count?: number): Promise<readonly FcmPush[]>;
  /** How often the token endpoint was asked. */
  readonly exchanges: number;
  /** The connections so far, and those that are open. */
  readonly connections: { readonly made: number; readonly open: number };
  /** The assertions and access tokens seen so far; secrets, like the key. */
  readonly secrets: ReadonlySet<string>;
  /** Takes back every access token. */
  revokeAccessTokens(): void;
  /** Breaks every connection. */
  dropConnections(): void;
  stop(): Promise<void>;
}

const scope = 'https://www.googleapis.com/auth/firebase.messaging';

export async function startFcmServer(options: FcmServerOptions = {}): Promise<FcmServer> {
  const now = options.now ?? (() => new Date());
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = createPublicKey(privateKey);
  const project_id = 'stand-in';
  const client_email = `push@${project_id}.iam.gserviceaccount.com`;
  const script = createScript<FcmBehaviour>('ok');
  const tokenScript = createScript<TokenBehaviour>('ok');
  const pushes = createArrivals<FcmPush>('pushes', ({ token }) => token);
  const attempts = createArrivals<FcmAttempt>('attempts', ({ token }) => token);
  const sockets = new Set<Socket>();
  const secrets = new Set<string>();
  /** Access tokens, and when they expire in milliseconds since 1970. */
  const granted = new Map<string, number>();
  let made = 0;
  let exchanges = 0;

  /** RFC 7523, 3, with Google's words; nothing where the assertion is good. */
  const refusalOf = async (body: URLSearchParams): Promise<readonly [string, string] | undefined> => {
    if (body.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
      return ['unsupported_grant_type', `Invalid grant_type: ${body.get('grant_type')}`];
    }
    const assertion = body.get('assertion') ?? '';
    secrets.add(assertion);
    try {
      const { payload } = await jwtVerify(assertion, publicKey, {
        algorithms: ['RS256'],
        issuer: client_email,
        audience: serviceAccount.token_uri,
        requiredClaims: ['iat', 'exp'],
        maxTokenAge: '1h',
        currentDate: now(),
      });
      if ((payload.exp ?? 0) - (payload.iat ?? 0) > 3600) return ['invalid_grant', 'Invalid JWT: too long a life.'];
      return payload['scope'] === scope
        ? undefined
        : ['invalid_scope', 'Invalid OAuth scope or ID token audience provided.'];
    } catch (error) {
      const words = error instanceof errors.JWSSignatureVerificationFailed ? 'Invalid JWT Signature.' : 'Invalid JWT.';
      return ['invalid_grant', words];
    }
  };

  const grant = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    exchanges += 1;
    const behaviour = tokenScript.next('');
    const refusal = await refusalOf(new URLSearchParams((await read(request)).toString('utf8')));
    if (behaviour === 'drop') {
      request.socket.destroy();
      return;
    }
    if (behaviour === 'unavailable') {
      json(response, 503, { error: 'temporarily_unavailable', error_description: 'Try again later.' });
      return;
    }
    if (behaviour === 'invalid-grant' || refusal !== undefined) {
      const [error, error_description] = refusal ?? ['invalid_grant', 'Invalid grant: account not found'];
      json(response, behaviour === 'invalid-grant' ? 401 : 400, { error, error_description });
      return;
    }
    if (typeof behaviour === 'object' && 'slowMs' in behaviour) await sleep(behaviour.slowMs);
    const expires_in = typeof behaviour === 'object' && 'expiresIn' in behaviour ? behaviour.expiresIn : 3599;
    const access_token = `ya29.${randomBytes(48).toString('base64url')}`;
    secrets.add(access_token);
    granted.set(access_token, now().getTime() + expires_in * 1000);
    json(response, 200, { access_token, expires_in, token_type: 'Bearer' });
  };

  const send = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = JSON.parse((await read(request)).toString('utf8')) as {
      readonly message?: FcmMessage;
      readonly validateOnly?: boolean;
    };
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const message = body.message ?? {};
    const token = message.token ?? '';
    const fault =
      (granted.get(bearer) ?? 0) <= now().getTime()
        ? fcmAnswers.unauthenticated
        : token === ''
          ? { ...fcmAnswers.invalidArgument, message: 'Recipient of the message is not set.' }
          : undefined;
    const behaviour: FcmBehaviour = fault ?? script.next(token);
    const outcome =
      typeof behaviour === 'object'
        ? `${behaviour.status} ${behaviour.code ?? behaviour.canonical}`
        : behaviour === 'ok'
          ? '200'
          : behaviour;
    attempts.add({ token, outcome, ...arrivedNow() });

    const take = () => {
      const push: FcmPush = { token, message, ...arrivedNow() };
      pushes.add(push);
      options.onPush?.(push);
    };
    if (typeof behaviour === 'object') {
      const { status, canonical, code, message: words, retryAfter, slowMs } = behaviour;
      if (slowMs !== undefined) await sleep(slowMs);
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
      const details =
        code === undefined ? [] : [{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode: code }];
      json(response, status, {
        error: { code: status, message: words, status: canonical, ...(details.length === 0 ? {} : { details }) },
      });
      return;
    }
    switch (behaviour) {
      case 'ok':
        // [send] "Flag for testing the request without actually delivering the message."
        if (body.validateOnly) {
          json(response, 200, { name: `projects/${project_id}/messages/fake_message_id` });
          break;
        }
        take();
        json(response, 200, {
          name: `projects/${project_id}/messages/0:${Date.now()}%${randomBytes(8).toString('hex')}`,
        });
        break;
      case 'stall':
        take();
        break;
      case 'drop-before':
        request.socket.destroy();
        break;
      case 'drop-after':
        take();
        request.socket.destroy();
        break;
      case 'bad-gateway':
        response.writeHead(502, { 'content-type': 'text/html; charset=UTF-8' });
        response.end('<!DOCTYPE html><html lang=en><title>Error 502 (Server Error)!!1</title></html>');
        break;
      default:
        behaviour satisfies never;
    }
  };

  const routes: Readonly<Record<string, typeof send>> = {
    'POST /token': grant,
    [`POST /v1/projects/${project_id}/messages:send`]: send,
  };
  const server = createServer((request, response) => {
    const route = routes[`${request.method} ${request.url}`];
    if (route === undefined) json(response, 404, { error: { code: 404, message: 'Not Found', status: 'NOT_FOUND' } });
    // A client that leaves in the middle, or sends no JSON, is none of a test's failures.
    else route(request, response).catch(() => request.socket.destroy());
  });
  server.on('connection', (socket) => {
    made += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');

  const rootUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const serviceAccount: ServiceAccount = {
    type: 'service_account',
    project_id,
    private_key_id: 'a1b2c3d4e5f60718293a4b5c6d7e8f9001122334',
    private_key,
    client_email,
    token_uri: `${rootUrl}token`,
  };
  const dropConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    rootUrl,
    serviceAccount,
    behave: script.behave,
    behaveAtTokenEndpoint: (behaviour) => tokenScript.behave('', behaviour),
    pushes: pushes.all,
    attempts: attempts.all,
    attemptsOf: attempts.to,
    waitFor: pushes.waitFor,
    get exchanges() {
      return exchanges;
    },
    get connections() {
      return { made, open: sockets.size };
    },
    secrets,
    revokeAccessTokens: () => granted.clear(),
    dropConnections,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      dropConnections();
      await closed;
    },
  };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' });
  response.end(JSON.stringify(body));
}
