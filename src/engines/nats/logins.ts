import { readFile } from 'node:fs/promises'
import { MillraceError, messageOf } from '../../core/errors.ts'
import type { ClientLibrary } from './client.ts'
import { unreachable } from './failures.ts'
import type { Settings } from './settings.ts'

/** What proves who one is, from the file that the URL names; undefined where it names none. `FILE_UNREADABLE`. */
export async function authenticatorFor(
  { credentials, nkey }: Settings,
  library: ClientLibrary,
): Promise<unknown> {
  const file = credentials ?? nkey
  if (file === undefined) return undefined
  const secret = await readNamed(file)
  const authenticator =
    credentials === undefined
      ? library.nkeyAuthenticator(Buffer.from(secret.toString().trim()))
      : library.credsAuthenticator(secret)
  try {
    authenticator('')
  } catch {
    // What it says of the text is not passed on: the text is a secret.
    const what = credentials === undefined ? 'the seed of an nkey' : 'credentials, a JWT and a seed'
    throw unreadable(file, `does not hold ${what}`)
  }
  return authenticator
}

/** Makes sure that the files of certificates can be read. `FILE_UNREADABLE`. */
export async function checkCertificates({ tls = {} }: Settings): Promise<void> {
  for (const file of Object.values(tls)) await readNamed(file)
}

/** What it means that no connection could be made. */
export function failureToConnect(where: string, error: unknown): MillraceError {
  if ((error as Error).name === 'AuthorizationError') {
    return new MillraceError('STORAGE_FAILED', 'The NATS servers refused the login.', {
      where,
      fix: 'Check the user, the token or the credentials that the URL of the log names.',
      cause: error,
    })
  }
  if (distrusts.test(String((error as { code?: unknown }).code))) {
    const why = messageOf(error).split(';')[0]
    return new MillraceError(
      'STORAGE_FAILED',
      `The certificate of the NATS servers is not trusted: ${why}.`,
      {
        where,
        fix: 'Name the certificate of the authority that has signed it in the URL of the log, by ?ca=FILE.',
        cause: error,
      },
    )
  }
  return unreachable(where, error)
}

/** Codes of Node.js for certificates that it does not take. */
const distrusts =
  /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_ALTNAME_INVALID)/

async function readNamed(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw unreadable(file, 'cannot be read', cause)
  }
}

function unreadable(file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('FILE_UNREADABLE', `The file '${file}', which the URL of the log names, ${why}.`, {
    where: file,
    fix: 'Check its name and who may read it.',
    ...(cause === undefined ? {} : { cause }),
  })
}
