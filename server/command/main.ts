// The `countersign` command: from its arguments to its exit code. What a subject does is in its own file, which is loaded when it is
// asked for, so that `--help` is quick. Nothing here opens the server's flows; of its store
// the doctor alone asks, read-only, which partitions and migrations there are.

import { enableCompileCache } from 'node:module';
import { CommanderError } from 'commander';
import { createProgram } from './program.ts';

// What the reader of a pipe does not want (`| head`) is no failure of ours, and none of ours is hidden by it: what is done goes on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function main(argv: readonly string[]): Promise<number> {
  enableCompileCache();
  const json = argv.includes('--json');
  try {
    let exitCode = 0;
    const program = createProgram(process.env, async (work, options) => {
      const { jsonText, failureText } = await import('./output.ts');
      const { text, json: document, failure } = await work();
      const output = options.json ? jsonText(document) : text === '' ? '' : `${text}\n`;
      await write(process.stdout, output);
      if (failure === undefined) return;
      exitCode = failure.exitCode;
      await write(process.stderr, failureText(failure, options.json));
    });
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // Without a command it has shown what there is.
    if (error instanceof CommanderError && error.code === 'commander.help') return 2;
    const [{ Failure, failureOf, exitCodes }, { failureText }] = await Promise.all([
      import('./failure.ts'),
      import('./output.ts'),
    ]);
    const failure =
      error instanceof CommanderError
        ? new Failure(exitCodes.usage, error.message.replace(/^error: /, ''), { help: 'see --help' })
        : failureOf(error);
    await write(process.stderr, failureText(failure, json));
    return failure.exitCode;
  }
}

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => resolve());
  });
}

main(process.argv.slice(2)).then(
  // Connections to the server may still be open: nobody waits for them.
  (exitCode) => process.exit(exitCode),
  (error) => {
    process.stderr.write(`countersign: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
