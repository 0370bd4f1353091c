type Rows = readonly Readonly<Record<string, unknown>>[]
type Call = (...given: readonly unknown[]) => unknown
type Shape = Readonly<Record<string, unknown>>

/** A transaction that somebody else has opened. */
export interface ForeignTransaction {
  /** Runs one statement with its parameters, numbered from `$1`; gives its rows. */
  run(text: string, values: readonly string[]): Promise<Rows>
  /** Whether its library says that it is open; where not, the server must be asked. */
  readonly isOpen: boolean
}

/** How a library runs a statement that is text, and by what its transactions are known. No library is loaded for that. */
interface Way {
  has(shape: Shape): boolean
  isOpen(shape: Shape): boolean
  run(on: Shape, text: string, values: readonly string[]): Promise<Rows>
}

const kysely: Way = {
  has: ({ executeQuery }) => isCall(executeQuery),
  isOpen: ({ isTransaction }) => isTransaction === true,
  run: (on, sql, parameters) => {
    const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] }
    return call(on, 'executeQuery', { query, sql, parameters, queryId: { queryId: 'millrace' } })
  },
}

const postgres: Way = {
  has: ({ unsafe }) => isCall(unsafe),
  isOpen: ({ savepoint }) => isCall(savepoint),
  run: (on, text, values) => call(on, 'unsafe', text, values),
}

/** `pg`, TypeORM, and adapters. */
const pg: Way = {
  has: ({ query }) => isCall(query),
  isOpen: (on) => isCall(on.getTransactionStatus) && on.getTransactionStatus() === 'T',
  run: (on, text, values) => call(on, 'query', text, values),
}

/** It marks parameters by `?`, in the order in which they stand. */
const knex: Way = {
  has: ({ raw }) => isCall(raw),
  isOpen: ({ isTransaction }) => isTransaction === true,
  run: (on, text, values) => {
    const bindings: (string | undefined)[] = []
    const marked = text.replace(/\$(\d+)/g, (_, nth: string) => {
      bindings.push(values[Number(nth) - 1])
      return '?'
    })
    return call(on, 'raw', marked, bindings)
  },
}

/** It takes what gives a query when it is asked for one. */
const drizzle: Way = {
  has: ({ execute }) => isCall(execute),
  isOpen: ({ rollback }) => isCall(rollback),
  run: (on, sql, params) =>
    call(on, 'execute', { getSQL: () => ({ toQuery: () => ({ sql, params, typings: [] }) }) }),
}

const ways = [kysely, postgres, pg, knex, drizzle]

/**
 * How to run a statement in a transaction of somebody else: of `pg`, `postgres`, `knex`, `kysely`, `drizzle-orm`, or anything with
 * `query(text, values)`. `TypeError` for what is none of these.
 */
export function foreignTransaction(given: unknown): ForeignTransaction {
  if ((typeof given === 'object' && given !== null) || typeof given === 'function') {
    const shape = given as Shape
    const way = ways.find(({ has }) => has(shape))
    if (way !== undefined) {
      return { run: (text, values) => way.run(shape, text, values), isOpen: way.isOpen(shape) }
    }
  }
  throw new TypeError(
    "publishIn: the first argument must be an open transaction of 'pg', 'postgres', 'knex', 'kysely' or 'drizzle-orm', or have query(text, values)",
  )
}

function isCall(value: unknown): value is Call {
  return typeof value === 'function'
}

async function call(on: Shape, method: string, ...given: readonly unknown[]): Promise<Rows> {
  // What libraries give is awaited as they give it: some of it is only sent then.
  const result = await (on[method] as Call).call(on, ...given)
  return Array.isArray(result)
    ? (result as Rows)
    : ((result as { readonly rows?: Rows } | undefined)?.rows ?? [])
}
