// What a call costs that needs no database: a health check, and an old app that is refused by its headers alone.

import { contest } from '../contest.ts';
import { appHeaders, from, healthFrame, paths, signInFrame } from '../requests.ts';
import { atLeast, type Scenario, standingsTable } from '../scenario.ts';

const failedPrecondition = 9;

export const gate: Scenario = {
  name: 'gate',
  title: 'Calls without the database, 32 at once',
  async run({ contestants, options }) {
    const product = await contestants.product();
    const [http2, grpcJs, connect] = [
      await contestants.floor('http2'),
      await contestants.floor('grpc-js'),
      await contestants.floor('connect'),
    ];
    const old = { ...from({ ipAddress: '81.2.69.7' }), 'countersign-client-version': '2.2' };
    const signIn = signInFrame('nobody@example.com');
    const refused = async () => {
      const status = await product.public.status(paths.signIn, old, signIn);
      if (status !== failedPrecondition) throw new Error(`an old app got status ${status}`);
    };
    const standings = await contest(
      [
        {
          name: 'Countersign, health',
          cpuMs: product.cpuMs,
          call: () => product.public.call(paths.health, appHeaders, healthFrame),
        },
        { name: 'Countersign, old app refused', cpuMs: product.cpuMs, call: refused },
        {
          name: 'Connect, empty',
          cpuMs: connect.cpuMs,
          call: () => connect.public.call(paths.health, appHeaders, healthFrame),
        },
        {
          name: 'grpc-js, empty',
          cpuMs: grpcJs.cpuMs,
          call: () => grpcJs.public.call(paths.introspect, appHeaders, healthFrame),
        },
        {
          name: 'bare http2, empty',
          cpuMs: http2.cpuMs,
          call: () => http2.public.call(paths.introspect, appHeaders, healthFrame),
        },
      ],
      { ...options, workers: 32 },
    );
    return {
      tables: [standingsTable(gate.title, standings)],
      targets: [
        ...atLeast(1.5, standings, 'Countersign, health', 'Connect, empty'),
        ...atLeast(1.5, standings, 'Countersign, old app refused', 'Connect, empty'),
      ],
      notes: [],
    };
  },
};
