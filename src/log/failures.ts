import { MillraceError } from '../core/errors.ts'
import { type Entry, maxStateKeyBytes } from './port.ts'

/** `NOT_OWNER`: the error of everything that is asked of a claim that is not the current one of its partition. */
export function notOwner(
  { group, partition, epoch }: { group: string; partition: number; epoch: number },
  cause?: unknown,
): MillraceError {
  return new MillraceError(
    'NOT_OWNER',
    `Epoch ${epoch} of partition ${partition} no longer belongs to this member of group '${group}'.`,
    {
      where: `${group}/${partition}`,
      fix: 'Go on with the next claim that the listener is given; its owner sees all that was committed.',
      facts: { group, partition, epoch },
      cause,
    },
  )
}

/** `LOG_CLOSED`. */
export function logClosed(): MillraceError {
  return new MillraceError('LOG_CLOSED', 'The log is closed.', {
    fix: 'Call it before `close`, or open it again.',
  })
}

/** `TOPIC_UNKNOWN`. */
export function topicUnknown(name: string): MillraceError {
  return new MillraceError('TOPIC_UNKNOWN', `There is no topic '${name}'.`, {
    where: name,
    fix: 'Create it first, or use the name of one that `listTopics` gives.',
    facts: { topic: name },
  })
}

/** `ID_REUSED`. */
export function idReused(entry: Entry): MillraceError {
  return new MillraceError('ID_REUSED', 'An event of the same source and id was stored with other content.', {
    where: `${entry.topic}/${entry.partition}`,
    fix: 'Give every event its own id; publish again only what is the same.',
    facts: { topic: entry.topic, deduplicationId: entry.deduplicationId },
  })
}

/** Throws `TypeError` for a key that the state of a claim cannot have. */
export function checkStateKey(key: string): void {
  if (!key.isWellFormed()) throw new TypeError('a key of the state must be a string of valid Unicode')
  if (key.length * 3 <= maxStateKeyBytes || Buffer.byteLength(key) <= maxStateKeyBytes) return
  throw new TypeError(`a key of the state has at most ${maxStateKeyBytes} bytes of UTF-8`)
}

/** Throws `TypeError` for a partition that the log does not have. */
export function checkPartition(partition: number, partitions: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return
  throw new TypeError(`partition ${partition} is not one of the log's ${partitions}`)
}
