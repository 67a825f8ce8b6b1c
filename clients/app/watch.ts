// How a WatchDevice stream is kept open: when it is broken, and how long to wait before the next.

import { type Client, Code, ConnectError } from '@connectrpc/connect';
import type { TrustedDevices, WatchDeviceResponse } from '../../gen/countersign/v1/trusted_devices_pb.ts';
import type { CountersignError } from '../errors.ts';

/** The server says every 20 s that the stream lives: after this long it does not. */
const silenceMs = 45_000;
const firstPauseMs = 250;
const longestPauseMs = 15_000;

/** One stream; it fails with UNAVAILABLE when it falls silent, as a phone's does that has changed its network. */
export async function* readable(
  client: Client<typeof TrustedDevices>,
  signal: AbortSignal,
): AsyncGenerator<WatchDeviceResponse> {
  const silence = new AbortController();
  const startTimer = () =>
    setTimeout(() => silence.abort(new ConnectError('the stream fell silent', Code.Unavailable)), silenceMs);
  let timer = startTimer();
  try {
    // It lives as long as its session: no time-out.
    const options = { signal: AbortSignal.any([signal, silence.signal]), timeoutMs: 0 };
    for await (const message of client.watchDevice({}, options)) {
      clearTimeout(timer);
      timer = startTimer();
      yield message;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Whether another stream may fare better: the server stops, the network broke, or another stream took the place. */
export function isWorthAnotherTry(error: CountersignError): boolean {
  return [Code.Unavailable, Code.Unknown, Code.Canceled, Code.Aborted, Code.Internal, Code.ResourceExhausted].includes(
    error.code,
  );
}

/** Waits as long as the server asked, else doubling from a quarter of a second to 15 s; somewhat at random. */
export async function pause(retryAfter: number | undefined, failures: number, signal: AbortSignal): Promise<void> {
  const longest = retryAfter ?? Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
