// Exits with 0 if the server at the address in its argument says SERVING: for what asks by a command, such as Docker. It must
// not know the settings.

const [baseUrl = 'http://127.0.0.1:8080'] = process.argv.slice(2);

/** Less than what asks allows, so that the reason is told. */
const withinMs = 2_000;

try {
  const answer = await fetch(new URL('/grpc.health.v1.Health/Check', baseUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
    signal: AbortSignal.timeout(withinMs),
  });
  const said = await answer.text();
  process.stdout.write(`${said}\n`);
  process.exitCode = answer.ok && (JSON.parse(said) as { readonly status?: unknown }).status === 'SERVING' ? 0 : 1;
} catch (error) {
  process.stderr.write(`${baseUrl}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
