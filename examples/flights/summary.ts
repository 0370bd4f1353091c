import type { RunningApp } from 'millrace'

/** What `millrace start` tells the `main` of an application's file. */
export interface MainOptions {
  readonly json: boolean
  readonly signal: AbortSignal
  readonly urls: { readonly platform: string; readonly app?: string }
}

/** What is known of an airport. */
export interface AirportReport {
  readonly airport: string
  readonly flights: number
  readonly meanMinutes: number
  readonly worstMinutes: number
  readonly alerts: number
  readonly told: number
}

/** How far this run has come. */
export interface RunFigures {
  /** Flights that were in the log when this run began, and that are in it now. */
  readonly found: number
  readonly imported: number
  /** From the start until the last flight was in the log, and until everything was handled. */
  readonly importSeconds: number
  readonly seconds: number
}

const redrawMs = 100
const lineEveryMs = 1000

/** Shows how far the run has come until `end` is called: one line drawn anew on a terminal, a line a second elsewhere. */
export function showProgress(running: RunningApp, total: number, { json, signal }: MainOptions) {
  const { runtime } = running
  const { stderr } = process
  const startedMs = runtime.now()
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  let found: number | undefined
  let imported = 0
  let importedMs = startedMs

  async function draw(): Promise<void> {
    const handlers = await running.status()
    const sum = (of: (handler: (typeof handlers)[number]) => number) =>
      count(handlers.map(of).reduce((one, other) => one + other, 0))
    const line = [
      found === undefined ? 'catching up' : `${Math.floor((imported / total) * 100)}% imported`,
      `${sum(({ counts }) => counts.handled)} handled`,
      `${sum(({ lag, parked }) => lag + parked.records)} waiting`,
      `${sum(({ counts }) => counts.failures)} failed`,
      `${sum(({ counts }) => counts.deadLettered)} dead letters`,
    ].join(' · ')
    stderr.write(stderr.isTTY ? `\r\x1b[K${line.slice(0, (stderr.columns || 81) - 1)}` : `${line}\n`)
  }

  async function drawUntilEnded(): Promise<void> {
    while (!json && !stop.aborted) {
      await draw()
      await runtime.sleep(stderr.isTTY ? redrawMs : lineEveryMs, stop).catch(() => {})
    }
  }

  const drawing = drawUntilEnded()
  return {
    imported(count: number): void {
      found ??= count
      imported = count
      importedMs = runtime.now()
    },
    figures(): RunFigures {
      const importSeconds = (importedMs - startedMs) / 1000
      return { found: found ?? 0, imported, importSeconds, seconds: (runtime.now() - startedMs) / 1000 }
    },
    async end(): Promise<void> {
      ended.abort()
      await drawing
      if (stderr.isTTY) stderr.write('\r\x1b[K')
    },
  }
}

/** Says what happened: in this run, and at the airports since the first one. */
export async function reportRun(
  running: RunningApp,
  airports: readonly AirportReport[],
  run: RunFigures,
  { json, urls }: MainOptions,
): Promise<void> {
  const handlers = (await running.status()).map(({ name, counts }) => ({ name, ...counts }))
  const sum = (of: 'flights' | 'alerts' | 'told') => airports.reduce((total, each) => total + each[of], 0)
  const totals = { flights: sum('flights'), alerts: sum('alerts'), told: sum('told') }
  if (json) return console.log(JSON.stringify({ finished: run, handlers, totals }))

  const added = run.imported - run.found
  const busiest = airports.toSorted((one, other) => other.flights - one.flights).slice(0, 5)
  const flag = urls.platform.endsWith(':4400') ? '' : ` --url ${urls.platform}`
  console.log(
    [
      '',
      added === 0
        ? `All ${count(run.imported)} flights were in the log already.`
        : `${count(added)} flights in the log after ${run.importSeconds.toFixed(1)} s (${count(added / run.importSeconds)} a second), all handled after ${run.seconds.toFixed(1)} s.`,
      '',
      ...table([
        ['since this start', 'handled', 'failed attempts', 'dead letters'],
        ...handlers.map(({ name, handled, failures, deadLettered }) => [
          name,
          handled,
          failures,
          deadLettered,
        ]),
      ]),
      '',
      ...table([
        ['since the first', 'flights', 'mean delay', 'worst', 'alerts', 'told'],
        ...busiest.map((each) => [
          each.airport,
          each.flights,
          `${each.meanMinutes.toFixed(1)} min`,
          `${each.worstMinutes} min`,
          each.alerts,
          each.told,
        ]),
        [`all ${airports.length} airports`, totals.flights, '', '', totals.alerts, totals.told],
      ]),
      '',
      'It goes on running. Look closer from another terminal, or stop it with Ctrl+C and start it again:',
      `  curl -s ${urls.app}/airports/${busiest[0]?.airport}`,
      `  npm run -s millrace -- tail --topic alerts --limit 3${flag}`,
      `  npm run -s millrace -- inspect${flag}`,
    ].join('\n'),
  )
}

/** Lays rows out in columns, the first to the left and the others to the right. */
function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)))
  const widthOf = (column: number) => Math.max(...texts.map((row) => row[column]?.length ?? 0))
  return texts.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widthOf(0)) : cell.padStart(widthOf(column))))
      .join('  '),
  )
}

/** A number as people read it. */
function count(number: number): string {
  return number.toLocaleString('en-US', { maximumFractionDigits: 0 })
}
