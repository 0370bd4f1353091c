import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Round, Side } from './row.ts'
import type { TeamAnswer, TeamRequest } from './team-process.ts'

/** How many processes work together, one measurement for each. */
export const teamSizes = [1, 2, 4] as const

/** One process of a team. */
class TeamProcess {
  readonly #child: ChildProcess

  constructor(member: string, url: string) {
    this.#child = fork(join(import.meta.dirname, 'team-process.ts'), [member, url], {
      execArgv: process.execArgv,
    })
  }

  async ask(request: TeamRequest): Promise<TeamAnswer> {
    this.#child.send(request)
    const [answer] = (await once(this.#child, 'message')) as [TeamAnswer]
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    await this.ask({ ask: 'stop' }).catch(() => undefined)
    this.#child.kill()
    await ended
  }
}

/** The servers that a team can work on, each with the URL of one that listens at a port. */
const urls = {
  postgres: (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  'nats-server': (port: number) => `nats://127.0.0.1:${port}`,
} as const

/**
 * A side that is measured with several processes on one server, each with its own load of 1,000 calls in flight: the figures
 * are the events a second of all of them, until the last is handled where they are handled.
 */
export function teamSide(member: string, what: string, server: keyof typeof urls): Side {
  return {
    what,
    async start(settings) {
      const round = async (): Promise<Round> => {
        const figures: Record<string, number> = {}
        for (const size of teamSizes) {
          const url = urls[server](settings.ports[server] ?? 0)
          figures[nameOfSize(size)] = await measure({ member, url, size, seconds: settings.seconds })
        }
        return { figures }
      }
      return { round, stop: async () => undefined }
    },
  }
}

/** The name of the figure of so many processes. */
export function nameOfSize(size: number): string {
  return size === 1 ? '1 process' : `${size} processes`
}

async function measure({
  member,
  url,
  size,
  seconds,
}: {
  readonly member: string
  readonly url: string
  readonly size: number
  readonly seconds: number
}): Promise<number> {
  const team = Array.from({ length: size }, () => new TeamProcess(member, url))
  try {
    // One after the other: the first makes what all of them need.
    for (const process of team) await process.ask({ ask: 'start' })
    // Once before it counts, since each process compiles what it runs often by then.
    await load(team, seconds)
    return await load(team, seconds)
  } finally {
    await Promise.all(team.map((process) => process.stop()))
  }
}

/** The events a second of a team, until the last is handled where they are handled. */
async function load(team: readonly TeamProcess[], seconds: number): Promise<number> {
  const before = await handledBy(team)
  const startedMs = performance.now()
  const answers = await Promise.all(team.map((process) => process.ask({ ask: 'load', seconds })))
  const calls = answers.reduce((sum, answer) => sum + (answer.calls ?? 0), 0)
  while (before !== undefined && ((await handledBy(team)) ?? 0) - before < calls) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return (calls * 1000) / (performance.now() - startedMs)
}

/** How many events all of them have handled; undefined where they handle none. */
async function handledBy(team: readonly TeamProcess[]): Promise<number | undefined> {
  const answers = await Promise.all(team.map((process) => process.ask({ ask: 'handled' })))
  const counts = answers.map(({ handled }) => handled)
  if (counts.includes(undefined)) return undefined
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
}
