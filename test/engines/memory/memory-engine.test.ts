import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../../src/core/errors.ts'
import { MemoryLog, type MemoryOptions, openMemory } from '../../../src/engines/memory/index.ts'
import type { Change, Claim, LogEngine } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { turn } from '../../../src/testing/turn.ts'

const at = { topic: 'orders', partition: 0 }
const bytes = new Uint8Array([1, 2, 3])

/** Several processes on one log of 4 partitions with a topic `orders`. */
async function processes() {
  const log = new MemoryLog()
  const open = (options: Partial<MemoryOptions> = {}) =>
    openMemory({ runtime: new ManualRuntime(), log, partitions: 4, ...options })
  await open().createTopic('orders', {})
  return open
}

async function join(engine: LogEngine, id: string): Promise<Claim[]> {
  const claims: Claim[] = []
  await engine.join('readers', { id }, (claim) => claims.push(claim))
  return claims
}

function of(claims: readonly Claim[], partition: number): Claim {
  const claim = claims.findLast((candidate) => candidate.partition === partition)
  if (claim === undefined) throw new Error(`no claim on partition ${partition} was given`)
  return claim
}

function put(key: string): Change {
  return { puts: [{ key, value: bytes }], deletes: [], appends: [] }
}

const entry = () => ({ ...at, value: bytes, timeMs: 0 })

/** Fails the first step of a name once it is armed. */
function failing(name: string) {
  let armed = false
  return {
    arm: () => {
      armed = true
    },
    fault: (step: string) => {
      if (!armed || step !== name) return undefined
      armed = false
      return new MillraceError('STORAGE_FAILED', `no luck at ${step}`)
    },
  }
}

describe('faults of the memory engine', () => {
  it('a call that fails before it is applied changes nothing', async () => {
    const open = await processes()
    const { arm, fault } = failing('append:apply')
    const engine = open({ fault })
    arm()
    await expect(engine.append([entry()])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect((await engine.bounds(at)).end).toBe(0)
    await engine.append([entry()])
    expect((await engine.bounds(at)).end).toBe(1)
  })

  it('a call whose acknowledgement fails is applied', async () => {
    const open = await processes()
    const { arm, fault } = failing('append:acknowledge')
    const engine = open({ fault })
    arm()
    await expect(engine.append([entry()])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect((await engine.bounds(at)).end).toBe(1)
  })

  it('an append that is not atomic can fail behind any of its entries', async () => {
    const open = await processes()
    let applied = 0
    const fault = (step: string) => {
      if (step === 'append:apply') applied += 1
      return applied === 3 ? new Error('no luck') : undefined
    }
    await expect(open({ fault, atomicAppend: false }).append([entry(), entry(), entry()])).rejects.toThrow()
    expect((await open().bounds(at)).end).toBe(2)
  })

  it.each([
    ['commit:apply', [undefined, undefined]],
    ['commit:acknowledge', [bytes, bytes]],
  ])('a commit that fails at %s takes those behind it along', async (step, expected) => {
    const open = await processes()
    const { arm, fault } = failing(step)
    const claims = await join(open({ fault }), 'one')
    const claim = of(claims, 0)
    arm()
    const outcomes = await Promise.allSettled([claim.commit(put('one')), claim.commit(put('two'))])
    expect(outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'STORAGE_FAILED' } },
      { status: 'rejected', reason: { code: 'NOT_OWNER' } },
    ])
    expect(claim.signal.aborted).toBe(true)
    await expect(claim.commit(put('three'))).rejects.toMatchObject({ code: 'NOT_OWNER' })
    await expect.poll(() => of(claims, 0).epoch).toBe(claim.epoch + 1)
    expect(await of(claims, 0).get(['one', 'two'])).toEqual(expected)
  })

  it('a member whose joining failed owns nothing', async () => {
    const open = await processes()
    const { arm, fault } = failing('join:acknowledge')
    arm()
    await expect(join(open({ fault }), 'one')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(await join(open(), 'two')).toHaveLength(4)
  })
})

describe('a process that crashed', () => {
  it('loses its claims to the others, who see what it had applied', async () => {
    const open = await processes()
    const [dead, alive] = [open(), open()]
    const [before, after] = [await join(dead, 'a'), await join(alive, 'b')]
    await of(before, 0).commit(put('key'))
    dead.crash()
    await expect.poll(() => after.map(({ partition }) => partition).sort()).toEqual([0, 1, 2, 3])
    expect(of(after, 0).epoch).toBeGreaterThan(of(before, 0).epoch)
    expect(await of(after, 0).get(['key'])).toEqual([bytes])
  })

  it('is never answered again, not even for what was applied', async () => {
    const open = await processes()
    const held: (() => void)[] = []
    const step = (name: string) =>
      name === 'append:acknowledge' ? new Promise<void>((resolve) => held.push(resolve)) : Promise.resolve()
    const dead = open({ steps: { step } })
    let settled = false
    const note = () => {
      settled = true
    }
    void dead.append([entry()]).then(note, note)
    await expect.poll(() => held.length).toBe(1)
    dead.crash()
    for (const grant of held) grant()
    void dead.bounds(at).then(note, note)
    expect((await open().bounds(at)).end).toBe(1)
    await turn()
    expect(settled).toBe(false)
  })
})

describe('a process that lost its session', () => {
  it('finds out when it commits', async () => {
    const open = await processes()
    const [zombie, other] = [open(), open()]
    const before = await join(zombie, 'a')
    const after = await join(other, 'b')
    zombie.loseSession()
    await expect.poll(() => new Set(after.map(({ partition }) => partition)).size).toBe(4)
    const lost = of(before, 0)
    expect(lost.signal.aborted).toBe(false)
    await expect(lost.commit(put('stolen'))).rejects.toMatchObject({ code: 'NOT_OWNER' })
    expect(lost.signal.aborted).toBe(true)
    expect(await of(after, 0).get(['stolen'])).toEqual([undefined])
  })

  it('takes part again when it is told', async () => {
    const open = await processes()
    const [zombie, other] = [open(), open()]
    const claims = await join(zombie, 'a')
    await join(other, 'b')
    const held = claims.filter(({ signal }) => !signal.aborted)
    expect(held).toHaveLength(2)
    zombie.loseSession()
    zombie.regainSession()
    for (const claim of held) expect(claim.signal.aborted).toBe(true)
    await expect.poll(() => claims.filter(({ signal }) => !signal.aborted).length).toBe(2)
    for (const claim of claims.filter(({ signal }) => !signal.aborted)) await claim.commit(put('key'))
  })
})
