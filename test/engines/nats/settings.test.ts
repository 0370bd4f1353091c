import { describe, expect, it } from 'vitest'
import { isMillraceError } from '../../../src/core/errors.ts'
import { readSettings } from '../../../src/engines/nats/settings.ts'

function refusal(url: string): string {
  try {
    readSettings(url)
  } catch (error) {
    if (isMillraceError(error, 'LOG_URL_INVALID')) return `${error.message} ${error.fix}`
  }
  throw new Error(`${url} was not refused`)
}

describe('the URL of a log on NATS', () => {
  it('names servers and a log, which is millrace unless named', () => {
    expect(readSettings('nats://a,b:4333,[::1]:4222')).toEqual({
      servers: ['a', 'b:4333', '[::1]:4222'],
      log: 'millrace',
      where: 'nats://a,b:4333,[::1]:4222/millrace',
    })
    expect(readSettings('nats://a/orders-2').log).toBe('orders-2')
  })

  it('has one login for all servers: user and password, or a token', () => {
    expect(readSettings('nats://ann:p%40ss@a,b')).toMatchObject({
      servers: ['a', 'b'],
      user: 'ann',
      password: 'p@ss',
    })
    expect(readSettings('nats://ann:x@a,ann:x@b')).toMatchObject({ servers: ['a', 'b'], user: 'ann' })
    expect(readSettings('nats://t0ken@a')).toMatchObject({ servers: ['a'], token: 't0ken' })
    expect(refusal('nats://ann:secret@a,bob:secret@b')).toContain('same login')
  })

  it('may name files of credentials and certificates', () => {
    expect(readSettings('nats://a/log?credentials=/etc/a.creds')).toMatchObject({
      credentials: '/etc/a.creds',
    })
    expect(readSettings('nats://a?nkey=seed.nk')).toMatchObject({ nkey: 'seed.nk' })
    expect(readSettings('nats://a?ca=ca.pem&cert=c.pem&key=k.pem').tls).toEqual({
      caFile: 'ca.pem',
      certFile: 'c.pem',
      keyFile: 'k.pem',
    })
    expect(readSettings('tls://a').tls).toEqual({})
    expect(readSettings('nats://a').tls).toBeUndefined()
  })

  it('names itself in errors without what is secret', () => {
    for (const url of [
      'nats://ann:secret@a,b/x',
      'nats://secret@a,b/x',
      'tls://ann:secret@a,ann:secret@b/x',
    ]) {
      const { where } = readSettings(url)
      expect(where).toMatch(/^(nats|tls):\/\/a,b\/x$/)
    }
  })

  it('is LOG_URL_INVALID otherwise, and is not repeated, since it may hold a password', () => {
    const wrong = [
      'nats://',
      'nats://ann:secret@',
      'nats://ann:secret@a,,b',
      'nats://ann:secret@a:port',
      'nats://ann:secret@a/a.b',
      'nats://ann:secret@a/a/b',
      'nats://ann:secret@a?timeout=secret',
      'nats://ann:secret@a?credentials=',
      'nats://ann:%secret@a',
    ]
    for (const url of wrong) expect(refusal(url)).not.toContain('secret')
  })
})
