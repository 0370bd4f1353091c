import { median } from './load.ts'
import type { Figure, Round, Row, Settings } from './row.ts'
import { SideProcess } from './side-process.ts'

/** One line of the table. */
export interface Line {
  readonly name: string
  readonly what: string
  readonly peerIs: string
  readonly ours: number
  readonly peer: number
  readonly ratio: number
  readonly unit: Figure['unit']
  readonly goal: string
  readonly isMet: boolean | undefined
  readonly notes: readonly string[]
}

/** The load generator may take so much of its core; beyond it, it and not what is measured may be the limit. */
const generatorBound = 0.8

/** Measures a row: a round of each side that does not count, then both in turn, beginning with one and then the other. */
export async function runRow(
  row: Row,
  settings: Settings,
  told: (progress: string) => void,
): Promise<readonly Line[]> {
  const rounds = Math.min(settings.rounds, row.rounds ?? settings.rounds)
  const sides = new Map<'ours' | 'peer', SideProcess>()
  const measured: Record<'ours' | 'peer', Round[]> = { ours: [], peer: [] }
  try {
    told('starting')
    sides.set('ours', await SideProcess.start(row.name, 'ours', settings, row.ours.nodeOptions))
    if ('start' in row.peer) sides.set('peer', await SideProcess.start(row.name, 'peer', settings))
    // A row that has one round is one long measurement, which warms itself up.
    for (let round = row.rounds === 1 ? 1 : 0; round <= rounds; round += 1) {
      told(round === 0 ? 'warming up' : `round ${round} of ${rounds}`)
      for (const which of round % 2 === 0 ? (['ours', 'peer'] as const) : (['peer', 'ours'] as const)) {
        const result = await sides.get(which)?.round()
        if (result !== undefined && round > 0) measured[which].push(result)
      }
    }
  } finally {
    for (const side of sides.values()) await side.stop()
  }
  return row.figures.map((figure) => lineOf(row, figure, measured))
}

function lineOf(row: Row, figure: Figure, measured: Record<'ours' | 'peer', readonly Round[]>): Line {
  const of = (values: readonly (number | undefined)[]) => median(values.map((value) => value ?? Number.NaN))
  const ours = of(measured.ours.map(({ figures }) => figures[figure.name]))
  const peer = of(peerValues(row, figure, measured))
  const shares = { ours: shareOf(measured.ours), [row.peer.what]: shareOf(measured.peer) }
  const busy = Object.entries(shares).filter(([, share]) => share > generatorBound)
  return {
    name: row.figures.length === 1 ? row.name : `${row.name}-${figure.name}`,
    what: row.figures.length === 1 ? row.what : `${row.what}, ${figure.name}`,
    peerIs: row.peer.what,
    ours,
    peer,
    ratio: ours / peer,
    unit: figure.unit,
    goal: figure.goal ?? '',
    isMet: figure.isMet?.(ours, peer),
    notes: [
      ...(row.weaker === undefined ? [] : [`${row.peer.what}: ${row.weaker}`]),
      ...busy.map(
        ([side, share]) =>
          `${row.name}: the load generator of ${side} took ${Math.round(share * 100)}% of its core`,
      ),
    ],
  }
}

function shareOf(rounds: readonly Round[]): number {
  return median(rounds.map(({ generatorShare }) => generatorShare ?? 0))
}

function peerValues(
  { peer }: Row,
  { name }: Figure,
  measured: Record<'ours' | 'peer', readonly Round[]>,
): readonly (number | undefined)[] {
  if ('start' in peer) return measured.peer.map(({ figures }) => figures[name])
  return peer.limits === undefined ? measured.ours.map(({ beside }) => beside?.[name]) : [peer.limits[name]]
}
