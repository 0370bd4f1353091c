import { storableJson } from '../core/event-codec.ts'
import { type Schema, validate } from '../core/schema.ts'
import type { HandlerDefinition, StateCell } from './definitions.ts'
import type { KeptValue } from './known-values.ts'
import type { PartitionState } from './partition-state.ts'
import { stateLayout } from './state-layout.ts'

/** A state cell as a handler declares it, for all keys. */
export interface DeclaredCell {
  readonly name: string
  readonly handler: string
  readonly schema: Schema
  /** What the keys of its values begin with. */
  readonly prefix: string
  /** Which one it is of those that the handler declares. */
  readonly place: number
}

/** The state cells of a handler. */
export function declaredCells({ name: handler, options }: HandlerDefinition): readonly DeclaredCell[] {
  return Object.entries(options.state ?? {}).map(([name, schema], place) => {
    return { name, handler, schema, prefix: stateLayout.cell(handler, name, ''), place }
  })
}

/** What is known of the cells of one key, by the places of these among those that a handler declares. */
export type KnownCells = (KeptValue | undefined)[]

/** The attempt that a cell belongs to. */
export interface CellOwner {
  /** Throws when the attempt is over. */
  useState(): void
}

/** A cell as one attempt sees it: what is committed or staged, with its own writes on top. */
export class AttemptCell implements StateCell<Schema> {
  readonly #declared: DeclaredCell
  readonly #owner: CellOwner
  readonly #state: PartitionState
  /** The key of the event. */
  readonly #key: string
  /** Of that key. */
  readonly #known: KnownCells
  #isWritten = false
  #written: string | undefined

  constructor(
    declared: DeclaredCell,
    owner: CellOwner,
    state: PartitionState,
    of: { readonly key: string; readonly known: KnownCells },
  ) {
    this.#declared = declared
    this.#owner = owner
    this.#state = state
    this.#key = of.key
    this.#known = of.known
  }

  /** What is known of the value. */
  get known(): KeptValue | undefined {
    const { place } = this.#declared
    const known = this.#known[place]
    if (known !== undefined && !known.isGone) {
      known.isUsed = true
      return known
    }
    const found = this.#state.known(this.#declared.prefix + this.#key)
    this.#known[place] = found
    return found
  }

  /** The key of the value in the claim's state. */
  get stateKey(): string {
    return this.#known[this.#declared.place]?.key ?? this.#declared.prefix + this.#key
  }

  /** Whether this attempt has set or deleted the value. */
  get isWritten(): boolean {
    return this.#isWritten
  }

  /** The JSON text that was set; undefined for a value that was deleted. */
  get written(): string | undefined {
    return this.#written
  }

  async get(): Promise<unknown> {
    this.#owner.useState()
    if (this.#isWritten) return this.#parsed(this.#written)
    const { known } = this
    if (typeof known?.value === 'string') return JSON.parse(known.value)
    return this.#parsed(await this.#state.get(this.stateKey))
  }

  set(value: unknown): void {
    this.#owner.useState()
    const { schema, name, handler } = this.#declared
    this.#written = storableJson(checkedState(schema, value, handler, name), name)
    this.#isWritten = true
  }

  delete(): void {
    this.#owner.useState()
    this.#written = undefined
    this.#isWritten = true
  }

  #parsed(text: string | undefined): unknown {
    return text === undefined ? defaultOf(this.#declared.schema) : JSON.parse(text)
  }
}

/** What a schema gives for nothing; undefined when it has no default. */
export async function defaultOf(schema: Schema): Promise<unknown> {
  const result = await schema['~standard'].validate(undefined)
  return result.issues === undefined ? result.value : undefined
}

function checkedState(schema: Schema, value: unknown, handler: string, cell: string): unknown {
  const output = validate(schema, value, {
    code: 'STATE_INVALID',
    what: `State '${cell}' of handler '${handler}'`,
  })
  if (output instanceof Promise) {
    throw new TypeError(`state '${cell}' of handler '${handler}' needs a schema that validates synchronously`)
  }
  return output
}
