/**
 * How the processor lays out the keys of a claim's state: one claim is one (group, partition), so neither is named.
 *
 * | key                                  | value (JSON)                                                        |
 * | ------------------------------------ | ------------------------------------------------------------------- |
 * | `subscription/HANDLER/TOPIC`         | `CursorDocument`: the cursor, the ranges done above it, silence     |
 * | `parked/HANDLER/TOPIC/KEY`           | `ParkedEntry`: a key that is being retried or held                  |
 * | `state/HANDLER/CELL/KEY`             | the value of a state cell of a handler for a key                    |
 * | `once/HANDLER/TOPIC/OFFSET/NAME`     | `{ value }`: the remembered result of `ctx.once`, until that is done |
 * | `dead-letter/HANDLER/TOPIC/PLACE`    | `OpenDeadLetter`: not yet handled by a redrive, nor discarded       |
 * | `result/TOPIC/PLACE`                 | `StoredResult`: how a command was decided, until its time is over   |
 * | `timer/DUE/ID`                       | `{ topic, event }`: an event to be appended at DUE; or `{ expired }`: a key to be removed then |
 * | `schedule/HANDLER`                   | `{ pattern, timezone, dueMs }`: the next firing of `every`          |
 * | `source/SOURCE`                      | `{ position }`: how far an outside source was taken in              |
 * | `forgotten/HANDLER/TOPIC`            | `{ before }`: what is left there of a handler that was forgotten    |
 *
 * HANDLER, TOPIC and CELL hold no slash, and what may hold one (KEY, NAME) comes last, so no two keys collide. DUE is
 * milliseconds since 1970 in 15 digits, so that timers sort by time, and
 * PLACE is an offset in 16 digits, so that dead letters sort by theirs. A result names no handler: it is that of the
 * command, so it stays when its handler is renamed or forgotten. Part of the stored format.
 */
export const stateLayout = {
  subscription: (handler: string, topic: string) => `subscription/${handler}/${topic}`,
  parked: (handler: string, topic: string, key: string) => `parked/${handler}/${topic}/${key}`,
  cell: (handler: string, cell: string, key: string) => `state/${handler}/${cell}/${key}`,
  once: (handler: string, topic: string, offset: number, name: string) =>
    `${stateLayout.onceOf(handler, topic, offset)}${name}`,
  onceOf: (handler: string, topic: string, offset: number) => `once/${handler}/${topic}/${offset}/`,
  deadLetter: (handler: string, topic: string, offset: number) =>
    `dead-letter/${handler}/${topic}/${offsetDigits(offset)}`,
  result: (topic: string, offset: number) => `result/${topic}/${offsetDigits(offset)}`,
  timer: (dueMs: number, id: string) => `timer/${dueDigits(dueMs)}/${id}`,
  timersUntil: (dueMs: number) => `timer/${dueDigits(dueMs + 1)}/`,
  schedule: (handler: string) => `schedule/${handler}`,
  source: (name: string) => `source/${name}`,
  forgotten: (handler: string, topic: string) => `forgotten/${handler}/${topic}`,
} as const

function offsetDigits(offset: number): string {
  return String(offset).padStart(16, '0')
}

/** The latest time that a timer can have: 15 digits of milliseconds. */
const latestDueMs = 999_999_999_999_999

function dueDigits(dueMs: number): string {
  return String(Math.min(Math.max(0, Math.floor(dueMs)), latestDueMs)).padStart(15, '0')
}

/** The time of a timer's key, in milliseconds since 1970. */
export function dueOfTimer(key: string): number {
  return Number(key.split('/')[1])
}

/** Whether a key is that of a value which a handler keeps, as against what the processor needs to go on. */
export function isHandlerState(key: string): boolean {
  return key.startsWith('state/')
}

/** What the key of an open dead letter names. */
export function placeOfDeadLetter(key: string): {
  readonly handler: string
  readonly topic: string
  readonly offset: number
} {
  const [, handler = '', topic = '', digits = ''] = key.split('/')
  return { handler, topic, offset: Number(digits) }
}

/** The end of the range of keys that begin with `prefix`, which ends in a slash: the character after a slash is `0`. */
export function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}
