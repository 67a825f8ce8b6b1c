// Preloaded into a server (`--import`): its clock is behind by CLOCK_BEHIND_MS. So a test need not wait for an hour to come.

const RealDate = Date;
const now = RealDate.now;
const behindMs = Number(process.env['CLOCK_BEHIND_MS']);

RealDate.now = () => now() - behindMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, values: unknown[]) => Reflect.construct(target, values.length === 0 ? [target.now()] : values),
});
