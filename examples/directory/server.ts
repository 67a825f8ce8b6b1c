// countersign.directory.v1.Directory by @grpc/grpc-js, its messages read from the .proto file by @grpc/proto-loader.

import { createHash, timingSafeEqual } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Account, Accounts } from './accounts.ts';
import { verifyPassword } from './passwords.ts';

export interface DirectoryOptions {
  readonly accounts: Accounts;
  /** Who does not send it is refused; undefined: anybody may ask. */
  readonly token: string | undefined;
  /** host:port; port 0 is any free one. */
  readonly address: string;
}

export interface RunningDirectory {
  readonly port: number;
  /** Breaks off what is under way. */
  stop(): void;
}

/** What VerifyPassword, GetAccount and LookUpAccount are asked; each has some of these fields. */
interface Question {
  readonly email: string;
  readonly password: string;
  readonly accountId: string;
}

interface Answer {
  /** Unset where there is none. */
  readonly account?: Pick<Account, 'accountId' | 'email' | 'locale'>;
}

export async function serveDirectory({ accounts, token, address }: DirectoryOptions): Promise<RunningDirectory> {
  const answerWith = (account: Account | undefined): Answer => {
    if (account === undefined) return {};
    // Without the hash.
    const { accountId, email, locale } = account;
    return { account: { accountId, email, locale } };
  };
  const server = new Server();
  server.addService(directoryService(), {
    verifyPassword: guarded(token, async ({ email, password }) => {
      const account = accounts.byEmail(email);
      // Compared in any case: an unknown address takes as long as a wrong password.
      const matches = await verifyPassword(account?.passwordHash, password);
      return answerWith(matches ? account : undefined);
    }),
    getAccount: guarded(token, async ({ accountId }) => answerWith(accounts.byId(accountId))),
    lookUpAccount: guarded(token, async ({ email }) => answerWith(accounts.byEmail(email))),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

function directoryService() {
  const definition = loadSync('countersign/directory/v1/directory.proto', {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    defaults: true,
  });
  const { countersign } = loadPackageDefinition(definition) as unknown as {
    readonly countersign: { readonly directory: { readonly v1: { readonly Directory: ServiceClientConstructor } } };
  };
  return countersign.directory.v1.Directory.service;
}

/** A call that only who has the token may make, and whose failure says nothing of what it was asked. */
function guarded(
  token: string | undefined,
  answer: (question: Question) => Promise<Answer>,
): handleUnaryCall<Question, Answer> {
  return (call, callback) => {
    if (token !== undefined && !isBearer(call, token)) {
      callback(refusal(status.UNAUTHENTICATED, 'the bearer token is missing or wrong'));
      return;
    }
    answer(call.request).then(
      (value) => callback(null, value),
      () => callback(refusal(status.INTERNAL, 'internal error')),
    );
  };
}

function isBearer({ metadata }: ServerUnaryCall<Question, Answer>, token: string): boolean {
  const [presented = ''] = metadata.get('authorization');
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(String(presented)), hash(`Bearer ${token}`));
}

const refusal = (code: status, details: string): Partial<ServiceError> => ({ code, details });
