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
  /** Told of that. */
  onEnd: ((reason: ConnectError) => void) | undefined;
  #controller: AbortController | undefined;
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
      if (this.ended !== undefined) this.#controller.abort(this.ended);
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

  end(reason: ConnectError): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.#controller?.abort(reason);
    this.onEnd?.(reason);
  }

  /** Only asks the implementation to end, and lets it say its last word. */
  abort(reason: ConnectError): void {
    void this.signal;
    this.#controller?.abort(reason);
  }

  throwIfEnded(): void {
    if (this.ended !== undefined) throw this.ended;
  }

  /** The answer is made. */
  done(): void {
    clearTimeout(this.#deadline);
    this.onEnd = undefined;
    this.#controller?.abort(callEnded);
  }

  /** `promise`, or the reason of an end that comes first. */
  unlessEnded<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) reject(this.ended);
      this.onEnd = reject;
      promise.then(resolve, reject);
    });
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
