import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const engine = new URL('../../../src/engines/nats/nats-engine.ts', import.meta.url).href
const core = new URL('../../../src/core/real-runtime.ts', import.meta.url).href

test.each(['@nats-io/transport-node', '@nats-io/obj'])(
  'without %s a log on NATS is ENGINE_CLIENT_MISSING, with the command that installs both',
  (missing) => {
    // What Node.js does where the library is not installed.
    const program = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve: (specifier, context, next) => next(specifier === ${JSON.stringify(missing)} ? 'not-installed-at-all' : specifier, context),
    })
    const { openNats } = await import(${JSON.stringify(engine)})
    const { realRuntime } = await import(${JSON.stringify(core)})
    await openNats('nats://127.0.0.1:1', { runtime: realRuntime() }).catch(({ code, fix, where }) => {
      console.log(JSON.stringify({ code, fix, where }))
    })`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({
      code: 'ENGINE_CLIENT_MISSING',
      fix: expect.stringContaining('npm install @nats-io/transport-node @nats-io/obj'),
      where: missing,
    })
  },
)
