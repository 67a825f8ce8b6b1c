// Builds this package: JavaScript and types of what it exports, with what they need of the repository, into dist/.

import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const root = join(folder, '../..');
rmSync(join(folder, 'dist'), { recursive: true, force: true });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', folder], { stdio: 'inherit' });
cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
