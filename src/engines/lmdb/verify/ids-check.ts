import type { Sighting } from '../../../log/deduplication-window.ts'
import type { Finding } from '../../../log/verification.ts'
import { idBytes, idsHeaderBytes, sightingIn } from '../ids-row.ts'
import { numberIn } from '../keys.ts'
import { sealBytes, unseal } from '../sealed.ts'
import type { Row } from '../store.ts'
import type { CatalogCheck } from './catalog-check.ts'
import { damage } from './damage.ts'

const fix =
  'Nothing, once the deduplication window has passed. Until then an event that is published again may be stored again.'

/** Verifies the deduplication rows in the order of their sequence, which has no gaps. */
export class IdsCheck {
  readonly #catalog: CatalogCheck
  #lastSequence: number | undefined

  constructor(catalog: CatalogCheck) {
    this.#catalog = catalog
  }

  /** Verifies the next row. */
  row({ key, value }: Row): Finding[] {
    const sequence = numberIn(key, 1, 6)
    const where = `deduplication row ${sequence}`
    const before = this.#lastSequence
    this.#lastSequence = sequence
    if (unseal(value) === undefined) {
      return [damage('deduplication-damaged', where, 'The row does not match its checksum.', fix)]
    }
    const count = (value.length - idsHeaderBytes) / idBytes
    if (!Number.isInteger(count) || count < 1) {
      return [damage('deduplication-damaged', where, `The row has ${value.length} bytes, and was cut.`, fix)]
    }
    const findings: Finding[] = []
    if (before !== undefined && sequence - count !== before) {
      const problem = `It has ${count} ids, and the row before it ends at ${before}.`
      findings.push(damage('deduplication-gap', where, problem, fix))
    }
    const content = Buffer.from(value.buffer, value.byteOffset, value.byteLength).subarray(sealBytes)
    for (let index = 0; index < count; index += 1) {
      const problem = this.#checkPlace(sightingIn(content, idsHeaderBytes - sealBytes + index * idBytes))
      if (problem !== undefined) findings.push(damage('deduplication-invalid', where, problem, fix))
    }
    return findings
  }

  /** Ids of topics that were deleted stay until their time is over, as do those of records that were trimmed. */
  #checkPlace({ topicId, partition, offset }: Sighting): string | undefined {
    const topic = this.#catalog.topics.get(topicId)
    if (topic === undefined || topic.deleting) return undefined
    const end = topic.places.get(partition)?.end ?? 0
    if (offset < end) return undefined
    return `It names the record ${topic.name}/${partition}@${offset}, and that place ends at ${end}.`
  }
}
