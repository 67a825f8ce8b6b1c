// The edge, in front of a replica.

import { describe } from 'vitest';
import { hasHaproxy } from '../support/edge.ts';
import { standsAttacks } from './suite.ts';
import { startBehindEdge } from './target.ts';

describe.skipIf(!(await hasHaproxy()))('the edge', () => {
  standsAttacks(startBehindEdge, { slowOnes: true });
});
