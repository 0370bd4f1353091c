import type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterScope,
  DeadLetterSummary,
  ShownDeadLetter,
} from '../../bus/dead-letter-list.ts'
import { type Output, table } from '../output.ts'

/** Prints a page of dead letters. */
export async function printList(output: Output, list: DeadLetterList): Promise<void> {
  if (output.json) return output.printJson(list)
  noteScope(output, list)
  if (list.letters.length === 0) return output.print('No dead letters are open.')
  await printTable(output, [
    ['id', 'key', 'event', 'attempts', 'time', 'error'],
    ...list.letters.map(({ id, key, type, attempts, atMs, error }) => {
      return [id, short(key), short(type ?? 'unreadable'), attempts, timeOf(atMs), errorOf(error)]
    }),
  ])
  if (list.next !== undefined) output.note(`There are more: --from ${list.next}`)
}

/** Prints dead letters by what made them fail. */
export async function printGroups(
  output: Output,
  answer: DeadLetterScope & { readonly groups: readonly DeadLetterGroup[] },
): Promise<void> {
  if (output.json) return output.printJson(answer)
  noteScope(output, answer)
  if (answer.groups.length === 0) return output.print('No dead letters are open.')
  await printTable(output, [
    ['group', 'handler', 'count', 'first', 'last', 'latest', 'error'],
    ...answer.groups.map(({ fingerprint, handler, count, firstMs, lastMs, latest, error }) => {
      return [fingerprint, handler, count, timeOf(firstMs), timeOf(lastMs), latest, errorOf(error)]
    }),
  ])
}

/** Prints everything that is kept of one dead letter. */
export async function printShown(output: Output, letter: ShownDeadLetter): Promise<void> {
  if (output.json) return output.printJson(letter)
  const { id, key, attempts, atMs, error, failures, fingerprint, event } = letter
  await output.print(output.style('bold', id))
  await output.print(`key ${short(key)}, group ${fingerprint}`)
  await output.print(`given up ${timeOf(atMs)} after ${attempts} attempts`)
  for (const failure of failures) {
    await output.print(`  attempt ${failure.attempt} ${timeOf(failure.atMs)} ${errorOf(failure.error)}`)
  }
  await output.print('')
  await output.print(printable(error.stack ?? errorOf(error)))
  await output.print('')
  await output.print(event === null ? 'The record could not be read.' : JSON.stringify(event, undefined, 2))
}

/** Prints what was asked of the owners, or would be. */
export async function printAsked(
  output: Output,
  asked: DeadLetterScope & {
    readonly what: 'redrive' | 'discard'
    readonly asked: number
    readonly dryRun: boolean
    readonly ids: readonly string[]
  },
): Promise<void> {
  const { what, dryRun, ids, partitions } = asked
  if (output.json) return output.printJson({ asked: asked.asked, dryRun, ids, partitions })
  noteScope(output, asked)
  if (ids.length === 0) return output.print(`There is nothing to ${what}.`)
  if (dryRun) {
    for (const id of ids) await output.print(id)
    return output.print(`${ids.length} to ${what}; nothing was done.`)
  }
  await output.print(`Asked to ${what} ${asked.asked}.`)
  output.note('Each is executed by the owner of its partition; `dead-letters list` has what is still open.')
}

/** Says when this is not all, because other processes own partitions. */
function noteScope(output: Output, { partitions }: DeadLetterScope): void {
  for (const { group, owned, of } of partitions) {
    if (owned.length === of) continue
    output.note(`That process owns ${owned.length} of ${of} partitions of '${group}'; ask the others, too.`)
  }
}

async function printTable(output: Output, rows: readonly (readonly (string | number)[])[]): Promise<void> {
  for (const [index, line] of table(rows).entries()) {
    await output.print(index === 0 ? output.style('bold', line) : line)
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

function errorOf({ name, code, message }: DeadLetterSummary['error']): string {
  return `${code ?? name}: ${short(message, 80)}`
}

function short(text: string, most = 40): string {
  const line = printable(text).replaceAll('\n', ' ')
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

/** Without what could move the cursor of a terminal: keys and messages come from events. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, ' ')
}
