// How a server's stream is kept open: when it is broken, and how long to wait before the next. It must not know which stream.

import { type CallOptions, Code, ConnectError } from '@connectrpc/connect';
import type { CountersignError } from './errors.ts';

const firstPauseMs = 250;

/** One stream; it fails with UNAVAILABLE when it falls silent, as a phone's does that has changed its network. */
export async function* readable<T>(
  open: (options: CallOptions) => AsyncIterable<T>,
  signal: AbortSignal,
  silenceMs: number,
): AsyncGenerator<T> {
  const silence = new AbortController();
  const startTimer = () =>
    setTimeout(() => silence.abort(new ConnectError('the stream fell silent', Code.Unavailable)), silenceMs);
  let timer = startTimer();
  try {
    // It lives as long as what it is about: no time-out.
    for await (const message of open({ signal: AbortSignal.any([signal, silence.signal]), timeoutMs: 0 })) {
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
  // What Connect makes of a stream that ends without its last word, as when a proxy on the way cuts it.
  if (error.code === Code.InvalidArgument && error.reason === '') return true;
  return [Code.Unavailable, Code.Unknown, Code.Canceled, Code.Aborted, Code.Internal, Code.ResourceExhausted].includes(
    error.code,
  );
}

/**
 * Waits before another try: as long as the server asked, else doubling with every failure from a quarter of a second to
 * `longestMs`; somewhat at random. Ends at once with `signal`.
 */
export async function pause(
  retryAfter: number | undefined,
  failures: number,
  signal: AbortSignal,
  longestMs = 15_000,
): Promise<void> {
  const longest = retryAfter ?? Math.min(firstPauseMs * 2 ** (failures - 1), longestMs);
  await sleep(longest * (0.5 + Math.random() / 2), signal);
}

/** Resolves after `ms`, or with `signal`. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
