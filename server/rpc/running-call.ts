// A call while it runs: what Connect promises its implementation and interceptors, and what may end it before its answer.
// It must not know protocols or sockets.

import type { DescMethod } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type Interceptor,
} from '@connectrpc/connect';

export interface CallOptions {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly url: string;
  readonly requestHeader: Headers;
  readonly responseHeader: Headers;
  readonly values: ContextValues;
  readonly timeoutMs: number | undefined;
}

type Request = Parameters<Parameters<Interceptor>[0]>[0];

/** Finds the call again where the interceptors end; so they are applied once a method, not once a call. */
const callKey = createContextKey<RunningCall | undefined>(undefined);

/** What `signal` says after a call. A constant: a DOMException for each call is a tenth of Connect's own cost. */
const callEnded = new ConnectError('the call has ended', Code.Canceled);

export class RunningCall {
  readonly context: HandlerContext;
  /** What `ask` has made. */
  request: Request | undefined;
  /** Why the call ends before its answer: its deadline, its client that has gone, or the server that stops. */
  ended: ConnectError | undefined;
  readonly #listeners = new Set<(reason: ConnectError) => void>();
  #controller: AbortController | undefined;
  #asked: ConnectError | undefined;
  /** What `signal` says, once it says something. */
  #aborted: ConnectError | undefined;
  readonly #deadline: NodeJS.Timeout | undefined;

  constructor({ values, timeoutMs, ...options }: CallOptions) {
    const call = this;
    const end = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    this.context = {
      ...options,
      service: options.method.parent,
      requestMethod: 'POST',
      responseTrailer: new Headers(),
      values,
      timeoutMs: () => (end === undefined ? undefined : end - Date.now()),
      // Made for who asks: most calls are over before anything could end them.
      get signal() {
        return call.signal;
      },
    };
    values.set(callKey, this);
    if (timeoutMs !== undefined) {
      this.#deadline = setTimeout(
        () => this.end(new ConnectError('the operation timed out', Code.DeadlineExceeded)),
        timeoutMs,
      );
    }
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  /** The request as interceptors get it. */
  ask<M extends Pick<Request, 'stream' | 'method' | 'message'>>(of: M): Request {
    const call = this;
    const { context } = this;
    const request = {
      ...of,
      service: context.service,
      requestMethod: context.requestMethod,
      url: context.url,
      header: context.requestHeader,
      contextValues: context.values,
      get signal() {
        return call.signal;
      },
    } as Request;
    this.request = request;
    return request;
  }

  /** Ends the call: whoever waits within it is told, and it is answered with the reason. */
  end(reason: ConnectError): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.#abort(reason);
    for (const listener of [...this.#listeners]) listener(reason);
  }

  /** Asks the implementation to end, by the signal, and lets it say its last word. */
  askToEnd(reason: ConnectError): void {
    this.#asked = reason;
    this.#abort(reason);
  }

  /** One that was asked to end has not come to its end. */
  throwIfAskedToEnd(): void {
    if (this.#asked !== undefined) throw this.#asked;
  }

  throwIfEnded(): void {
    if (this.ended !== undefined) throw this.ended;
  }

  /** The answer is made. */
  done(): void {
    clearTimeout(this.#deadline);
    this.#listeners.clear();
    this.#abort(callEnded);
  }

  /** Calls `listener` when the call ends, until the returned function is called. */
  onEnd(listener: (reason: ConnectError) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `promise`, or the reason of an end that comes first. */
  async unlessEnded<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {});
    this.throwIfEnded();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const forget = this.onEnd(reject);
    try {
      return await Promise.race([promise, ended]);
    } finally {
      forget();
    }
  }

  /** The error of a call that ended early: platform code that the signal has stopped throws an AbortError of its own. */
  reasonOf(thrown: unknown): unknown {
    const isAbort = thrown instanceof Error && thrown.name === 'AbortError';
    return isAbort && this.#aborted !== undefined ? this.#aborted : thrown;
  }

  #abort(reason: ConnectError): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }
}

/** The context of a call where the interceptors end, with what they have replaced. */
export function contextOf(request: Request): HandlerContext {
  const call = request.contextValues.get(callKey);
  if (call === undefined) throw new Error(`an interceptor lost the call of ${request.method.name}`);
  if (request === call.request) return call.context;
  const { header, signal, contextValues } = request;
  return { ...call.context, requestHeader: header, signal, values: contextValues };
}
