// Pages for people, as tests read them: where they lead, and their commands, run word for word in a shell.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';

/** `[words](path)`, the path from the folder of the document. */
export const links = (text: string, from: string) =>
  [...text.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)].flatMap(([, words = '', target = '']) =>
    /^[a-z]+:/.test(target) ? [] : [{ words, path: pathOf(target, from), anchor: target.split('#')[1] }],
  );

const pathOf = (target: string, from: string) =>
  target.startsWith('#') ? from : join(dirname(from), target.replace(/#.*$/, ''));

/** As GitHub makes them of headings. */
export const anchorsOf = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  );

/** The blocks of a page behind a mark of this name, such as `<!-- walk -->`. */
export function blocksOf(page: string, name: string): readonly string[] {
  const marked = new RegExp(`<!-- ${name} -->\\n\`\`\`sh\\n([\\s\\S]*?)\`\`\``, 'g');
  return [...page.matchAll(marked)].map(([, block = '']) => block);
}

export interface Terminal {
  /** What stands on the screen so far. */
  output(): string;
  type(line: string): void;
  readonly code: Promise<number>;
}

/** A shell that ends at the first command that fails. */
export function terminal(script: string, cwd: string, env: Readonly<Record<string, string>> = {}): Terminal {
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd, env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
    });
  }
  return {
    output: () => output,
    type: (line) => shell.stdin.write(line),
    code: once(shell, 'exit').then(([code]) => code as number),
  };
}
