// Everything that is checked without running the product: format, lint, types, the contract and what is generated from it.
// It must not change a file of the repository.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const env = { ...process.env, PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter) };
const scratch = mkdtempSync(join(tmpdir(), 'countersign-check-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const checks = {
  'biome check': () => run('biome', ['check', '--error-on-warnings', '.']),
  tsc: () => run('tsc', ['--noEmit']),
  'buf lint': () => run('buf', ['lint']),
  'buf format': () => run('buf', ['format', 'proto', '--diff', '--exit-code']),
  'gen is current': generationIsCurrent,
  'buf breaking': nothingBreaks,
};

const results = await Promise.all(
  Object.entries(checks).map(async ([name, check]) => {
    const started = performance.now();
    const { ok, output } = await check();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
    if (output !== '' && (!ok || name === 'buf breaking')) process.stdout.write(`${output}\n`);
    return ok;
  }),
);
process.exitCode = results.every(Boolean) ? 0 : 1;

async function generationIsCurrent() {
  const generated = await run('buf', ['generate', '--output', scratch]);
  if (!generated.ok) return generated;
  const [wanted, found] = [filesBelow(join(scratch, 'gen')), filesBelow(join(root, 'gen'))];
  const differing = [...new Set([...wanted.keys(), ...found.keys()])].filter(
    (path) => wanted.get(path) !== found.get(path),
  );
  if (differing.length === 0) return { ok: true, output: '' };
  return { ok: false, output: `run \`npm run generate\`; not current: ${differing.sort().join(', ')}` };
}

/** The working tree's contract against the last commit's, where it differs, and against the newest one before that. */
async function nothingBreaks() {
  const notes = [];
  let ok = true;
  for (const commit of await earlierContracts()) {
    const short = commit.slice(0, 10);
    const folder = join(scratch, short);
    mkdirSync(folder);
    const archive = join(scratch, `${short}.tar`);
    const extracted = await run('git', ['archive', '--output', archive, commit, 'proto']);
    if (!extracted.ok || !(await run('tar', ['-xf', archive, '-C', folder])).ok) {
      notes.push(`skipped: commit ${short} can't be read`);
      continue;
    }
    // The contract imports published ones out of node_modules, which a commit does not have.
    cpSync(join(root, 'buf.yaml'), join(folder, 'buf.yaml'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const built = await run('buf', ['build', folder, '--output', '/dev/null']);
    if (!built.ok) {
      notes.push(`skipped: the contract of commit ${short} does not build`);
      continue;
    }
    const compared = await run('buf', ['breaking', '--against', folder]);
    ok &&= compared.ok;
    notes.push(`compared with commit ${short}`, ...(compared.output === '' ? [] : [compared.output]));
  }
  if (notes.length === 0) notes.push('skipped: no earlier commit has a contract to compare with');
  return { ok, output: notes.map((note) => `       ${note}`).join('\n') };
}

async function earlierContracts() {
  const git = async (...args) => {
    const { ok, output } = await run('git', args);
    return ok ? output : '';
  };
  const commits = [];
  if ((await git('status', '--porcelain', '--', 'proto')) !== '' && (await git('rev-parse', 'HEAD:proto')) !== '') {
    commits.push(await git('rev-parse', 'HEAD'));
  }
  const lastChange = await git('log', '-1', '--format=%H', '--', 'proto');
  if (lastChange !== '' && (await git('rev-parse', '--verify', '--quiet', `${lastChange}^:proto`)) !== '') {
    commits.push(await git('rev-parse', `${lastChange}^`));
  }
  return commits;
}

function filesBelow(folder) {
  if (!existsSync(folder)) return new Map();
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function run(command, args) {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: root, env, maxBuffer: 100_000_000 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: `${stdout}${stderr}`.trim() || (error?.message ?? '') });
    });
  });
}
