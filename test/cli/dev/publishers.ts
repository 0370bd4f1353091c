/** Where the events of {@link Publishers} go. */
export interface PublishTargets {
  readonly app: string
  readonly platform: string
}

/** Publishers that send one event after another for as long as they are let, half of them over each port. */
export class Publishers {
  /** For each publisher, the number of its last event that was acknowledged. */
  readonly acknowledged = new Map<string, number>()
  /** Answers other than 202, and connections that broke. */
  readonly refusals: string[] = []
  readonly #targets: PublishTargets
  readonly #sending: Promise<void>[]
  #isStopped = false

  /** `again`: whether an event that was not acknowledged is sent again, with the same id. */
  constructor(targets: PublishTargets, options: { readonly count: number; readonly again: boolean }) {
    this.#targets = targets
    const names = Array.from({ length: options.count }, (_, index) => `p${index}`)
    this.#sending = names.map((name, index) => this.#send(name, index % 2 === 0, options.again))
  }

  get total(): number {
    return [...this.acknowledged.values()].reduce((sum, n) => sum + n, 0)
  }

  /** Sends no more; resolves when the last answers have come. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#sending)
  }

  async #send(publisher: string, overPlatform: boolean, again: boolean): Promise<void> {
    for (let n = 1; !this.#isStopped; ) {
      const refusal = await (overPlatform ? this.#asCloudEvent(publisher, n) : this.#overRoute(publisher, n))
      if (refusal === undefined) {
        this.acknowledged.set(publisher, n)
        n += 1
      } else {
        this.refusals.push(refusal)
        if (!again) return
      }
    }
  }

  #asCloudEvent(publisher: string, n: number): Promise<string | undefined> {
    return post(`${this.#targets.platform}/events`, 'application/cloudevents+json', {
      specversion: '1.0',
      id: `${publisher}-${n}`,
      source: '/publishers',
      type: 'load.counted',
      data: { publisher, n },
    })
  }

  #overRoute(publisher: string, n: number): Promise<string | undefined> {
    return post(`${this.#targets.app}/count`, 'application/json', { publisher, n })
  }
}

async function post(url: string, type: string, body: object): Promise<string | undefined> {
  try {
    const headers = { 'content-type': type }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    return response.status === 202 ? undefined : `${response.status} ${text}`
  } catch (error) {
    return error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error)
  }
}
