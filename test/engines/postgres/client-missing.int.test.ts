import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const engine = new URL('../../../src/engines/postgres/postgres-engine.ts', import.meta.url).href
const core = new URL('../../../src/core/real-runtime.ts', import.meta.url).href

test('without its client library a log in PostgreSQL is ENGINE_CLIENT_MISSING, with the command that installs it', () => {
  // What Node.js does where the library is not installed.
  const program = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve: (specifier, context, next) => next(specifier === 'pg' ? 'not-installed-at-all' : specifier, context),
    })
    const { openPostgres } = await import(${JSON.stringify(engine)})
    const { realRuntime } = await import(${JSON.stringify(core)})
    await openPostgres('postgres://127.0.0.1/none', { runtime: realRuntime() }).catch(({ code, fix }) => {
      console.log(JSON.stringify({ code, fix }))
    })`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({
    code: 'ENGINE_CLIENT_MISSING',
    fix: expect.stringContaining('npm install pg'),
  })
})
