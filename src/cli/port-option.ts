import { isMillraceError, MillraceError } from '../core/errors.ts'

/** Of two ports that may be in use, tells the option that chooses the other. */
export async function atOption<T>(option: string, listening: Promise<T>): Promise<T> {
  try {
    return await listening
  } catch (error) {
    if (!isMillraceError(error, 'PORT_IN_USE')) throw error
    const { code, message, where, facts } = error
    const fix = `Stop the other program, or choose another port with ${option}.`
    throw new MillraceError(code, message, { where, fix, cause: error, facts })
  }
}
