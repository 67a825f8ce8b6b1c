// What every driver of the story is: somebody's client, which takes and gives messages in proto3 JSON (camelCase, enums
// by name) and reads a refusal out of its protocol's own way of carrying details. It must not know the story.

import { fromBinary } from '@bufbuild/protobuf';
import { type Challenge, ChallengeSchema } from '../../gen/countersign/v1/challenge_pb.ts';
import { type ClientVersionRequirement, ClientVersionRequirementSchema } from '../../gen/countersign/v1/errors_pb.ts';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a client without types has in its hands.
export type Json = any;

export interface Call {
  /** The full name of the service. */
  readonly service: string;
  readonly method: string;
  readonly request: Json;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Refusal {
  /** The canonical code in Connect's spelling, such as `failed_precondition`. */
  readonly code: string;
  /** Of google.rpc.ErrorInfo; empty where there is none. */
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of google.rpc.RetryInfo. */
  readonly retrySeconds: number | undefined;
  readonly challenge: Challenge | undefined;
  readonly requirement: ClientVersionRequirement | undefined;
  /** `countersign-minimum-version`, as the client can see it. */
  readonly minimumVersion: string | undefined;
}

/** What a client over TLS has to trust, in PEM: the path of a file, and what stands in it. */
export interface Trust {
  readonly path: string;
  readonly pem: string;
}

export type Answer = { readonly ok: Json } | { readonly refused: Refusal };

export interface Driver {
  /** Calls an RPC of the listener at `url`, of which `https:` has no reflection. Rejects only where no answer came. */
  call(url: string, call: Call): Promise<Answer>;
  close(): void;
}

export interface Detail {
  /** The message's full name, without a type URL's head. */
  readonly type: string;
  readonly value: Uint8Array;
}

export function refusalOf(code: string, details: readonly Detail[], minimumVersion: string | undefined): Answer {
  const find = (type: string) => details.find((detail) => detail.type === type)?.value;
  const info = find(ErrorInfoSchema.typeName);
  const retry = find(RetryInfoSchema.typeName);
  const challenge = find(ChallengeSchema.typeName);
  const requirement = find(ClientVersionRequirementSchema.typeName);
  const { reason, domain, metadata } = info
    ? fromBinary(ErrorInfoSchema, info)
    : { reason: '', domain: '', metadata: {} };
  const delay = retry && fromBinary(RetryInfoSchema, retry).retryDelay;
  return {
    refused: {
      code,
      reason,
      domain,
      metadata,
      retrySeconds: delay && Number(delay.seconds) + delay.nanos / 1e9,
      challenge: challenge && fromBinary(ChallengeSchema, challenge),
      requirement: requirement && fromBinary(ClientVersionRequirementSchema, requirement),
      minimumVersion,
    },
  };
}

/** Connect's JSON of an error: details have their type and their bytes in base64 without padding. */
export function detailsOfJson(error: Json): Detail[] {
  return (error.details ?? []).map(({ type, value }: { type: string; value: string }) => ({
    type,
    value: Buffer.from(value, 'base64'),
  }));
}
