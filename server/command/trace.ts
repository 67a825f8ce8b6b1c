// `countersign trace`: a challenge as a timeline, for whoever has to say why a code did not arrive.

import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type ChallengeTrace,
  MessageKindSchema,
  RouteSchema,
  TraceEventKindSchema,
} from '../../gen/countersign/internal/v1/challenge_trace_pb.ts';
import { TraceChallengeResponseSchema } from '../../gen/countersign/internal/v1/support_pb.ts';
import {
  ChallengePurposeSchema,
  ChallengeStateSchema,
  ChannelSchema,
  DeliverySchema,
} from '../../gen/countersign/v1/challenge_pb.ts';
import type { Environment } from '../environment.ts';
import { type ConnectionOptions, connect, nameOf } from './connection.ts';
import { deviceName, placeName } from './names.ts';
import { type Answer, fields, messageJson, moment, paragraphs, plain, table, words } from './output.ts';

export interface TraceOptions extends ConnectionOptions {
  readonly challenge?: string;
}

export async function traceChallenge(name: string, options: TraceOptions, env: Environment): Promise<Answer> {
  const client = await connect(options, env);
  const traced = await client.support.traceChallenge({
    account: nameOf(name),
    ...(options.challenge === undefined ? {} : { challengeId: options.challenge }),
  });
  const text = traced.trace === undefined ? '' : traceText(traced.trace);
  return { json: messageJson(TraceChallengeResponseSchema, traced), text };
}

/** What came of it first, then each message with what that means, then everything in its order. */
function traceText(trace: ChallengeTrace): string {
  const numbers = new Map(trace.messages.map(({ deliveryId }, at) => [deliveryId, `#${at + 1}`]));
  const from = [placeName(trace.location), trace.network].filter((part) => part !== '').join(', ');
  const appVersion = trace.requester?.appVersion ?? '';
  const head = fields({
    challenge: trace.challengeId,
    account: `${trace.accountId}  ${trace.maskedEmail}`,
    purpose: words(ChallengePurposeSchema, trace.purpose),
    state: words(ChallengeStateSchema, trace.state),
    'asked by': deviceName(trace.requester) + (appVersion === '' ? '' : `, app ${appVersion}`),
    from,
    opened: moment(trace.createTime),
    ends: moment(trace.expireTime),
    'first code by': words(ChannelSchema, trace.defaultChannel),
  });
  const messages = trace.messages.map((message, at) => {
    const what = words(MessageKindSchema, message.kind);
    const way = words(RouteSchema, message.route);
    const to = message.destination === '' ? '' : ` to ${plain(message.destination)}`;
    const again = message.nextAttemptTime === undefined ? '' : `; tried again at ${moment(message.nextAttemptTime)}`;
    return [
      `#${at + 1}  ${what} by ${way}${to}: ${words(DeliverySchema, message.delivery)}${again}`,
      `    ${plain(message.explanation, 1_000)}`,
      // Of a mail, what the mail server's log can be searched for.
      `    delivery ${plain(message.deliveryId)}`,
    ].join('\n');
  });
  const events = table(
    ['time', 'after', 'message', 'what', 'answer'],
    trace.events.map((event) => [
      moment(event.time),
      after(trace.createTime, event.time),
      numbers.get(event.deliveryId) ?? '',
      words(TraceEventKindSchema, event.kind),
      event.answer,
    ]),
  );
  return paragraphs(head, messages.length === 0 ? 'No messages.' : messages.join('\n'), events);
}

/** `+0.12 s`. */
function after(start: Timestamp | undefined, time: Timestamp | undefined): string {
  if (start === undefined || time === undefined) return '';
  return `+${((timestampMs(time) - timestampMs(start)) / 1_000).toFixed(2)} s`;
}
