// What a process of this machine holds, as Linux counts it.

import { readFileSync } from 'node:fs';

/** @throws Error where there is no such process any more. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** The first process that this one has started, as HAProxy's master does with the one that serves. */
export function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}
