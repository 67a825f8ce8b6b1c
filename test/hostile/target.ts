// Whom the attacks meet: a replica of its own on the open net, in cleartext or TLS, or one behind the edge. Real processes in
// production's settings.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificate, createAuthority, thisMachine } from '../support/certificate.ts';
import { startEdge } from '../support/edge.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';
import { createDatabase } from '../support/postgres.ts';
import { childOf, residentBytes } from '../support/process-memory.ts';
import { type Exit, productionEnv, programs, type ServerProgram } from '../support/processes.ts';
import type { Peer } from '../support/raw-socket.ts';

export interface Target {
  readonly url: string;
  readonly peer: Peer;
  /** PEM, where it speaks TLS. */
  readonly ca: string | undefined;
  readonly isEdge: boolean;
  readonly server: ServerProgram;
  readonly mail: MailServer;
  /** What each process holds, in bytes. */
  memory(): Readonly<Record<string, number>>;
  /** What went wrong inside, in the words of whom it went wrong for. */
  failures(): readonly string[];
  stop(): Promise<void>;
}

const { serve } = programs();

/** On any port; what comes from loopback is a stranger like any other. */
export async function startReplica(scheme: 'http' | 'https'): Promise<Target> {
  const { env, mail, stop } = await parts();
  const authority = createAuthority();
  const folder = await mkdtemp(join(tmpdir(), 'countersign-hostile-'));
  const tls = scheme === 'https' ? await tlsFiles(folder, authority.issue(thisMachine)) : {};
  const server = await serve({ ...env, ...tls, COUNTERSIGN_TRUSTED_PROXIES: '192.0.2.1/32' });
  const ends = endsOf(server);
  return {
    url: server.publicUrl,
    peer: { port: Number(new URL(server.publicUrl).port), tls: scheme === 'https' },
    ca: scheme === 'https' ? authority.cert : undefined,
    isEdge: false,
    server,
    mail,
    memory: () => ({ replica: residentBytes(server.pid) }),
    failures: () => failuresOf(server, ends),
    stop: async () => {
      await server.kill();
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function startBehindEdge(): Promise<Target> {
  const { env, mail, stop } = await parts();
  const server = await serve({ ...env, COUNTERSIGN_TRUSTED_PROXIES: 'loopback' });
  const edge = await startEdge({ replicas: [server.publicUrl] });
  if (edge === undefined) throw new Error('there is no HAProxy');
  const worker = childOf(edge.pid);
  const ends = endsOf(server);
  return {
    url: edge.url,
    peer: { port: edge.port, tls: true },
    ca: edge.ca,
    isEdge: true,
    server,
    mail,
    memory: () => ({ replica: residentBytes(server.pid), edge: residentBytes(worker) }),
    failures: () => [
      ...failuresOf(server, ends),
      ...edge
        .log()
        .split('\n')
        .filter((line) => /\[ALERT\]|exited with code/.test(line)),
    ],
    stop: async () => {
      await edge.stop();
      await server.kill();
      await stop();
    },
  };
}

async function parts() {
  const [database, mail] = await Promise.all([createDatabase(), startMailServer()]);
  const stop = async () => {
    await mail.stop();
    await database.drop();
  };
  const env = {
    ...productionEnv({ databaseUrl: database.url, smtpUrl: mail.url }),
    // A test machine may be slow for reasons of its own.
    COUNTERSIGN_DATABASE_PATIENCE: '20s',
  };
  return { env, mail, stop };
}

async function tlsFiles(folder: string, { cert, key }: Pick<Certificate, 'cert' | 'key'>) {
  await writeFile(join(folder, 'cert.pem'), cert);
  await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 });
  return {
    COUNTERSIGN_PUBLIC_TLS_CERT: join(folder, 'cert.pem'),
    COUNTERSIGN_PUBLIC_TLS_KEY: join(folder, 'key.pem'),
    COUNTERSIGN_PUBLIC_URL: 'https://127.0.0.1:8443',
  };
}

/** Empty as long as it lives. */
function endsOf(server: ServerProgram): readonly Exit[] {
  const ends: Exit[] = [];
  void server.exit.then((end) => ends.push(end));
  return ends;
}

function failuresOf(server: ServerProgram, ends: readonly Exit[]): readonly string[] {
  const errors = server
    .stdout()
    .split('\n')
    .filter((line) => /"level":(?:50|60|"error"|"fatal")/.test(line));
  const words = server.stderr() === '' ? [] : [server.stderr()];
  return [...ends.map((end) => `it ended: ${JSON.stringify(end)}`), ...words, ...errors];
}
