// A replica that nobody stands in front of, in cleartext.

import { standsAttacks } from './suite.ts';
import { startReplica } from './target.ts';

standsAttacks(() => startReplica('http'), { slowOnes: true });
