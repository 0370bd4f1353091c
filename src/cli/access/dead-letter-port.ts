import type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterScope,
  DeadLetterSelection,
  DeadLettersAsked,
  ShownDeadLetter,
} from '../../bus/dead-letter-list.ts'
import { httpRequest } from './http-access.ts'
import { platformUrl } from './platform-url.ts'

/** What is to be redriven or discarded; `all` where nothing narrows it. */
export interface DeadLetterOrder extends DeadLetterSelection {
  readonly all?: true
  readonly dryRun?: boolean
  /** Answered only once the owners have done it. */
  readonly wait?: boolean
  /** Of a discard. */
  readonly reason?: string
}

/**
 * The dead letters of a running application, through its platform's port. There is no other way to them: which are open is
 * known to the owners of the partitions only.
 */
export class DeadLetterPort {
  readonly #base: string

  /** Calls reject with `UNREACHABLE` where no application runs at the URL. */
  constructor(url: string) {
    this.#base = `${platformUrl(url)}/dead-letters`
  }

  /** A page of those that are open. */
  list(selection: DeadLetterSelection, limit: number, from?: string): Promise<DeadLetterList> {
    return this.#get('', { ...selection, limit: String(limit), from })
  }

  groups(handler?: string): Promise<DeadLetterScope & { readonly groups: readonly DeadLetterGroup[] }> {
    return this.#get('/groups', { handler })
  }

  show(id: string): Promise<ShownDeadLetter> {
    return this.#get('/show', { id })
  }

  /** Asks the owners to redrive or to discard one page of what is meant. */
  async order(what: 'redrive' | 'discard', order: DeadLetterOrder, from?: string): Promise<DeadLettersAsked> {
    return (await httpRequest(`${this.#base}/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...order, from }),
    })) as DeadLettersAsked
  }

  async #get<Answer>(
    path: string,
    parameters: Readonly<Record<string, string | undefined>>,
  ): Promise<Answer> {
    const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined)
    return (await httpRequest(`${this.#base}${path}?${new URLSearchParams(given)}`)) as Answer
  }
}
