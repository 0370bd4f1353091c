import { describe, expect, it } from 'vitest'
import {
  defaultFaultRates,
  FaultPlan,
  faultRates,
  parseFaultRates,
  writeFaultRates,
} from '../../src/testing/faults.ts'

function planOf(without: readonly number[] = []): { plan: FaultPlan; lines: string[] } {
  const lines: string[] = []
  const plan = new FaultPlan({
    seed: 3,
    rates: { crash: 0.5 },
    without: new Set(without),
    onFault: (line) => lines.push(line),
  })
  plan.begin()
  return { plan, lines }
}

const draw = ({ plan, lines }: ReturnType<typeof planOf>) => {
  for (let index = 0; index < 20; index += 1) plan.happens('crash', () => `try ${index}`)
  return lines
}

describe('faultRates', () => {
  it('gives listed kinds their default rates', () => {
    expect(faultRates(['crash', 'clock'])).toEqual({
      crash: defaultFaultRates.crash,
      clock: defaultFaultRates.clock,
    })
  })

  it('refuses kinds and rates that are none', () => {
    expect(() => faultRates({ flood: 1 } as never)).toThrow(TypeError)
    expect(() => faultRates({ crash: 2 })).toThrow(TypeError)
  })
})

describe('writeFaultRates', () => {
  it('is read back as the same rates', () => {
    const rates = { crash: defaultFaultRates.crash, handler: 0.8 }
    expect(writeFaultRates(rates)).toBe('crash,handler=0.8')
    expect(parseFaultRates('crash,handler=0.8')).toEqual(rates)
    expect(parseFaultRates('')).toEqual({})
  })

  it('is not read where a kind or a rate is none', () => {
    expect(() => parseFaultRates('flood')).toThrow(TypeError)
    expect(() => parseFaultRates('crash=often')).toThrow(TypeError)
  })
})

describe('FaultPlan', () => {
  it('lets the same faults happen for the same seed', () => {
    const lines = draw(planOf())
    expect(lines.length).toBeGreaterThan(3)
    expect(draw(planOf())).toEqual(lines)
  })

  it('leaves out a fault by its number, and nothing else', () => {
    const lines = draw(planOf())
    expect(draw(planOf([1]))).toEqual(lines.filter((line) => !line.startsWith('fault #1 ')))
  })

  it('lets nothing happen that has no rate, or once it has ended', () => {
    const { plan, lines } = planOf()
    for (let index = 0; index < 20; index += 1) plan.happens('stop', () => 'p1')
    plan.end()
    draw({ plan, lines })
    expect(lines).toEqual([])
    expect(plan.active).toBe(false)
  })
})
