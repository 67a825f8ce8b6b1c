// The keys that access tokens are checked with, kept current: asked for at the start, every minute, and when a token names one
// that is not among them. It must not know tokens.

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { SigningKey } from '../../gen/countersign/internal/v1/sessions_pb.ts';
import { pause, sleep } from '../streams.ts';
import type { Clock } from './clock.ts';
import { unavailable } from './refusals.ts';

const renewAfterMs = 60_000;
const longestPauseMs = 5_000;
/** Strangers choose what their tokens name: they make this one question of all theirs. */
const unknownKeyPauseMs = 3_000;

export interface Keys {
  /**
   * The key with this id; undefined where the server has none.
   *
   * @throws CountersignError DEPENDENCY_UNAVAILABLE where it is not here and the server could not be asked.
   */
  find(keyId: string): Promise<KeyObject | undefined>;
  /** Whether the server still has it. */
  holds(keyId: string, key: KeyObject): boolean;
  /** Resolves once there are any. */
  readonly there: Promise<void>;
}

export interface KeysOptions {
  readonly ask: () => Promise<readonly SigningKey[]>;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told when keys are gone that were there before. */
  readonly onRemoved: () => void;
  readonly onProblem: (problem: unknown) => void;
}

export function followKeys({ ask, clock, signal, onRemoved, onProblem }: KeysOptions): Keys {
  const { promise: there, resolve: arrived } = Promise.withResolvers<void>();
  let keys: ReadonlyMap<string, KeyObject> = new Map();
  let renewal: Promise<void> | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let failure: unknown;

  /** One question at a time, whoever asks. */
  const renew = (): Promise<void> => {
    renewal ??= askNow().finally(() => {
      renewal = undefined;
    });
    return renewal;
  };
  const askNow = async () => {
    try {
      const found = readKeys(await ask(), keys);
      const removed = [...keys].some(([keyId, key]) => found.get(keyId) !== key);
      keys = found;
      failure = undefined;
      if (removed) onRemoved();
      arrived();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      askedAt = clock.monotonic();
    }
  };

  const follow = async () => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await renew();
        failures = 0;
        await sleep(renewAfterMs * (0.9 + Math.random() / 10), signal);
      } catch (error) {
        if (signal.aborted) return;
        onProblem(error);
        failures += 1;
        await pause(undefined, failures, signal, longestPauseMs);
      }
    }
  };
  void follow();

  return {
    there,
    holds: (keyId, key) => keys.get(keyId) === key,
    find: async (keyId) => {
      const known = keys.get(keyId);
      if (known !== undefined) return known;
      if (renewal !== undefined || clock.monotonic() - askedAt >= unknownKeyPauseMs) await renew().catch(() => {});
      const found = keys.get(keyId);
      if (found === undefined && failure !== undefined) {
        throw unavailable('the keys that access tokens are signed with could not be asked for', failure);
      }
      return found;
    },
  };
}

/** By id. One that was there before stays the same object. */
function readKeys(
  signingKeys: readonly SigningKey[],
  before: ReadonlyMap<string, KeyObject>,
): ReadonlyMap<string, KeyObject> {
  const usable = signingKeys.filter(({ algorithm, publicKey }) => algorithm === 'EdDSA' && publicKey.length === 32);
  if (usable.length === 0) throw new Error('the server has no key that this version can check tokens with');
  return new Map(
    usable.map(({ keyId, publicKey }) => {
      // RFC 8037, 2.
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') };
      const key = createPublicKey({ key: jwk, format: 'jwk' });
      const known = before.get(keyId);
      return [keyId, known?.equals(key) ? known : key];
    }),
  );
}
