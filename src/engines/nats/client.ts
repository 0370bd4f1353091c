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

/** An object store of the servers: what is large, by names, in several messages each and with a digest. */
export interface ObjectStore {
  /** Resolves once the object is there as a whole, in place of another of its name. */
  putBlob(meta: { readonly name: string }, content: Uint8Array): Promise<unknown>
  /** Null where there is none of that name. */
  get(name: string): Promise<FoundObject | null>
}

/** An object as it comes. It comes as fast as the servers send it, whether it is read or not. */
export interface FoundObject {
  /** Fails in the end where the digest is another. */
  readonly data: ReadableStream<Uint8Array>
  readonly error: Promise<unknown>
}

/** The part of the client library that connects. */
interface TransportLibrary {
  connect(options: ClientOptions): Promise<Client>
  headers(): Headers
  createInbox(): string
  /** What proves who one is, from the text of a credentials file. */
  credsAuthenticator(text: Uint8Array): (nonce: string) => unknown
  /** What proves who one is, from the seed of an nkey. */
  nkeyAuthenticator(seed: Uint8Array): (nonce: string) => unknown
}

/** The part of it that knows object stores. */
interface ObjectLibrary {
  readonly Objm: new (client: Client) => { open(bucket: string, check: false): Promise<ObjectStore> }
  setSha256Backend(backend: 'native'): void
}

/** The client library, of two packages. */
export interface ClientLibrary extends TransportLibrary {
  /** The object store of this name, which is there. */
  objectStore(client: Client, bucket: string): Promise<ObjectStore>
}

/** Loads the client library. `ENGINE_CLIENT_MISSING` when a package of it is not installed. */
export async function loadClient(): Promise<ClientLibrary> {
  const transport = await installed('@nats-io/transport-node', () => import('@nats-io/transport-node'))
  const objects = await installed('@nats-io/obj', () => import('@nats-io/obj'))
  // Their types say more than what is used, and differently.
  const { Objm, setSha256Backend } = objects as unknown as ObjectLibrary
  // In JavaScript, as it is otherwise, a digest takes twenty times as long.
  setSha256Backend('native')
  return {
    ...(transport as unknown as TransportLibrary),
    objectStore: (client, bucket) => new Objm(client).open(bucket, false),
  }
}

async function installed<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MillraceError(
      'ENGINE_CLIENT_MISSING',
      `The client library of NATS, '${name}', is not installed.`,
      {
        where: name,
        fix: 'Install it beside Millrace: npm install @nats-io/transport-node @nats-io/obj',
        cause: error,
      },
    )
  }
}
