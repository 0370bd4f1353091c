import { MillraceError } from '../../core/errors.ts'

/** The part of the client library that the engine uses, so that none of its types is needed to compile against Millrace. */
export interface Client {
  /** What the server says of itself; another one after reconnecting. */
  readonly info?: ServerInfo | undefined
  publish(subject: string, payload: Uint8Array, options?: PublishOptions): void
  subscribe(subject: string, options: SubscriptionOptions): Subscription
  status(): AsyncIterable<{ readonly type: string }>
  isClosed(): boolean
  flush(): Promise<void>
  close(): Promise<void>
}

/** What a server says of itself. */
export interface ServerInfo {
  readonly version: string
  readonly max_payload: number
  readonly jetstream?: boolean | undefined
  /** The name of the cluster that it is one of. */
  readonly cluster?: string | undefined
}

/** Headers of a message. */
export interface Headers {
  /** The status of a message of the server's own; 0 for others. */
  readonly code: number
  readonly description: string
  get(name: string): string
  set(name: string, value: string): void
}

/** A message as it comes. */
export interface Message {
  readonly subject: string
  readonly data: Uint8Array
  readonly reply?: string | undefined
  readonly headers?: Headers | undefined
}

/** What goes along with a message. */
export interface PublishOptions {
  reply?: string
  headers?: Headers
}

/** What a subscription is made of. */
export interface SubscriptionOptions {
  callback(error: Error | null, message: Message): void
}

/** Hands messages to its callback until it is ended. */
export interface Subscription {
  unsubscribe(): void
}

/** What a connection is made of. */
export interface ClientOptions {
  readonly servers: readonly string[]
  readonly name: string
  readonly maxReconnectAttempts: number
  readonly reconnectTimeWait: number
  readonly pingInterval: number
  readonly maxPingOut: number
  readonly timeout: number
  readonly user?: string
  readonly pass?: string
  readonly token?: string
  readonly authenticator?: unknown
  readonly tls?: Readonly<Record<string, string>>
}

/** The client library. */
export interface ClientLibrary {
  connect(options: ClientOptions): Promise<Client>
  headers(): Headers
  createInbox(): string
  /** What proves who one is, from the text of a credentials file. */
  credsAuthenticator(text: Uint8Array): (nonce: string) => unknown
  /** What proves who one is, from the seed of an nkey. */
  nkeyAuthenticator(seed: Uint8Array): (nonce: string) => unknown
}

/** Loads the client library. `ENGINE_CLIENT_MISSING` when it is not installed. */
export async function loadClient(): Promise<ClientLibrary> {
  try {
    // Its types say more than what is used, and differently.
    return (await import('@nats-io/transport-node')) as unknown as ClientLibrary
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MillraceError(
      'ENGINE_CLIENT_MISSING',
      "The client library of NATS, '@nats-io/transport-node', is not installed.",
      {
        where: '@nats-io/transport-node',
        fix: 'Install it beside Millrace: npm install @nats-io/transport-node',
        cause: error,
      },
    )
  }
}
