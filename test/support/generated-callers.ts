// Callers in other languages, with clients that Debian's generators make of the contract. It must not know what they call.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureInstalled } from './debian-packages.ts';

const root = join(import.meta.dirname, '../..');

/** What the details of refusals are made of, and the rules that every request has. */
export const detailsContract = [
  'buf/validate/validate.proto',
  'google/rpc/error_details.proto',
  'google/rpc/status.proto',
];

/** @param plugin writes the services, beside the messages that protoc itself writes. */
export async function generate(
  language: string,
  plugin: string,
  contract: readonly string[],
  folder: string,
): Promise<void> {
  const service = `grpc_${language}`;
  await promisify(execFile)('/usr/bin/protoc', [
    `--proto_path=${join(root, 'proto')}`,
    `--proto_path=${join(root, 'node_modules/google-proto-files')}`,
    `--${language}_out=${folder}`,
    `--plugin=protoc-gen-${service}=${plugin}`,
    `--${service}_out=${folder}`,
    ...contract,
  ]);
}

export const hasPython = (): Promise<boolean> =>
  ensureInstalled(
    ['/usr/bin/protoc', '/usr/bin/grpc_python_plugin', '/usr/lib/python3/dist-packages/grpc/__init__.py'],
    ['protobuf-compiler', 'protobuf-compiler-grpc', 'python3-grpcio', 'python3-protobuf'],
  );

/** The command that runs `script` from the project's folder, with what it imports made in `folder`. */
export async function makePython(
  script: string,
  contract: readonly string[],
  folder: string,
): Promise<readonly string[]> {
  await generate('python', '/usr/bin/grpc_python_plugin', contract, folder);
  return ['/usr/bin/env', `PYTHONPATH=${folder}`, '/usr/bin/python3', script];
}
