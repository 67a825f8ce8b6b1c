// A replica that nobody stands in front of, over TLS.

import { standsAttacks } from './suite.ts';
import { startReplica } from './target.ts';

standsAttacks(() => startReplica('https'), { slowOnes: false });
