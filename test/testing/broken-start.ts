import { start } from '../../src/app/start.ts'
import type { Change, Claim, LogEngine } from '../../src/log/port.ts'
import type { StartFunction } from '../../src/testing/simulated-process.ts'

/** Starts applications on an engine that makes of every commit what `breakCommit` says, one after another. */
export function startWithCommits(breakCommit: (change: Change) => readonly Change[]): StartFunction {
  return startWith((engine, name) => {
    if (name !== 'join') return undefined
    const join: LogEngine['join'] = (group, member, listener) =>
      engine.join(group, member, (claim) => listener(withCommits(claim, breakCommit)))
    return join
  })
}

/** Starts applications on an engine with other methods where `replace` gives one. */
export function startWith(replace: (engine: LogEngine, name: string) => unknown): StartFunction {
  return (app, options) => {
    const engine = options.log as LogEngine
    const log = new Proxy(engine, {
      get: (target, name) => replace(engine, String(name)) ?? Reflect.get(target, name),
    })
    return start(app, { ...options, log })
  }
}

function withCommits(claim: Claim, breakCommit: (change: Change) => readonly Change[]): Claim {
  return {
    group: claim.group,
    partition: claim.partition,
    epoch: claim.epoch,
    signal: claim.signal,
    get: (keys) => claim.get(keys),
    range: (query) => claim.range(query),
    async commit(change) {
      const commits = breakCommit(change).map((part) => claim.commit(part))
      return (await Promise.all(commits)).flat()
    },
  }
}

/** Whether a key of the state is a cursor. */
export function isCursor({ key }: { readonly key: string }): boolean {
  return key.startsWith('subscription/')
}

/** Whether a key of the state is a parked key. */
export function isParkedKey({ key }: { readonly key: string }): boolean {
  return key.startsWith('parked/')
}
