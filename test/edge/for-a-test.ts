// An edge, and what stands behind it, for the length of one test.

import { onTestFinished } from 'vitest';
import { type Edge, type EdgeOptions, startEdge } from '../support/edge.ts';
import { type Replica, startReplica } from './stand-in.ts';

export async function edgeOver(options: EdgeOptions): Promise<Edge> {
  const edge = await startEdge(options);
  if (edge === undefined) throw new Error('no HAProxy');
  onTestFinished(() => edge.stop());
  return edge;
}

export async function replicaThat(...how: Parameters<typeof startReplica>): Promise<Replica> {
  const replica = await startReplica(...how);
  onTestFinished(() => replica.stop());
  return replica;
}
