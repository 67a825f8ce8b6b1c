// A real SMTP server that keeps what it gets, and answers each address as a test wants; it stands in for the customer's.

import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';
import type { Certificate } from './certificate.ts';
import { eventually } from './eventually.ts';
import { type Arrival, arrivedNow, createArrivals, createScript } from './stand-in.ts';

export interface Mail extends Arrival {
  /** What MAIL FROM named. */
  readonly sender: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly raw: string;
}

/** How mail to an address is answered. */
export type MailBehaviour =
  | 'ok'
  /** RFC 6647, 2.1: 451 4.7.1 to the recipient. `times(n, 'greylisted')` is a server that takes it afterwards. */
  | 'greylisted'
  /** RFC 5321, 4.2.3 and RFC 3463, 3.2: 550 5.1.1 to the recipient. */
  | 'unknown-user'
  /** RFC 5321, 4.2.3 and RFC 3463, 3.8: 554 5.7.1 after the message. */
  | 'refused-after-data'
  /** The same for a transient failure: 451 4.3.0 after the message. */
  | 'deferred-after-data'
  /** RFC 5321, 4.5.3.2.6: the answer to the message comes so late, as of a server that looks for viruses. */
  | { readonly slowMs: number }
  /** RFC 5321, 3.8: the connection breaks before the server has taken the message. */
  | 'drop-before'
  /** RFC 1047: the message is taken, and the connection breaks before the answer. */
  | 'drop-after';

/** One recipient of one transaction, whatever became of it. */
export interface MailAttempt extends Arrival {
  readonly to: string;
  /** The first digits of the answer, or the name of a behaviour without one. */
  readonly outcome: string;
}

export interface MailServerOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** RFC 4954: who may hand mail over. Default: everybody, without being asked. */
  readonly login?: { readonly user: string; readonly password: string };
  /** RFC 3207: offers STARTTLS. Default: nothing is encrypted. */
  readonly certificate?: Certificate;
  readonly onMail?: (mail: Mail) => void;
}

export interface MailServer {
  readonly url: string;
  /** Every mail so far, oldest first. */
  readonly mails: readonly Mail[];
  /** The mails to an address, once there are `count` of them. */
  waitFor(address: string, count?: number): Promise<readonly Mail[]>;
  /** The mails to an address so far that have a code, oldest first. */
  codeMailsTo(address: string): readonly Mail[];
  /** The code in the newest mail to an address, once there are `count` mails with one. */
  codeFor(address: string, count?: number): Promise<string>;
  /** How mail to an address is answered from now on; of a list each holds once. */
  behave(address: string, behaviour: MailBehaviour | readonly MailBehaviour[]): void;
  attemptsOf(address: string): readonly MailAttempt[];
  /** RFC 5321, 3.8 and 4.3.2: the next so many connections are greeted with 421. */
  refuseConnections(count: number): void;
  /** Breaks every connection, and refuses new ones. */
  pause(): Promise<void>;
  /** Listens again, at the same port. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';

export async function startMailServer(options: MailServerOptions = {}): Promise<MailServer> {
  const { login, certificate } = options;
  const mails = createArrivals<Mail>('mails', ({ to }) => to);
  const attempts = createArrivals<MailAttempt>('attempts', ({ to }) => to);
  const script = createScript<MailBehaviour>('ok');
  /** How each recipient of a transaction under way is to be answered after the message. */
  const promised = new WeakMap<object, Map<string, MailBehaviour>>();
  const sockets = new Map<number, Socket>();
  let refusals = 0;

  const note = (to: string, outcome: string) => attempts.add({ to, outcome, ...arrivedNow() });
  const drop = (session: SMTPServerSession) => sockets.get(session.remotePort)?.destroy();

  const take = async (session: SMTPServerSession, raw: Buffer) => {
    const parsed = await PostalMime.parse(raw);
    for (const { address } of session.envelope.rcptTo) {
      const { mailFrom } = session.envelope;
      const mail: Mail = {
        sender: mailFrom === false ? '' : mailFrom.address,
        to: address,
        subject: parsed.subject ?? '',
        text: parsed.text ?? '',
        html: parsed.html ?? '',
        raw: raw.toString('utf8'),
        ...arrivedNow(),
      };
      mails.add(mail);
      options.onMail?.(mail);
    }
  };

  /** What the end of a message is answered; nothing where the connection was broken instead. */
  const answer = async (session: SMTPServerSession, raw: Buffer): Promise<Error | 'taken' | undefined> => {
    const recipients = session.envelope.rcptTo.map(({ address }) => address);
    const behaviours = recipients.map((address) => promised.get(session.envelope)?.get(address) ?? 'ok');
    const noteAll = (outcome: string) => {
      for (const address of recipients) note(address, outcome);
    };
    for (const behaviour of behaviours) if (typeof behaviour === 'object') await sleep(behaviour.slowMs);
    if (behaviours.includes('refused-after-data')) {
      noteAll('554');
      return reply(554, '5.7.1 Message refused');
    }
    if (behaviours.includes('deferred-after-data')) {
      noteAll('451');
      return reply(451, '4.3.0 Try again later');
    }
    if (behaviours.includes('drop-before')) {
      noteAll('drop-before');
      drop(session);
      return undefined;
    }
    await take(session, raw);
    if (behaviours.includes('drop-after')) {
      noteAll('drop-after');
      drop(session);
      return undefined;
    }
    noteAll('250');
    return 'taken';
  };

  const listen = async (port: number): Promise<SMTPServer> => {
    const server = new SMTPServer({
      authOptional: login === undefined,
      disabledCommands: [...(certificate === undefined ? ['STARTTLS'] : []), ...(login === undefined ? ['AUTH'] : [])],
      ...certificate,
      // So that a test sees a client that would say its password in clear text.
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, callback) {
        if (username === login?.user && password === login?.password) return callback(null, { user: username });
        return callback(reply(535, '5.7.8 Authentication credentials invalid'));
      },
      // It would put its own in front of ours (RFC 2034).
      hideENHANCEDSTATUSCODES: true,
      onConnect(_session, callback) {
        if (refusals === 0) return callback();
        refusals -= 1;
        return callback(reply(421, 'Service not available, closing transmission channel'));
      },
      onRcptTo({ address }, session, callback) {
        const behaviour = script.next(address);
        if (behaviour === 'greylisted') {
          note(address, '451');
          return callback(reply(451, '4.7.1 Greylisted, try again later'));
        }
        if (behaviour === 'unknown-user') {
          note(address, '550');
          return callback(reply(550, '5.1.1 No such user'));
        }
        const behaviours = promised.get(session.envelope) ?? new Map<string, MailBehaviour>();
        promised.set(session.envelope, behaviours.set(address, behaviour));
        return callback();
      },
      onData(stream, session, callback) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', async () => {
          const answered = await answer(session, Buffer.concat(chunks));
          if (answered === 'taken') callback();
          else if (answered !== undefined) callback(answered);
        });
      },
    });
    // A client that leaves in the middle is none of a test's failures.
    server.on('error', () => {});
    server.server.on('connection', (socket: Socket) => {
      const from = socket.remotePort ?? 0;
      sockets.set(from, socket);
      socket.once('close', () => sockets.delete(from));
    });
    server.listen(port, host);
    await once(server.server, 'listening');
    return server;
  };

  let server: SMTPServer | undefined = await listen(options.port ?? 0);
  const { port } = server.server.address() as AddressInfo;
  const close = async () => {
    const closing = server;
    server = undefined;
    if (closing !== undefined) await new Promise<void>((resolve) => closing.close(resolve));
  };

  return {
    url: `smtp://${host}:${port}`,
    mails: mails.all,
    waitFor: mails.waitFor,
    codeMailsTo: (to) => mails.to(to).filter((mail) => codeIn(mail) !== undefined),
    codeFor: (to, count = 1) =>
      eventually(10_000, () => {
        const codes = mails.to(to).flatMap((mail) => codeIn(mail) ?? []);
        if (codes.length < count) throw new Error(`${codes.length} of ${count} codes to ${to}`);
        return codes.at(-1) ?? '';
      }),
    behave: script.behave,
    attemptsOf: attempts.to,
    refuseConnections: (count) => {
      refusals = count;
    },
    pause: async () => {
      const closed = close();
      for (const socket of sockets.values()) socket.destroy();
      await closed;
    },
    resume: async () => {
      server ??= await listen(port);
    },
    stop: close,
  };
}

/** An answer of the server's, as smtp-server takes it. */
function reply(responseCode: number, words: string): Error {
  return Object.assign(new Error(words), { responseCode });
}

/** The code of a mail: the digits that stand alone on a line of its text. */
export function codeIn(mail: Mail): string | undefined {
  return /^\s*(\d{6,9})\s*$/m.exec(mail.text)?.[1];
}
