import pg from 'pg'

/** Runs statements on the database of a URL, as somebody else would; gives the rows of the last one. */
export async function administer(
  url: string,
  ...statements: readonly string[]
): Promise<Record<string, unknown>[]> {
  const { searchParams } = new URL(url)
  const client = new pg.Client({ connectionString: url.replace(/\?.*/, '') })
  await client.connect()
  try {
    await client.query(`set search_path to "${searchParams.get('schema')}"`)
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}
