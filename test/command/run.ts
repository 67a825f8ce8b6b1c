// The `countersign` command as an operator runs it: a process of its own, with an environment of its own.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

const root = join(import.meta.dirname, '../..');
export const launcher = join(root, 'server/command/launch.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
}

/** Runs it to its end. */
export async function countersign(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { child, ended } = startCountersign(args, options);
  child.stdin.end(options.stdin ?? '');
  return ended;
}

/** The same while it runs. */
export function startCountersign(args: readonly string[], { env = {}, cwd = root }: RunOptions = {}) {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  // It may end before it has read all of it.
  child.stdin.on('error', () => {});
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  // A test may close its end.
  const textOf = (stream: Readable) => text(stream).catch(() => '');
  const ended = Promise.all([exit, textOf(child.stdout), textOf(child.stderr)]).then(
    ([code, stdout, stderr]): Ended => ({ code, stdout, stderr }),
  );
  return { child, ended };
}

/** What `--json` printed. */
export const jsonOf = <T = Readonly<Record<string, unknown>>>({ stdout }: Ended): T => JSON.parse(stdout) as T;

/** The failure that `--json` told. */
export function errorOf({ stderr }: Ended) {
  const { error } = JSON.parse(stderr) as {
    readonly error: { exitCode: number; reason: string; message: string; help: string; requestId: string };
  };
  return error;
}
