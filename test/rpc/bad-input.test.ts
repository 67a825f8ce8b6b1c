// What bad input gets, on the running server: a typed refusal, at once, that says nothing of the inside and changes nothing.
// The tables are made from the contract's descriptors, so a new RPC or field is held to the same.

import { fromJson, type JsonObject, ScalarType, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { DeviceSchema } from '../../gen/countersign/v1/device_pb.ts';
import {
  binaryField,
  byName,
  fieldsWhere,
  goodRequest,
  goodValue,
  isRequired,
  isStream,
  isString,
  leaves,
  named,
  nobody,
  put,
  type Rpc,
  requestWith,
  rpcs,
  without,
} from '../support/contract.ts';
import {
  account,
  call,
  challengeFor,
  changingNothing,
  expectInvalid,
  expectTyped,
  other,
  otherDevice,
  server,
  useServer,
} from '../support/plain-calls.ts';
import type { TestAccount } from '../support/server.ts';

useServer();

describe.each(named(rpcs))('%s', (_name, rpc) => {
  test('a body that is no message is refused, in JSON and in binary', async () => {
    const json = [
      '',
      '{',
      '}',
      '[]',
      'null',
      '"x"',
      '1',
      '{"email":',
      '{"email":"a"}{"email":"b"}',
      `${'['.repeat(20_000)}`,
      '{"a":'.repeat(5_000),
      '<xml/>',
      '\u0000',
    ];
    const binary = [
      // A tag without its value; a length beyond the end; field number 0; a wire type that is none; an endless varint.
      [0xa2, 0x06],
      [0xa2, 0x06, 0x7f, 0x61],
      [0xa2, 0x06, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x02, 0x00],
      [0x0f, 0x01],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      // A group that never ends, one that ends without a beginning, many inside each other.
      [0xfb, 0x01],
      [0x0c],
      Array.from({ length: 4_000 }, () => [0xfb, 0x01]).flat(),
    ].map((bytes) => Uint8Array.from(bytes));
    await changingNothing(async () => {
      for (const body of [...json, ...binary])
        expectInvalid(await call(rpc, body), undefined, String(body).slice(0, 40));
    });
  });

  test('a body of 4 MB is refused', async () => {
    await changingNothing(async () => {
      for (const body of [`{"x":"${'a'.repeat(4 << 20)}"}`, new Uint8Array(4 << 20)]) {
        expectInvalid(await call(rpc, body), undefined);
      }
    });
  });

  test('other content types and other methods than POST are told what would be right', async () => {
    const good = JSON.stringify(goodRequest(rpc.method.input));
    await changingNothing(async () => {
      for (const contentType of [
        '',
        'text/plain',
        'text/json',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'application/xml',
        ...['json', 'proto'].map((form) => `application/${isStream(rpc) ? '' : 'connect+'}${form}`),
        'application/grpc-web-text',
        'application/json, application/json',
        'application/jsonx',
      ]) {
        // fetch sets a type of its own where it is given a string.
        const answer = await call(rpc, new TextEncoder().encode(good), { contentType });
        expectTyped(answer, contentType);
        expect([contentType, answer.status]).toEqual([contentType, 415]);
        expect(answer.text).toContain(`takes application/${isStream(rpc) ? 'connect+' : ''}json`);
      }
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']) {
        const query = method === 'GET' ? `?connect=v1&encoding=json&message=${encodeURIComponent(good)}` : '';
        const answer = await call(rpc, good, { method, query });
        expectTyped(answer, method);
        expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'POST']);
      }
      const head = await call(rpc, '', { method: 'HEAD' });
      expect([head.status, head.text]).toEqual([405, '']);
    });
  });
});

const demanding = rpcs.filter(({ method }) => leaves(method.input).some(({ field }) => isRequired(field)));

describe.each(named(demanding))('%s', (_name, rpc) => {
  const required = leaves(rpc.method.input).filter(({ field }) => isRequired(field));

  // Where a message is optional, only what is inside of it may be required.
  const needsSomething = rpc.method.input.fields.filter(isRequired).length > 0;

  if (needsSomething) {
    test('an empty message is refused, with every field that it lacks', async () => {
      await changingNothing(async () => {
        for (const body of ['{}', new Uint8Array()]) {
          const answer = await call(rpc, body);
          expectInvalid(answer, undefined);
          const lacking = required.filter(({ path, field }) => path.length === 1 && field.oneof === undefined);
          expect(answer.fields).toEqual(expect.arrayContaining(lacking.map(({ name }) => name)));
        }
      });
    });
  }

  test('each required field is missed', async () => {
    await changingNothing(async () => {
      for (const { path, name, field } of required) {
        const answer = await call(rpc, without(goodRequest(rpc.method.input, path), path));
        // Of a required oneof no field is named: any would do.
        expectInvalid(answer, field.oneof === undefined ? name : undefined, name);
      }
    });
  });
});

describe('a field that is not known', () => {
  /** Field 99, of every wire type: a varint, 8 bytes, a string, a group, 4 bytes. */
  const unknownInBinary = Buffer.from([
    ...[0x98, 0x06, 0x01],
    ...[0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
    ...[0x9a, 0x06, 0x01, 0x61],
    ...[0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06],
    ...[0x9d, 0x06, 1, 2, 3, 4],
  ]);

  test.each(named(rpcs))('is refused in the JSON of %s, and in each message inside', async (_name, rpc) => {
    const inside = leaves(rpc.method.input).filter(({ field }) => field.fieldKind === 'message');
    await changingNothing(async () => {
      for (const path of [[], ...inside.map((leaf) => leaf.path)]) {
        const good = goodRequest(rpc.method.input, path);
        for (const name of ['unknown', '', 'x-y', '__proto__', '@type', '[countersign.x]', '99']) {
          for (const value of [null, true, 'x', { deep: [1, null, 'x'] }]) {
            // Written by hand, for `__proto__` is not set by put.
            const request = JSON.stringify(put(good, [...path, 'HERE'], value)).replace('HERE', name);
            expectInvalid(await call(rpc, request), undefined, [path, name, value]);
          }
        }
      }
    });
  });

  test.each(named(rpcs.filter(({ method }) => method.input.fields.length > 0)))(
    'is refused where it is one of %s, misspelt',
    async (_name, rpc) => {
      await changingNothing(async () => {
        for (const { path, field } of leaves(rpc.method.input)) {
          const good = goodRequest(rpc.method.input, path);
          const { jsonName, name } = field;
          const misspelt = [`${jsonName}s`, jsonName.slice(0, -1), jsonName.toUpperCase(), `${name}_`, ` ${name}`];
          for (const wrong of misspelt) {
            const request = put(without(good, path), [...path.slice(0, -1), wrong], goodValue(field) ?? 'x');
            expectInvalid(await call(rpc, request), undefined, wrong);
          }
        }
      });
    },
  );

  test('costs a right code nothing: the answer that takes trust back is not lost', async () => {
    const owner = await server.createAccount();
    const challengeToken = await challengeFor(owner);
    const code = await server.mail.codeFor(owner.email);
    const rpc = byName('VerifyCode');
    await changingNothing(async () => {
      for (const name of ['trust_devices', 'trustDevices', 'trustdevice', 'TrustDevice', 'trust-device']) {
        expectInvalid(await call(rpc, { challengeToken, code, [name]: false }), undefined, name);
      }
    });
    // By either name that it has.
    expect((await call(rpc, { challenge_token: challengeToken, code, trust_device: false })).status).toBe(200);
  });

  test('is skipped in binary, also inside a message', async () => {
    const getSettings = byName('GetSettings');
    const plain = await call(getSettings, new Uint8Array());
    expect(plain.status).toBe(200);
    const more = await call(getSettings, unknownInBinary);
    expect([more.status, more.text]).toEqual([200, plain.text]);

    const { input } = byName('SignIn').method;
    const { device: deviceField, ...rest } = goodRequest(input) as { device: object };
    const deviceBytes = toBinary(DeviceSchema, fromJson(DeviceSchema, deviceField as JsonObject));
    const inner = Buffer.concat([deviceBytes, unknownInBinary]);
    const body = Buffer.concat([
      toBinary(input, fromJson(input, rest as JsonObject)),
      Buffer.from([0x1a, inner.length]),
      inner,
      unknownInBinary,
    ]);
    expect((await call(byName('SignIn'), body)).reason).toBe('CREDENTIALS_INCORRECT');
  });
});

/** By the kind of a field. */
const wrongFor: Readonly<Record<string, readonly unknown[]>> = {
  message: ['x', 1, true, []],
  enum: [{}, [], true],
  list: ['x', 1, true, {}, [{}], [true]],
};

describe('every field of every request', () => {
  test('is refused in another JSON type', async () => {
    const inputs = fieldsWhere(rpcs, () => true);
    expect(inputs.length).toBeGreaterThan(30);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of inputs) {
        const { fieldKind } = leaf.field;
        const values: unknown[] = [...(wrongFor[fieldKind] ?? [{}, []])];
        if (isString(leaf)) values.push(1, true, ['x']);
        else if (fieldKind === 'scalar') values.push('x', leaf.field.scalar === ScalarType.BOOL ? 1 : true, 1.5, 1e20);
        for (const value of values) {
          const answer = await call(rpc, requestWith(rpc, leaf, value));
          expectInvalid(answer, undefined, [what, value]);
        }
      }
    });
  });

  test('that is a string has a bound', async () => {
    const strings = fieldsWhere(rpcs, isString);
    expect(strings.length).toBeGreaterThan(20);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of strings) {
        const base = String(goodValue(leaf.field) ?? 'x');
        // Of the form that the field takes, where it takes one: digits, a tag, an address.
        const long = leaf.field.name === 'locale' ? `en${'-abcdefgh'.repeat(3_000)}` : base.slice(0, 1).repeat(20_000);
        expectInvalid(await call(rpc, requestWith(rpc, leaf, long)), leaf.name, what);
      }
    });
  });

  test('that is a string takes no NUL, which PostgreSQL can not keep', async () => {
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of fieldsWhere(rpcs, isString)) {
        const good = String(goodValue(leaf.field) ?? 'x');
        for (const value of [`${good}\0`, `\0${good}`, '\0']) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), leaf.name, [what, value]);
        }
      }
    });
  });

  test('that is a string takes no half of a surrogate pair, and no invalid UTF-8', async () => {
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of fieldsWhere(rpcs, isString)) {
        for (const half of ['\\ud800', 'x\\udc00x', '\\ude00\\ud83d']) {
          const json = JSON.stringify(requestWith(rpc, leaf, 'HALF')).replace('HALF', half);
          expectInvalid(await call(rpc, json), undefined, [what, half]);
        }
        for (const bytes of [[0xff], [0x61, 0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
          expectInvalid(await call(rpc, binaryField(rpc, leaf, Uint8Array.from(bytes))), undefined, [what, bytes]);
          const [before = '', after = ''] = JSON.stringify(requestWith(rpc, leaf, 'HERE')).split('HERE');
          const json = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
          const answer = await call(rpc, json, { contentType: 'application/json' });
          expectInvalid(answer, undefined, [what, bytes]);
        }
      }
    });
  });

  test('that is an enum takes only what the contract names', async () => {
    const enums = fieldsWhere(rpcs, ({ field }) => field.fieldKind === 'enum');
    expect(enums.length).toBeGreaterThan(2);
    await changingNothing(async () => {
      for (const { rpc, leaf, what } of enums) {
        const zero = leaf.field.enum?.values.find(({ number }) => number === 0)?.name;
        for (const value of [0, 99, -1, 2_147_483_647, zero]) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), leaf.name, [what, value]);
        }
        // A name that is not known makes a body that can't be read, as one of a field does.
        const lower = String(goodValue(leaf.field)).toLowerCase();
        for (const value of [2_147_483_648, 1.5, 'NO_SUCH_NAME', '', lower]) {
          expectInvalid(await call(rpc, requestWith(rpc, leaf, value)), undefined, [what, value]);
        }
      }
    });
  });
});

test('a push registration is of one service, and in the form of its tokens', async () => {
  const rpc = byName('UpdateDevice');
  const apns = { token: 'ab'.repeat(32), topic: 'com.example.app', environment: 'APNS_ENVIRONMENT_SANDBOX' };
  const fcm = { token: 'a'.repeat(100) };
  await changingNothing(async () => {
    for (const both of [
      { apns, fcm },
      { fcm, apns },
    ])
      expectInvalid(await call(rpc, { pushRegistration: both }), undefined);
    expectInvalid(await call(rpc, { pushRegistration: {} }), 'push_registration.service');
    expectInvalid(await call(rpc, { displayName: '' }), 'display_name');
    for (const token of ['', 'a'.repeat(31), 'a'.repeat(201), `${apns.token}g`, `${apns.token}\n`, ` ${apns.token}`]) {
      const answer = await call(rpc, { pushRegistration: { apns: { ...apns, token } } });
      expectInvalid(answer, 'push_registration.apns.token', token);
    }
    for (const topic of [
      '',
      'a'.repeat(156),
      'com/example',
      'com.example\n',
      '../3/device',
      'com.ex\u0430mple',
      'a b',
    ]) {
      const answer = await call(rpc, { pushRegistration: { apns: { ...apns, topic } } });
      expectInvalid(answer, 'push_registration.apns.topic', topic);
    }
    for (const token of ['', 'a'.repeat(9), 'a'.repeat(1_001), `${fcm.token}/`, `${fcm.token}\n`, `${fcm.token} `]) {
      const answer = await call(rpc, { pushRegistration: { fcm: { token } } });
      expectInvalid(answer, 'push_registration.fcm.token', token);
    }
  });
});

describe('lists', () => {
  const lists = rpcs.filter(({ method }) => method.input.fields.some(({ name }) => name === 'page_size'));
  /** Of an account that has more than one of each: the caller's, or the one that is named. */
  const of = ({ method }: Rpc, { accountId }: TestAccount) =>
    method.input.fields.some(({ name }) => name === 'account_id') ? { accountId } : {};
  const list = (rpc: Rpc, page: object) => call(rpc, { ...of(rpc, account), ...page });
  const tokenOf = async (rpc: Rpc) => JSON.parse((await list(rpc, { pageSize: 1 })).text).nextPageToken as string;

  test('take no negative page size, and no size beyond 32 bits', async () => {
    expect(lists.length).toBeGreaterThan(1);
    for (const rpc of lists) {
      for (const pageSize of [-1, -2_147_483_648]) expectInvalid(await list(rpc, { pageSize }), 'page_size');
      for (const pageSize of [2_147_483_648, '1x', 0.5]) expectInvalid(await list(rpc, { pageSize }), undefined);
      expect((await list(rpc, { pageSize: 2_147_483_647 })).status).toBe(200);
    }
  });

  test('take only page tokens that they gave', async () => {
    // Two devices and some events: both lists have a second page.
    await server.signInNewDevice(account);
    for (const rpc of lists) {
      const token = await tokenOf(rpc);
      expect(token).toBeTruthy();
      const foreign = await Promise.all(lists.filter((one) => one !== rpc).map(tokenOf));
      const made = (text: string) => Buffer.from(text).toString('base64url');
      for (const pageToken of [
        'x',
        '!',
        token.slice(0, -1),
        token.slice(0, token.length / 2),
        token.slice(1),
        `${token}AAAA`,
        token.toUpperCase(),
        made('events:'),
        made('events:\0'),
        made(`events:${nobody}:`),
        made(`events:${nobody}' or true --`),
        made('sessions:'),
        made(`sessions:${nobody}'`),
        made('devices:'),
        made('devices:x_y'),
        made(`devices:99999999999999999999_${nobody}`),
        made(JSON.stringify({ offset: 1 })),
        Buffer.from(token, 'base64url').reverse().toString('base64url'),
        ...foreign,
      ]) {
        expectInvalid(await list(rpc, { pageToken }), 'page_token', pageToken);
      }
      expect((await list(rpc, { pageToken: token })).status).toBe(200);
    }
  });

  test('show with a page token of another account nothing of that account', async () => {
    // Audit records are no account's: who may see them sees all.
    for (const rpc of lists.filter(({ method }) => method.name !== 'ListAuditRecords')) {
      const { text } = await list(rpc, { pageSize: 1 });
      const pageToken = await tokenOf(rpc);
      const theirs = of(rpc, other);
      const headers = rpc.internal ? {} : { authorization: `Bearer ${otherDevice.session.accessToken}` };
      const foreign = await call(rpc, { ...theirs, pageToken }, { headers });
      const own = await call(rpc, theirs, { headers });
      expect(foreign.status).toBe(200);
      const ids = (answer: string) => answer.match(/"(deviceId|eventId|sessionId)":"[^"]+"/g) ?? [];
      expect(ids(own.text)).toEqual(expect.arrayContaining(ids(foreign.text)));
      expect(ids(own.text)).not.toEqual(expect.arrayContaining(ids(text)));
    }
  });
});

test('control and bidirectional characters in what a device says of itself are refused', async () => {
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const points = [
    ...range(0, 0x1f),
    ...range(0x7f, 0x9f),
    ...[0x200b, 0x200e, 0x200f, 0xfeff],
    ...range(0x2028, 0x202e),
    ...range(0x2066, 0x2069),
  ];
  const { email, password } = account;
  const rpc = byName('SignIn');
  await changingNothing(async () => {
    for (const name of ['displayName', 'model', 'osVersion']) {
      const field = `device.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
      for (const point of points) {
        const text = `Anna${String.fromCodePoint(point)}s phone`;
        const request = { email, password, device: { platform: 'PLATFORM_IOS', [name]: text } };
        expectInvalid(await call(rpc, request), field, [name, point.toString(16)]);
        if (name === 'displayName') {
          const renamed = await call(byName('UpdateDevice'), { displayName: text });
          expectInvalid(renamed, 'display_name', ['UpdateDevice', point.toString(16)]);
        }
      }
    }
  });
});
