import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Client, ClientLibrary, Headers, Message, ObjectStore, Subscription } from './client.ts'
import { loadClient } from './client.ts'
import { isAway, jetStreamMissing, Refused, refusals, Unanswered, UnderWay } from './failures.ts'
import { authenticatorFor, checkCertificates, failureToConnect } from './logins.ts'
import { Requests } from './requests.ts'
import type { Settings } from './settings.ts'

const connectTimeoutMs = 5000
const pingEveryMs = 3000
const attemptTimeoutMs = 2500
/**
 * For so long servers that are away are waited for, such as while a stream elects its next leader. That is some seconds, and several
 * times as much now and then: where one of two that are left is behind, it may stand again and again, and keep the other from it.
 */
const bridgedMs = { usually: 60_000, closing: 3000 } as const
const firstWaitMs = 10
const longestWaitMs = 500
/** A message that is under way for longer than this was lost on its way. */
const lostAfterMs = 5000
const oldestVersion = [2, 9] as const
const nothing = new Uint8Array()

/** The answer to a message that a stream has taken. */
export interface Acknowledged {
  readonly sequence: number
  /** Whether the stream had a message of this id already; the sequence is then that one's. */
  readonly duplicate: boolean
}

/** A message of a stream. */
export interface StoredMessage {
  readonly sequence: number
  readonly subject: string
  readonly data: Uint8Array
  /** The headers as they are on the wire; empty where there are none. */
  readonly headers: string
}

/** Asks for a message by its sequence, for the first of a subject from a sequence on, or for the last of a subject. */
export type MessageQuery =
  | { readonly seq: number; readonly next_by_subj?: string }
  | { readonly last_by_subj: string }

/** The connection to the servers. It connects anew by itself, and calls wait while a stream or the servers have no leader. */
export class Connection {
  readonly where: string
  readonly runtime: Runtime
  readonly client: Client
  readonly #library: ClientLibrary
  readonly #requests: Requests
  readonly #whenChanged = new Set<() => void>()
  readonly #ending = new AbortController()
  /** When another server was asked to lead a stream. */
  readonly #ledAnother = new Map<string, number>()

  private constructor(settings: Settings, runtime: Runtime, library: ClientLibrary, client: Client) {
    this.where = settings.where
    this.runtime = runtime
    this.#library = library
    this.client = client
    this.#requests = new Requests(client, runtime, library.createInbox(), attemptTimeoutMs)
  }

  /**
   * `ENGINE_CLIENT_MISSING`, `UNREACHABLE`, `SERVER_UNSUPPORTED`; `FILE_UNREADABLE` for one that the URL names; `STORAGE_FAILED` for a login
   * that is refused and for servers whose certificate is not trusted.
   */
  static async open(settings: Settings, runtime: Runtime): Promise<Connection> {
    const library = await loadClient()
    const authenticator = await authenticatorFor(settings, library)
    await checkCertificates(settings)
    const { servers, log, user, password, token, tls, where } = settings
    let client: Client
    try {
      client = await library.connect({
        servers,
        name: `millrace ${log}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        pingInterval: pingEveryMs,
        maxPingOut: 2,
        timeout: connectTimeoutMs,
        ...(user === undefined ? {} : { user, pass: password ?? '' }),
        ...(token === undefined ? {} : { token }),
        ...(authenticator === undefined ? {} : { authenticator }),
        ...(tls === undefined ? {} : { tls }),
      })
    } catch (error) {
      throw failureToConnect(where, error)
    }
    const connection = new Connection(settings, runtime, library, client)
    try {
      connection.#checkServer()
    } catch (error) {
      await connection.close()
      throw error
    }
    runtime.spawn('nats connection', () => connection.#follow())
    return connection
  }

  /** The most bytes of a message. */
  get maxPayloadBytes(): number {
    return this.client.info?.max_payload ?? 1_048_576
  }

  /** What the server that is connected to says that it is, as `2.10.27`. */
  get version(): string {
    return this.client.info?.version ?? 'none'
  }

  /** Whether that is this version or a later one. */
  isAtLeast(...least: readonly number[]): boolean {
    const version = this.version.split('.').map((number) => Number.parseInt(number, 10))
    const index = least.findIndex((number, at) => number !== (version[at] ?? 0))
    return index < 0 || (version[index] ?? 0) > (least[index] ?? 0)
  }

  headers(values: Readonly<Record<string, string>>): Headers {
    const headers = this.#library.headers()
    for (const [name, value] of Object.entries(values)) headers.set(name, value)
    return headers
  }

  subscribe(subject: string, listener: (message: Message) => void): Subscription {
    return this.client.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) listener(message)
      },
    })
  }

  /** The object store of a name, which is there. Its calls reject with what the client library says; see `ofLibrary`. */
  objectStore(bucket: string): Promise<ObjectStore> {
    return this.#library.objectStore(this.client, bucket)
  }

  inbox(): string {
    return this.#library.createInbox()
  }

  /** Calls `listener` when the connection is made anew, or the servers are others: what was asked of one may be lost. */
  onChanged(listener: () => void): () => void {
    this.#whenChanged.add(listener)
    return () => this.#whenChanged.delete(listener)
  }

  /** Makes one request of JetStream's API. Rejects with {@link Refused}, or with what the client says where there is no answer. */
  async api<Answer>(name: string, body?: object): Promise<Answer> {
    const payload = body === undefined ? nothing : Buffer.from(JSON.stringify(body))
    return parsed<Answer>(await this.#requests.request(`$JS.API.${name}`, payload))
  }

  /** As {@link api}, and again while servers are away. Only for what may be asked twice. */
  call<Answer>(name: string, body?: object): Promise<Answer> {
    return this.bridge(() => this.api<Answer>(name, body))
  }

  /** Hands one message to the stream of its subject; resolves once that has it. As {@link api} otherwise. */
  async publish(subject: string, payload: Uint8Array, headers: Headers): Promise<Acknowledged> {
    return acknowledgedBy(await this.#requests.request(subject, payload, headers))
  }

  /** A message of a stream, as its leader knows it; undefined where there is none. */
  async message(stream: string, query: MessageQuery): Promise<StoredMessage | undefined> {
    try {
      const { message } = await this.call<MessageAnswer>(`STREAM.MSG.GET.${stream}`, query)
      return {
        sequence: message.seq,
        subject: message.subject,
        data: message.data === undefined ? nothing : Buffer.from(message.data, 'base64'),
        headers: message.hdrs === undefined ? '' : Buffer.from(message.hdrs, 'base64').toString(),
      }
    } catch (error) {
      if (error instanceof Refused && error.number === refusals.notFound) return undefined
      throw error
    }
  }

  /**
   * Tries again while servers are away, for a minute at most. What it rejects with is the last failure. A leader of 2.10 that ceases to
   * be one forgets what it had not brought to the others, but not the ids of that: should it lead again, it takes whatever has such
   * an id for one that is under way, for as long as ids are remembered. So another one is asked to lead then.
   */
  async bridge<T>(attempt: (tried: number) => Promise<T>): Promise<T> {
    let waitMs = firstWaitMs
    let spentMs = 0
    let underWayMs = 0
    for (let tried = 0; ; tried += 1) {
      try {
        return await attempt(tried)
      } catch (error) {
        const { aborted } = this.#ending.signal
        if (!isAway(error) || this.client.isClosed()) throw error
        if (error instanceof Unanswered) spentMs += error.waitedMs
        if (spentMs >= (aborted ? bridgedMs.closing : bridgedMs.usually)) throw error
        if (!(error instanceof UnderWay)) underWayMs = 0
        else if (underWayMs >= lostAfterMs) {
          underWayMs = 0
          await this.#leadAnother(error.stream)
        }
      }
      await this.runtime.sleep(waitMs)
      spentMs += waitMs
      underWayMs += waitMs
      waitMs = Math.min(waitMs * 2, longestWaitMs)
    }
  }

  /** From now on servers that are away are not waited for that long. */
  end(): void {
    this.#ending.abort()
  }

  async close(): Promise<void> {
    this.end()
    this.#whenChanged.clear()
    this.#requests.close()
    await this.client.close()
  }

  /** Has another server lead a stream; callers of one time ask for that once. */
  async #leadAnother(stream: string): Promise<void> {
    const now = this.runtime.now()
    const ageMs = now - (this.#ledAnother.get(stream) ?? Number.NEGATIVE_INFINITY)
    if (ageMs >= 0 && ageMs < lostAfterMs) return
    this.#ledAnother.set(stream, now)
    await this.api(`STREAM.LEADER.STEPDOWN.${stream}`).catch(() => undefined)
  }

  #checkServer(): void {
    const { version } = this
    if (!this.isAtLeast(...oldestVersion)) {
      throw new MillraceError('SERVER_UNSUPPORTED', `These NATS servers are of version ${version}.`, {
        where: this.where,
        fix: `Use nats-server ${oldestVersion.join('.')} or later.`,
        facts: { version },
      })
    }
    if (this.client.info?.jetstream !== true) throw jetStreamMissing(this.where)
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.client.status()) {
      if (type !== 'reconnect' && type !== 'update') continue
      if (type === 'reconnect') this.#requests.interrupt()
      for (const listener of [...this.#whenChanged]) listener()
    }
  }
}

/** What a stream says to a message. Throws {@link Refused}, or {@link UnderWay} where it does not say yet. */
export function acknowledgedBy(answer: Uint8Array): Acknowledged {
  const said = read<PublishAnswer>(answer)
  const { error, stream = '', seq = 0, duplicate = false } = said
  // Servers of 2.10 give no sequence to what is sent again while the first is under way; later ones say so.
  if (error?.err_code === refusals.sameUnderWay || (error === undefined && seq === 0))
    throw new UnderWay(stream)
  if (error !== undefined) throw new Refused(error)
  return { sequence: seq, duplicate }
}

type AnsweredError = ConstructorParameters<typeof Refused>[0]

interface PublishAnswer {
  readonly error?: AnsweredError
  readonly stream?: string
  readonly seq?: number
  readonly duplicate?: boolean
}

interface MessageAnswer {
  readonly message: {
    readonly seq: number
    readonly subject: string
    readonly data?: string
    readonly hdrs?: string
  }
}

function parsed<Answer>(data: Uint8Array): Answer {
  const answer = read<Answer & { readonly error?: AnsweredError }>(data)
  if (answer.error !== undefined) throw new Refused(answer.error)
  return answer
}

function read<Answer>(data: Uint8Array): Answer {
  return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as Answer
}
