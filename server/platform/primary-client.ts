// A connection that only a primary answers. Whether a server takes writes it says as it lets us in, and again whenever that changes, so
// that asking costs nothing; whoever takes none any more is left at once.

import type { Socket } from 'node:net';
import pg from 'pg';

/** Both are told to every client since PostgreSQL 14. */
const readOnlyParameters: readonly string[] = ['in_hot_standby', 'default_transaction_read_only'];

/** Of a connection whose statements take as long as they take, whatever the role's may take elsewhere. No pooler lets that in. */
export const unhurried = '-c statement_timeout=0';

export class PrimaryClient extends pg.Client {
  readonly #readOnly = new Set<string>();
  #connected = false;

  constructor(config?: pg.ClientConfig) {
    super(config);
    const told = ({ parameterName: name, parameterValue: value }: ParameterStatus) => {
      if (!readOnlyParameters.includes(name)) return;
      if (value === 'on') this.#readOnly.add(name);
      else this.#readOnly.delete(name);
      // As if it had been cut: of what is on its way nobody knows whether it is done.
      if (this.#connected && this.#readOnly.size > 0) this.#transport.stream.destroy();
    };
    this.#transport.on('parameterStatus', told);
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: ((error: Error) => void) | ((error: null, client: pg.Client) => void)): void;
  override connect(callback?: ((error: Error) => void) | ((error: null, client: pg.Client) => void)) {
    const connected = super.connect().then(async (client) => {
      if (this.#readOnly.size === 0) {
        this.#connected = true;
        return client;
      }
      await this.end();
      throw notPrimary();
    });
    if (callback === undefined) return connected;
    const call = callback as (error: Error | null, client?: pg.Client) => void;
    connected.then(
      (client) => call(null, client),
      (error: Error) => call(error),
    );
    return undefined;
  }

  get #transport(): NodeJS.EventEmitter & { readonly stream: Socket } {
    return this.connection as unknown as NodeJS.EventEmitter & { readonly stream: Socket };
  }
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** As PostgreSQL itself says it of a statement that writes: read_only_sql_transaction. */
export function notPrimary(): Error {
  return Object.assign(
    new Error('a PostgreSQL answers that takes no writes: a standby, or a primary that was replaced'),
    {
      code: '25006',
    },
  );
}
