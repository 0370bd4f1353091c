import type {
  DeadLetterGroup,
  DeadLetterList,
  DeadLetterScope,
  DeadLetterSummary,
  DeadLettersAsked,
  DeadLettersOutcome,
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

/** Prints what was asked of the owners, page by page, or would be; and what came of it where that was waited for. */
export async function printAsked(
  output: Output,
  what: 'redrive' | 'discard',
  pages: readonly DeadLettersAsked[],
): Promise<void> {
  const asked = pages.reduce((sum, page) => sum + page.asked, 0)
  const ids = pages.flatMap(({ letters }) => letters.map(({ id }) => id))
  const dryRun = pages.some((page) => page.dryRun)
  const unanswered = pages.flatMap((page) => page.unanswered)
  const outcomes = pages.flatMap(({ outcome }) => outcome ?? [])
  if (output.json) {
    const outcome = outcomes.length === 0 ? {} : { outcome: mergeOutcomes(outcomes) }
    return output.printJson({ asked, dryRun, ids, unanswered, ...outcome })
  }
  noteScope(output, { unanswered })
  if (ids.length === 0) return output.print(`There is nothing to ${what}.`)
  if (dryRun) {
    for (const id of ids) await output.print(id)
    return output.print(`${ids.length} to ${what}; nothing was done.`)
  }
  if (outcomes.length > 0) return printOutcome(output, what, mergeOutcomes(outcomes))
  await output.print(`Asked to ${what} ${asked}.`)
  output.note('Each is executed by the owner of its partition; `dead-letters list` has what is still open.')
}

async function printOutcome(
  output: Output,
  what: 'redrive' | 'discard',
  { closed, failed, passedOver, unsettled }: DeadLettersOutcome,
): Promise<void> {
  await output.print(`${closed.length} ${what === 'redrive' ? 'handled' : 'discarded'}.`)
  if (failed.length > 0) await output.print(`${failed.length} failed again: ${failed.join(', ')}`)
  for (const { id, reason } of passedOver) await output.print(`${id} was passed over: it ${reason}.`)
  if (unsettled.length > 0) await output.print(`${unsettled.length} not done yet: ${unsettled.join(', ')}`)
}

function mergeOutcomes(outcomes: readonly DeadLettersOutcome[]): DeadLettersOutcome {
  return {
    closed: outcomes.flatMap(({ closed }) => closed),
    failed: outcomes.flatMap(({ failed }) => failed),
    passedOver: outcomes.flatMap(({ passedOver }) => passedOver),
    unsettled: outcomes.flatMap(({ unsettled }) => unsettled),
  }
}

/** Says when this is not all, because the owners of some partitions did not answer. */
function noteScope(output: Output, { unanswered }: DeadLetterScope): void {
  for (const { group, partition } of unanswered) {
    output.note(`Nobody answered for partition ${partition} of '${group}': what is open there is left out.`)
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
