import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { isMillraceError, type MillraceError } from '../../../src/core/errors.ts'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openNats } from '../../../src/engines/nats/nats-engine.ts'
import { hasNats, NatsServer } from './server.ts'

type KeyPair = ReturnType<typeof nkeys.createUser>

let folder: string

/** Writes a file; gives its path. */
function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']

/** Makes the certificate of an authority. */
function makeAuthority(name: string): void {
  openssl('req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`)
}

/** Makes a certificate that an authority has signed. */
function makeCertificate(name: string, authority: string): void {
  openssl(
    'req',
    ...newKey.slice(0, -2),
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  )
  const extensions = file(`${name}.ext`, 'subjectAltName=DNS:localhost')
  const signer = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial']
  openssl(
    ...['x509', '-req', '-days', '2', '-in', `${name}.csr`, '-extfile', extensions],
    ...[...signer, '-out', `${name}.pem`],
  )
}

async function serverWith(configuration: string): Promise<NatsServer> {
  const server = await NatsServer.start({ configuration })
  onTestFinished(() => server.remove())
  return server
}

const options = () => ({ runtime: realRuntime(), partitions: 1 })

/** Appends a record and reads it again. */
async function use(url: string): Promise<void> {
  const engine = await openNats(url, options())
  try {
    await engine.createTopic('in', {})
    await engine.append([{ topic: 'in', partition: 0, value: Buffer.from('it'), timeMs: 0 }])
    const { records } = await engine.read({ topic: 'in', partition: 0 }, 0, { records: 1, bytes: 9 })
    expect(records.map(({ value }) => Buffer.from(value).toString())).toEqual(['it'])
  } finally {
    await engine.close()
  }
}

/** What opening a log is refused with. */
async function refusal(url: string): Promise<MillraceError> {
  try {
    await (await openNats(url, options())).close()
  } catch (error) {
    if (isMillraceError(error)) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** All that an error says, as it is logged. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return [error.message, error.stack, JSON.stringify(error), textOf(error.cause ?? '')].join('\n')
}

/** A token of NATS: what an issuer says of a subject, signed. */
function signed(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    iat: 0,
    jti: 'test',
    name: 'test',
  }
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ ...claims, nats: { ...nats, version: 2 } })}`
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`
}

const seedOf = (pair: KeyPair) => Buffer.from(pair.getSeed()).toString()

/** What a file of credentials holds. */
function credentialsOf(user: KeyPair, jwt: string): string {
  const around = (what: string, text: string) => `-----BEGIN ${what}-----\n${text}\n------END ${what}------\n`
  return `${around('NATS USER JWT', jwt)}\n${around('USER NKEY SEED', seedOf(user))}`
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl) console.error('SKIPPED: there is no openssl here to make certificates with.')

describe.runIf(hasNats && hasOpenssl)('a log on servers that ask who one is', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-logins-'))
    for (const name of ['authority', 'other']) makeAuthority(name)
    for (const name of ['server', 'client']) makeCertificate(name, 'authority')
  })

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it.each([
    ['a user and a password', 'user: ann, password: "p@ss"', 'ann:p%40ss'],
    ['a token', 'token: t0ken', 't0ken'],
  ])('takes %s, and says when it is refused, without what was given', async (_, accepted, login) => {
    const { port } = await serverWith(`authorization { ${accepted} }`)
    await use(`nats://${login}@127.0.0.1:${port}`)
    for (const wrong of ['ann:s3cret@', 's3cret@', '']) {
      const error = await refusal(`nats://${wrong}127.0.0.1:${port}`)
      expect(error.code).toBe('STORAGE_FAILED')
      expect(error.message).toContain('refused the login')
      expect(error.where).toBe(`nats://127.0.0.1:${port}/millrace`)
      expect(textOf(error)).not.toContain('s3cret')
    }
  })

  it('takes the seed of an nkey from a file', async () => {
    const [user, other] = [nkeys.createUser(), nkeys.createUser()]
    const { port } = await serverWith(`authorization { users: [{ nkey: ${user.getPublicKey()} }] }`)
    await use(`nats://127.0.0.1:${port}?nkey=${file('user.nk', `${seedOf(user)}\n`)}`)
    const refused = await refusal(`nats://127.0.0.1:${port}?nkey=${file('other.nk', seedOf(other))}`)
    expect(refused.code).toBe('STORAGE_FAILED')
    expect(textOf(refused)).not.toContain(seedOf(other))
    const broken = await refusal(`nats://127.0.0.1:${port}?nkey=${file('broken.nk', 's3cret')}`)
    expect(broken).toMatchObject({ code: 'FILE_UNREADABLE', where: join(folder, 'broken.nk') })
    expect(textOf(broken)).not.toContain('s3cret')
    const missing = await refusal(`nats://127.0.0.1:${port}?nkey=${join(folder, 'none.nk')}`)
    expect(missing).toMatchObject({ code: 'FILE_UNREADABLE', where: join(folder, 'none.nk') })
  })

  it('takes a file of credentials', async () => {
    const operator = nkeys.createOperator()
    const [system, account] = [nkeys.createAccount(), nkeys.createAccount()]
    const [user, stranger] = [nkeys.createUser(), nkeys.createUser()]
    const open = {
      subs: -1,
      data: -1,
      payload: -1,
      imports: -1,
      exports: -1,
      wildcards: true,
      conn: -1,
      leaf: -1,
    }
    const stores = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
    const accounts = [
      `${system.getPublicKey()}: ${signed(operator, system, { type: 'account', limits: open })}`,
      `${account.getPublicKey()}: ${signed(operator, account, { type: 'account', limits: { ...open, ...stores } })}`,
    ]
    const { port } = await serverWith(`
      operator: ${signed(operator, operator, { type: 'operator', system_account: system.getPublicKey() })}
      resolver: MEMORY
      resolver_preload: { ${accounts.join('\n')} }
    `)
    const userClaims = { type: 'user', subs: -1, data: -1, payload: -1 }
    const ours = credentialsOf(user, signed(account, user, userClaims))
    await use(`nats://127.0.0.1:${port}?credentials=${file('user.creds', ours)}`)
    const foreign = credentialsOf(stranger, signed(nkeys.createAccount(), stranger, userClaims))
    const refused = await refusal(`nats://127.0.0.1:${port}?credentials=${file('stranger.creds', foreign)}`)
    expect(refused.code).toBe('STORAGE_FAILED')
    expect(textOf(refused)).not.toContain(seedOf(stranger))
    const broken = await refusal(`nats://127.0.0.1:${port}?credentials=${file('broken.creds', 's3cret')}`)
    expect(broken).toMatchObject({ code: 'FILE_UNREADABLE', where: join(folder, 'broken.creds') })
    expect(textOf(broken)).not.toContain('s3cret')
  })

  it('is reached by TLS, where the authority that signed is named', async () => {
    const certificate = `cert_file: "${folder}/server.pem", key_file: "${folder}/server.key"`
    const { port } = await serverWith(`tls { ${certificate} }`)
    for (const scheme of ['tls', 'nats']) {
      await use(`${scheme}://localhost:${port}?ca=${folder}/authority.pem`)
      for (const parameters of ['', `?ca=${folder}/other.pem`]) {
        const error = await refusal(`${scheme}://localhost:${port}${parameters}`)
        expect(error.code).toBe('STORAGE_FAILED')
        expect(error.message).toContain('certificate of the NATS servers is not trusted')
        expect(error.fix).toContain('?ca=FILE')
      }
    }
    const missing = await refusal(`tls://localhost:${port}?ca=${folder}/none.pem`)
    expect(missing).toMatchObject({ code: 'FILE_UNREADABLE', where: `${folder}/none.pem` })
  })

  it('shows a certificate of its own where servers ask for one', async () => {
    const certificate = `cert_file: "${folder}/server.pem", key_file: "${folder}/server.key"`
    const { port } = await serverWith(
      `tls { ${certificate}, ca_file: "${folder}/authority.pem", verify: true }`,
    )
    const own = `ca=${folder}/authority.pem&cert=${folder}/client.pem&key=${folder}/client.key`
    await use(`tls://localhost:${port}?${own}`)
  })
})
