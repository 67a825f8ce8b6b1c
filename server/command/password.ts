// A password from standard input, or from a person at a terminal, where it does not show. Never from an argument, which every user of
// the machine can read.

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { exitCodes, Failure } from './failure.ts';

/** More than an RPC takes; a pipe that has more is not a password. */
const longest = 10_000;

export async function readPassword(fromStdin: boolean): Promise<string> {
  if (fromStdin) {
    const password = (await text(process.stdin)).replace(/\r?\n$/, '');
    if (password !== '' && password.length <= longest) return password;
    throw new Failure(exitCodes.usage, '--password-stdin takes the password, and nothing else, by standard input');
  }
  if (!process.stdin.isTTY) {
    throw new Failure(exitCodes.usage, 'there is no terminal to ask for the password: give it with --password-stdin');
  }
  const first = await ask('Password: ');
  if (first !== (await ask('The same again: '))) throw new Failure(exitCodes.usage, 'the two passwords differ');
  return first;
}

async function ask(question: string): Promise<string> {
  process.stderr.write(question);
  // The terminal is in raw mode while it is read, and what would be echoed goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('SIGINT', () => reject(new Failure(exitCodes.failed, 'interrupted; nothing was done')));
      lines.once('close', () => reject(new Failure(exitCodes.failed, 'no password was given; nothing was done')));
      lines.question('').then(resolve, reject);
    });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
