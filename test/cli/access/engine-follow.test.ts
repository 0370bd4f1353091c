import { expect, test } from 'vitest'
import { engineAccess } from '../../../src/cli/access/engine-access.ts'
import type { Followed } from '../../../src/cli/access/port.ts'
import type { Event } from '../../../src/core/event.ts'
import { openMemory } from '../../../src/engines/memory/index.ts'
import { formatPosition } from '../../../src/gateway/live/position.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

const runtime = new ManualRuntime()

function happened(n: number, type: string): Event {
  return { specversion: '1.0', id: `${n}`, source: 'test', type, time: '2026-01-01T00:00:00Z', data: n }
}

test('an engine that is followed gives each record once, as it comes, and what was trimmed as skipped', async () => {
  const engine = openMemory({ runtime, partitions: 1 })
  const access = engineAccess({ engine, runtime, location: 'memory:', app: undefined, createTopic: true })
  await access.append([happened(0, 'a.b'), happened(1, 'a.b'), happened(2, 'a.b')], 't')
  await engine.trim({ topic: 't', partition: 0 }, { before: 2 })
  const stop = new AbortController()
  const following = access.follow({
    topics: undefined,
    types: ['a.*'],
    after: formatPosition(new Map([['t', [1]]])),
    signal: stop.signal,
    runtime,
    onInterrupted: () => {},
    onResumed: () => {},
  })
  const found: (number | string)[] = []
  for await (const step of following) {
    found.push(shown(step))
    if (found.length === 2) await access.append([happened(3, 'b.a'), happened(4, 'a.c')], 't')
    if (found.length === 3) stop.abort()
  }
  expect(found).toEqual(['OFFSET_TRIMMED', 2, 4])
  await access.close()
})

function shown(step: Followed): number | string {
  return 'skipped' in step ? step.skipped.code : (step.record.event.data as number)
}
