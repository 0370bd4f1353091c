import { request } from 'node:http'
import { realRuntime } from '../../src/core/real-runtime.ts'
import type { Started } from './process.ts'

/** Spreads requests over instances that are ready, as load balancers do; tries the next one only where nobody takes a connection. */
export class RoundRobin {
  readonly #instances = new Set<Started>()
  #ready: readonly Started[] = []
  #next = 0
  #closed = false

  add(...instances: readonly Started[]): void {
    for (const instance of instances) this.#instances.add(instance)
    this.#ready = [...this.#instances]
  }

  remove(instance: Started): void {
    this.#instances.delete(instance)
    this.#ready = this.#ready.filter((other) => other !== instance)
  }

  close(): void {
    this.#closed = true
  }

  /** Looks at `/health/ready` of every instance, again and again. */
  async watch(): Promise<void> {
    while (!this.#closed) {
      const ready: Started[] = []
      for (const instance of [...this.#instances]) {
        const answer = await fetch(`${instance.urls.platform}/health/ready`).catch(() => undefined)
        if (answer?.ok) ready.push(instance)
      }
      this.#ready = ready.filter((instance) => this.#instances.has(instance))
      await realRuntime().sleep(50)
    }
  }

  /** The status of the answer. */
  async post(path: string, body: unknown): Promise<number> {
    for (;;) {
      this.#next += 1
      const instance = this.#ready[this.#next % this.#ready.length]
      try {
        return await send(`${instance?.urls.app}${path}`, JSON.stringify(body))
      } catch (error) {
        if ((error as { syscall?: unknown }).syscall !== 'connect') throw error
      }
    }
  }
}

function send(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request(url, { method: 'POST', agent: false, headers }, (response) => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.resume()
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
